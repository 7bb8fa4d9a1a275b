"""Deletes records whose time is over from PostgreSQL, so many in a transaction that no writer waits for long."""

import asyncpg

from services.common.instants import Instant
from services.records.domain.revisions import RecordId
from services.records.store.postgres import correction as correction
from services.records.store.postgres.figure_store import (
    forget_positive_days,
    forget_waiting,
    keep_still,
    with_positive_days,
)
from services.records.store.retention import merged_ranges
from services.records.store.values.records import Purged

# Commits are stamped in the order of their numbers: the first that is too new ends the purge, and most of the table,
# which comes after, is not looked at.
_BY_SEQUENCE = """
select person_key, region, source_id, sequence, recorded_at from revision where sequence > $1 order by sequence limit $2
"""

_NEWEST = """
select place, max(r.recorded_at)
from unnest($1::bytea[], $2::text[], $3::text[]) with ordinality as held(person_key, region, source_id, place)
cross join lateral (
    select recorded_at from revision
    where person_key = held.person_key and region = held.region and source_id = held.source_id
    order by revision
) as r
group by place
"""

_DELETE = """
delete from revision where person_key = $1 and region = $2 and source_id = $3
returning sequence, placed_at, region, source_id
"""

_LEFT = """
select distinct r.person_key from unnest($1::bytea[]) as asked(person_key)
cross join lateral (
    select person_key, revision from revision where person_key = asked.person_key order by revision
) as r
"""

_DELETE_IDENTITY = """
delete from identity where person_key = $1 and region = $2 and source_id = $3 returning region, source_id
"""

_DELETE_FORMER = "delete from former_holder where person_key = $1 and region = $2 and source_id = $3"

_DELETE_REQUESTS = "delete from correction_request where person_key = $1 and region = $2 and source_id = $3"


async def purge(connection: asyncpg.Connection, before: Instant, position: int, most: int) -> Purged:
    """Purges as RecordPurge.purge does, within a transaction that the caller commits."""
    revisions_seen = await connection.fetch(_BY_SEQUENCE, position, most)
    records = list(dict.fromkeys(tuple(row)[:3] for row in revisions_seen if row[4] < before))
    numbers: list[int] = []
    places: list[tuple[int, str, str]] = []
    doomed = []
    gone: list[RecordId] = []
    if records:
        await keep_still(connection)
        # With the head locked nobody gives one of these records another revision; nor does anybody write meanwhile.
        await connection.execute("select 1 from feed_head for update")
        newest = dict(await connection.fetch(_NEWEST, *map(list, zip(*records, strict=True))))
        # What has no place there any more was purged by another meanwhile.
        doomed = [record for place, record in enumerate(records, 1) if newest.get(place, before) < before]
        # One record is in one partition, and on Citus on one node, its identity in another: a statement each, but sent
        # together, for the answers' way back would cost a writer ten times as long a wait.
        deleted = await connection.fetchmany(_DELETE, doomed)
        numbers = [row[0] for row in deleted]
        # Where the id is another's by now, all but the revisions is theirs.
        gone = [RecordId(*row) for row in await connection.fetchmany(_DELETE_IDENTITY, doomed)]
        await connection.executemany(_DELETE_FORMER, doomed)
        await connection.executemany(_DELETE_REQUESTS, doomed)
        theirs = {record[1:] for record in doomed} - set(gone)
        places = [(row[1], row[2], row[3]) for row in deleted if (row[2], row[3]) not in theirs]
    if gone:
        await correction.forget_records(connection, gone)
    if doomed:
        await forget_waiting(connection, places)
        positive = await with_positive_days(connection, sorted({record[0] for record in doomed}))
        if positive:
            left = {row[0] for row in await connection.fetch(_LEFT, positive)}
            await forget_positive_days(connection, [key for key in positive if key not in left])
    for first, last in merged_ranges(numbers):
        for neighbour in await connection.fetch(
            "delete from purged where last = $1 or first = $2 returning first, last", first - 1, last + 1
        ):
            first, last = min(first, neighbour[0]), max(last, neighbour[1])
        await connection.execute("insert into purged values ($1, $2)", first, last)
    await connection.execute("update feed_head set purged_before = greatest(purged_before, $1)", before)
    goes_on = len(revisions_seen) == most and revisions_seen[-1][4] < before
    return Purged(len(doomed), revisions_seen[-1][3] if goes_on else None)
