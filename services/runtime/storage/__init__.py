"""What every store needs: numbered migrations, SQLite files, PostgreSQL pools, the clock of commits."""
