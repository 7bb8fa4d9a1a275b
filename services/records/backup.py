"""`python -m services.records.backup`: copies a store's SQLite file while its service goes on."""

from services.records.store.schemas import SCHEMAS
from services.runtime.storage.backup_command import main

if __name__ == "__main__":
    main(SCHEMAS)
