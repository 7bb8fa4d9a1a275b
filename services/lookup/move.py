"""`python -m services.lookup.move`: moves a store to another database while it is served."""

from services.lookup.store.schemas import SCHEMAS
from services.runtime.storage.move.command import main

if __name__ == "__main__":
    main(SCHEMAS)
