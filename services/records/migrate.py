"""`python -m services.records.migrate`: makes a store, or brings its tables up to date, before services start on it."""

from services.records.store.schemas import SCHEMAS
from services.runtime.storage.migration_command import main

if __name__ == "__main__":
    main(SCHEMAS)
