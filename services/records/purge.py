"""`python -m services.records.purge`: deletes from a store what is too old."""

from services.records.retention.command import DESCRIPTION, add_arguments, main, run

__all__ = ["DESCRIPTION", "add_arguments", "run"]

if __name__ == "__main__":
    main()
