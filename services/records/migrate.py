"""`python -m services.records.migrate`: brings the tables of a PostgreSQL store up to date before services start."""

from services.records.store.migration_command import add_arguments, main, migrate, run

__all__ = ["add_arguments", "migrate", "run"]

if __name__ == "__main__":
    main()
