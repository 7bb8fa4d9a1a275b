"""The table of who may call what, as data, and the guard that holds every call against it."""
