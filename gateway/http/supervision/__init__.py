"""The calls of supervisors over HTTP: tables, each as JSON and as CSV."""
