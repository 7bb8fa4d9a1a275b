"""The tables of this service's store, in each engine."""

from services.lookup.store.postgres import schema as postgres
from services.lookup.store.sqlite import schema as sqlite
from services.runtime.storage.schema import Schemas

SCHEMAS = Schemas(sqlite.SCHEMA, postgres.SCHEMA)
