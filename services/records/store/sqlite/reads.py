"""What is read of a SQLite store in turns: people, and records by their place in time."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache

from services.common.instants import Instant
from services.records.store.by_time import Place, PlacedRevision, records_of
from services.records.store.rows import current_records
from services.records.store.values.records import CurrentRecord, RevisionBodies

# Entries of the index end with the primary key, so a page begins where the one before ended.
BY_TIME = """
select c.placed_at, c.person_key, c.region, c.source_id, c.revision, r.body
from (
    select placed_at, person_key, region, source_id, revision from revision as this
    where placed_at < ?2 and (placed_at, person_key, region, source_id, revision) > (?4, ?5, ?6, ?7, ?8)
    and recorded_at <= ?3 and not exists (
        select 1 from revision where (person_key, region, source_id) = (this.person_key, this.region, this.source_id)
        and revision > this.revision and recorded_at <= ?3
    )
    order by placed_at, person_key, region, source_id, revision limit ?1
) as c join revision as r using (person_key, region, source_id)
where r.recorded_at <= ?3 order by c.placed_at, c.person_key, c.region, c.source_id, r.revision
"""


@cache
def _people_query(count: int) -> str:
    return (
        "select person_key, region, source_id, placed_at, laboratory, body, recorded_at from revision "
        f"where recorded_at <= ? and person_key in ({','.join('?' * count)}) "
        "order by person_key, region, source_id, revision"
    )


def read_people(
    read: sqlite3.Connection, keys: Sequence[bytes], known_at: Instant
) -> Mapping[bytes, Sequence[CurrentRecord]]:
    """The records of a turn's people."""
    # Few lengths, so that the statements stay prepared; a key that stands twice in the list is read once.
    padding = (1 << (len(keys) - 1).bit_length()) - len(keys)
    rows = read.execute(_people_query(len(keys) + padding), (known_at, *keys, *[keys[0]] * padding))
    return current_records(rows)


def read_by_time(
    read: sqlite3.Connection, most: int, after: Place, end: Instant, known_at: Instant
) -> list[tuple[Place, RevisionBodies]]:
    """Returns a turn's records by their place in time, each with that place."""
    rows = read.execute(BY_TIME, (most, end, known_at, *after))
    return list(records_of(PlacedRevision(Place(*row[:5]), row[5]) for row in rows))
