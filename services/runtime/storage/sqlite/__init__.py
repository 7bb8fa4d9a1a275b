"""SQLite files: opened, guarded, and brought up to date."""
