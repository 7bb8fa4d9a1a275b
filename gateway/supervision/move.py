"""`python -m gateway.supervision.move`: moves a store to another database while gateways go on."""

from gateway.supervision.store.schemas import SCHEMAS
from services.runtime.storage.move.command import main

if __name__ == "__main__":
    main(SCHEMAS)
