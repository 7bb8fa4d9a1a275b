"""The tables of this service's store, in each engine."""

from services.records.store.postgres import schema as postgres
from services.records.store.sqlite import schema as sqlite
from services.runtime.storage.schema import Schemas

SCHEMAS = Schemas(sqlite.SCHEMA, postgres.SCHEMA)
