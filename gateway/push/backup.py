"""`python -m gateway.push.backup`: copies a store's SQLite file while its gateway goes on."""

from gateway.push.store.schemas import SCHEMAS
from services.runtime.storage.backup_command import main

if __name__ == "__main__":
    main(SCHEMAS)
