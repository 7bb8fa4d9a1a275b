"""Deletes records whose time is over from PostgreSQL, so many in a transaction that no writer waits for long."""

import asyncpg

from services.common.instants import Instant
from services.records.domain.revisions import RecordId
from services.records.store import postgres_correction as correction
from services.records.store.protocol import Purged, merged_ranges

_FOUND = """
select person_key, region, source_id, sequence from revision
where sequence > $1 and recorded_at < $2 order by sequence limit $3
"""

_NEWEST = """
select max(r.recorded_at)
from unnest($1::bytea[], $2::text[], $3::text[]) with ordinality as held(person_key, region, source_id, place)
cross join lateral (
    select recorded_at from revision
    where person_key = held.person_key and region = held.region and source_id = held.source_id
) as r
group by place order by place
"""

_DELETE = "delete from revision where person_key = $1 and region = $2 and source_id = $3 returning sequence"


async def purge(connection: asyncpg.Connection, before: Instant, position: int, most: int) -> Purged:
    """What RecordPurge.purge does, within a transaction that the caller commits."""
    # With the head locked nobody gives one of these records another revision.
    await connection.execute("select 1 from feed_head for update")
    found = await connection.fetch(_FOUND, position, before, most)
    records = list(dict.fromkeys(tuple(row)[:3] for row in found))
    numbers: list[int] = []
    doomed = []
    gone: list[RecordId] = []
    if records:
        newest = await connection.fetch(_NEWEST, *map(list, zip(*records, strict=True)))
        doomed = [record for record, row in zip(records, newest, strict=True) if row[0] < before]
    for record in doomed:
        # One record is in one partition, and on Citus on one node: its identity is in another.
        numbers += [row[0] for row in await connection.fetch(_DELETE, *record)]
        for table in ("former_holder", "identity"):
            whose = f"delete from {table} where person_key = $1 and region = $2 and source_id = $3"
            done: str = await connection.execute(whose, *record)
        if done != "DELETE 0":
            gone.append(RecordId(*record[1:]))
    if gone:
        await correction.forget_records(connection, gone)
    for first, last in merged_ranges(numbers):
        for neighbour in await connection.fetch(
            "delete from purged where last = $1 or first = $2 returning first, last", first - 1, last + 1
        ):
            first, last = min(first, neighbour[0]), max(last, neighbour[1])
        await connection.execute("insert into purged values ($1, $2)", first, last)
    await connection.execute("update feed_head set purged_before = greatest(purged_before, $1)", before)
    return Purged(len(doomed), found[-1][3] if len(found) == most else None)
