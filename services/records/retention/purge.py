"""Deletes from a store what is too old."""

from services.common.instants import SECOND, Instant
from services.records.store.protocols.retention import RecordPurge
from services.runtime.clock import system_clock


async def purge(store: RecordPurge, seconds: int, most: int) -> int:
    """Deletes the records of a store that were last revised more than `seconds` ago, `most` revisions looked at in one
    transaction; returns how many records. Raises ServiceError."""
    before = Instant(system_clock() - seconds * SECOND)
    position: int | None = 0
    records = 0
    while position is not None:
        batch = await store.purge(before, position, most)
        records, position = records + batch.records, batch.position
    return records
