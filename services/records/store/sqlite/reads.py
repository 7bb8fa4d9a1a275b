"""Reads a SQLite store in turns: people, and records by their place in time."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache

from services.common.instants import Instant
from services.records.domain.revisions import RecordId
from services.records.domain.selection import (
    ANY_REGION,
    Chosen,
    HeldRecords,
    JoinedSources,
    Selection,
    Source,
    select,
)
from services.records.store.by_time import Place, PlacedRevision, records_of
from services.records.store.rows import by_person
from services.records.store.selection import WEIGHED_COLUMNS, WeighedRecord, original_named
from services.records.store.values.records import LATEST, CurrentRecord, RevisionBodies

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

_CURRENT = "superseded_at = 4611686018427387904"
_NEWEST_FIRST = "latest_at desc, region, source_id"

# Both parts are read as far as they are wanted and no further: what is always given, which is little, comes first. The
# index is named, for without statistics SQLite takes the primary key for as good; the limit keeps its order.
FIRST = f"""
select 1, {WEIGHED_COLUMNS} from revision indexed by revision_always_given
where person_key = ?1 and {_CURRENT} and always_given
union all
select * from (
    select 0, {WEIGHED_COLUMNS} from revision indexed by revision_by_latest
    where person_key = ?1 and {_CURRENT} order by {_NEWEST_FIRST} limit -1
)
"""

# Counted by what bounds the index alone, which costs half, as far as is asked; the few that are retracted are taken
# off.
_RETRACTED = f"""(
    select count(*) from revision indexed by revision_retracted
    where person_key = ?1 and {_CURRENT} and retracted and latest_at < ?2
)"""

COUNT = f"""
select count(*) - {_RETRACTED} from (
    select 1 from revision indexed by revision_by_latest
    where person_key = ?1 and {_CURRENT} and latest_at < ?2 limit ?3 + {_RETRACTED}
)
"""

_COUNTED = f"""
select 1 from revision indexed by revision_by_latest
where person_key = ?1 and {_CURRENT} and latest_at < ?2 and not retracted and recorded_at <= ?4
"""

COUNT_THEN = f"select count(*) from ({_COUNTED} limit ?3)"

COUNT_OF_REGION = f"select count(*) from ({_COUNTED} and region = ?5 limit ?3)"

KEEPS = "select 1 from revision where person_key = ?1 and region = ?2 limit 1"

CLEARING = f"""
select {WEIGHED_COLUMNS} from revision indexed by revision_by_latest
where person_key = ?1 and {_CURRENT} and latest_at > ?2 and placed_at > ?2 and weight = 1 and recorded_at <= ?3
order by latest_at, region, source_id limit ?4
"""

ORIGINAL = f"""
select {WEIGHED_COLUMNS} from revision
where (person_key = ?3
    or person_key in (select person_key from identity where region = ?1 and source_id = ?2)
    or person_key in (select person_key from former_holder where region = ?1 and source_id = ?2))
and region = ?1 and source_id = ?2 and {_CURRENT} and recorded_at <= ?4
"""


def _rows_of(entries: str) -> str:
    """Returns the statement that reads the rows of entries of the index by time, in their order: SQLite would read a
    row before it looks at what else the entry says of it."""
    columns = ", ".join(f"row.{column.strip()}" for column in WEIGHED_COLUMNS.split(","))
    return f"""
select {columns} from (
    select person_key, region, source_id, revision from revision indexed by revision_by_latest
    where {entries}
) as entry cross join revision as row using (person_key, region, source_id, revision)
"""


OWN = _rows_of(
    f"person_key = ?1 and {_CURRENT} and region = ?2 and recorded_at <= ?3 order by latest_at desc, source_id limit ?4"
)

FIRST_THEN = f"""
select 1, {WEIGHED_COLUMNS} from revision indexed by revision_always_given
where person_key = ?1 and {_CURRENT} and always_given and recorded_at <= ?2
union all
select 0, * from (
{_rows_of(f"person_key = ?1 and {_CURRENT} and recorded_at <= ?2 order by {_NEWEST_FIRST} limit -1")}
)
"""

SUPERSEDED_SINCE = _rows_of(
    "person_key = ?1 and superseded_at > ?2 and superseded_at < 4611686018427387904 and recorded_at <= ?2 limit -1"
)


@cache
def _people_query(columns: str, count: int) -> str:
    return (
        f"select {columns} from revision "
        f"where recorded_at <= ?1 and superseded_at > ?1 and person_key in ({','.join('?' * count)}) "
        "order by person_key, region, source_id"
    )


def read_people(
    read: sqlite3.Connection, keys: Sequence[bytes], known_at: Instant
) -> Mapping[bytes, Sequence[CurrentRecord]]:
    """Returns all records of a turn's people."""
    # Few lengths, so that the statements stay prepared; a key that stands twice in the list is read once.
    padding = (1 << (len(keys) - 1).bit_length()) - len(keys)
    query = _people_query(
        "person_key, region, source_id, placed_at, laboratory, body, recorded_at", len(keys) + padding
    )
    rows = read.execute(query, (min(known_at, LATEST - 1), *keys, *[keys[0]] * padding))
    return by_person(map(CurrentRecord._make, rows))


def read_selected(
    read: sqlite3.Connection, keys: Sequence[bytes], known_at: Instant, selection: Selection
) -> Mapping[bytes, Chosen[WeighedRecord]]:
    """Returns the choice among the records of a turn's people."""
    # One state of the file for all statements.
    read.execute("begin")
    try:
        source: Source[WeighedRecord] = _CurrentRecords(read, Instant(min(known_at, LATEST - 1)))
        if known_at < LATEST:
            superseded = {
                key: list(map(WeighedRecord._make, read.execute(SUPERSEDED_SINCE, (key, known_at)))) for key in keys
            }
            if any(superseded.values()):
                source = JoinedSources(source, HeldRecords(superseded, original_named))
        return select(keys, selection, source, original_named)
    finally:
        read.execute("commit")


class _CurrentRecords:
    """A domain.selection.Source of what is current, and was known at an instant."""

    def __init__(self, read: sqlite3.Connection, known_at: Instant) -> None:
        self._read = read
        self._known_at = known_at

    def _rows(self, query: str, *parameters: object) -> list[WeighedRecord]:
        return list(map(WeighedRecord._make, self._read.execute(query, parameters)))

    def first(self, key: bytes, since: Instant, most: int) -> tuple[Sequence[WeighedRecord], Sequence[WeighedRecord]]:
        if self._known_at < LATEST - 1:
            rows = self._read.execute(FIRST_THEN, (key, self._known_at))
        else:
            rows = self._read.execute(FIRST, (key,))
        newest: list[WeighedRecord] = []
        always: list[WeighedRecord] = []
        for row in rows:
            record = WeighedRecord._make(row[1:])
            if row[0]:
                always.append(record)
                continue
            newest.append(record)
            if record.latest_at < since and len(newest) >= most:
                break
        rows.close()
        return newest, always

    def count(self, key: bytes, since: Instant, region: str, most: int) -> int:
        if region == ANY_REGION and self._known_at == LATEST - 1:
            return int(self._read.execute(COUNT, (key, since, most)).fetchone()[0])
        if region == ANY_REGION:
            return int(self._read.execute(COUNT_THEN, (key, since, most, self._known_at)).fetchone()[0])
        return int(self._read.execute(COUNT_OF_REGION, (key, since, most, self._known_at, region)).fetchone()[0])

    def clearing(self, key: bytes, after: int, most: int) -> Sequence[WeighedRecord]:
        return self._rows(CLEARING, key, after, self._known_at, most)

    def own(self, key: bytes, region: str, most: int) -> Sequence[WeighedRecord]:
        # A region that kept nothing of the person is told at once, by the primary key.
        if self._read.execute(KEEPS, (key, region)).fetchone() is None:
            return ()
        return self._rows(OWN, key, region, self._known_at, most)

    def original(self, key: bytes, record: RecordId) -> Sequence[tuple[bytes, WeighedRecord]]:
        return [(row.person_key, row) for row in self._rows(ORIGINAL, *record, key, self._known_at)]


def read_by_time(
    read: sqlite3.Connection, most: int, after: Place, end: Instant, known_at: Instant
) -> list[tuple[Place, RevisionBodies]]:
    """Returns a turn's records by their place in time, each with that place."""
    rows = read.execute(BY_TIME, (most, end, known_at, *after))
    return list(records_of(PlacedRevision(Place(*row[:5]), row[5]) for row in rows))
