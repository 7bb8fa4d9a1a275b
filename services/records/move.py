"""`python -m services.records.move`: moves a store to another database while it is served."""

from services.records.store.schemas import SCHEMAS
from services.runtime.storage.move.command import main

if __name__ == "__main__":
    main(SCHEMAS)
