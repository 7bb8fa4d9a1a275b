"""The kit of every store: numbered migrations, SQLite files, PostgreSQL pools, the clock of commits."""
