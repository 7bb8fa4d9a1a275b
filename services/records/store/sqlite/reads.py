"""Reads a SQLite store in turns: people, and records by their place in time."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache

from services.common.instants import Instant
from services.records.domain.revisions import RecordId
from services.records.domain.selection import Chosen, Selection, select
from services.records.store.by_time import Place, PlacedRevision, records_of
from services.records.store.rows import by_person
from services.records.store.selection import WEIGHED_COLUMNS, WeighedRecord, choices_of_all, original_named
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

# The index is named: without statistics SQLite takes the primary key for as good.
RECENT = f"""
select {WEIGHED_COLUMNS} from revision indexed by revision_by_latest
where person_key = ? and {_CURRENT} and latest_at >= ?
"""

OLDER = f"""
select {WEIGHED_COLUMNS} from revision indexed by revision_by_latest
where person_key = ? and {_CURRENT} and latest_at < ? order by latest_at desc, region, source_id limit ?
"""

ALWAYS_GIVEN = f"""
select {WEIGHED_COLUMNS} from revision indexed by revision_always_given
where person_key = ? and {_CURRENT} and always_given
"""

CLEARING = f"""
select {WEIGHED_COLUMNS} from revision indexed by revision_by_latest
where person_key = ?1 and {_CURRENT} and latest_at > ?2 and placed_at > ?2 and weight = 1
order by latest_at, region, source_id limit ?3
"""

# By the primary key, which tells at once where a region kept nothing of the person: the plus signs hide the others.
OWN = f"""
select {WEIGHED_COLUMNS} from revision
where person_key = ? and region = ? and +{_CURRENT} order by +latest_at desc, source_id limit ?
"""

ORIGINAL = f"""
select {WEIGHED_COLUMNS} from revision
where person_key in (?3, (select person_key from identity where region = ?1 and source_id = ?2))
and region = ?1 and source_id = ?2 and {_CURRENT}
"""


@cache
def _people_query(columns: str, count: int) -> str:
    return (
        f"select {columns} from revision "
        f"where recorded_at <= ?1 and superseded_at > ?1 and person_key in ({','.join('?' * count)}) "
        "order by person_key, region, source_id"
    )


def _read(read: sqlite3.Connection, columns: str, keys: Sequence[bytes], known_at: Instant) -> sqlite3.Cursor:
    # Few lengths, so that the statements stay prepared; a key that stands twice in the list is read once.
    padding = (1 << (len(keys) - 1).bit_length()) - len(keys)
    query = _people_query(columns, len(keys) + padding)
    return read.execute(query, (min(known_at, LATEST - 1), *keys, *[keys[0]] * padding))


def read_people(
    read: sqlite3.Connection, keys: Sequence[bytes], known_at: Instant
) -> Mapping[bytes, Sequence[CurrentRecord]]:
    """Returns all records of a turn's people."""
    columns = "person_key, region, source_id, placed_at, laboratory, body, recorded_at"
    return by_person(map(CurrentRecord._make, _read(read, columns, keys, known_at)))


def read_selected(
    read: sqlite3.Connection, keys: Sequence[bytes], known_at: Instant, selection: Selection
) -> Mapping[bytes, Chosen[WeighedRecord]]:
    """Returns the choice among the records of a turn's people."""
    if known_at < LATEST:
        # Asked seldom: the indexes tell what is current now.
        return choices_of_all(map(WeighedRecord._make, _read(read, WEIGHED_COLUMNS, keys, known_at)), selection)
    # One state of the file for all statements.
    read.execute("begin")
    try:
        return select(keys, selection, _CurrentRecords(read), original_named)
    finally:
        read.execute("commit")


class _CurrentRecords:
    """A domain.selection.Source of what is current."""

    def __init__(self, read: sqlite3.Connection) -> None:
        self._read = read

    def _rows(self, query: str, *parameters: object) -> list[WeighedRecord]:
        return list(map(WeighedRecord._make, self._read.execute(query, parameters)))

    def recent(self, key: bytes, since: Instant) -> Sequence[WeighedRecord]:
        return self._rows(RECENT, key, since)

    def older(self, key: bytes, since: Instant, most: int) -> Sequence[WeighedRecord]:
        return self._rows(OLDER, key, since, most)

    def always(self, key: bytes) -> Sequence[WeighedRecord]:
        return self._rows(ALWAYS_GIVEN, key)

    def clearing(self, key: bytes, after: int, most: int) -> Sequence[WeighedRecord]:
        return self._rows(CLEARING, key, after, most)

    def own(self, key: bytes, region: str, most: int) -> Sequence[WeighedRecord]:
        return self._rows(OWN, key, region, most)

    def original(self, key: bytes, record: RecordId) -> Sequence[tuple[bytes, WeighedRecord]]:
        return [(row.person_key, row) for row in self._rows(ORIGINAL, *record, key)]


def read_by_time(
    read: sqlite3.Connection, most: int, after: Place, end: Instant, known_at: Instant
) -> list[tuple[Place, RevisionBodies]]:
    """Returns a turn's records by their place in time, each with that place."""
    rows = read.execute(BY_TIME, (most, end, known_at, *after))
    return list(records_of(PlacedRevision(Place(*row[:5]), row[5]) for row in rows))
