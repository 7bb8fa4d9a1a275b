"""Who may call what: one table as data, and the guard that holds every call against it."""
