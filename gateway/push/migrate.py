"""`python -m gateway.push.migrate`: makes a store, or brings its tables up to date, before gateways start on it."""

from gateway.push.store.schemas import SCHEMAS
from services.runtime.storage.migration_command import main

if __name__ == "__main__":
    main(SCHEMAS)
