"""The tables of this service's store, in each engine."""

from services.records.store.postgres import schema as postgres
from services.records.store.sqlite import schema as sqlite
from services.runtime.storage.schema import Schemas

_WRITE_ORDER = (
    "intake_session",
    "follow",
    "identity",
    "revision",
    "former_holder",
    "laboratory",
    "feed_head",
    "feed_mark",
    "origin_copy",
    "copy_due",
    "conflict",
    "correction_request",
    "answer",
    "count_waiting",
    "count_accused",
    "count_tally",
    "count_span",
    "count_head",
)

SCHEMAS = Schemas(sqlite.SCHEMA, postgres.SCHEMA, _WRITE_ORDER)
