"""Reads people's records in PostgreSQL.

The keys of one moment share a query. The last row of each answer is the end of the feed, in columns of its own, so that
it costs no round trip.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from services.common.instants import Instant
from services.records.domain.selection import Chosen, Selection
from services.records.store.postgres.figures import columns
from services.records.store.postgres.unit_of_work import HELD
from services.records.store.rows import by_person
from services.records.store.selection import (
    WEIGHED_COLUMNS,
    WeighedRecord,
    choices_of_all,
    original_named,
    selected,
)
from services.records.store.values.records import LATEST, CurrentRecord, People

_ALL, _RECENT, _OLDER, _ALWAYS, _CLEARING, _OWN = range(6)

_CURRENT = "superseded_at = 4611686018427387904"
_NO_END = (
    "null::bigint as laboratory_sequence, null::bigint as sequence, null::bigint as head_at, null::bigint as purged, "
    "null as feed_id"
)
_NO_ROW = "null::int, null::bytea, null, null, null::bigint, null, null::bytea, null::bigint, null::bigint, null::int"
_END = f"{_NO_ROW}, laboratory_sequence, sequence, recorded_at, purged_before, feed_id from feed_head"
_NEWEST_FIRST = 'latest_at desc, region collate "C", source_id collate "C"'

# The lateral subquery keeps each person's rows in the order of the primary key.
_PEOPLE = f"""
select {_ALL} as part, r.*, {_NO_END} from unnest($1::bytea[]) as asked(person_key) cross join lateral (
    select {WEIGHED_COLUMNS} from revision
    where person_key = asked.person_key and recorded_at <= $2 and superseded_at > $2
    order by region, source_id
) as r
union all select {_END}
"""


def _selected(asked: str, key: str, positive: str) -> str:
    """Returns the statement that selects: for people named as `asked`, each by `key`; `positive` names who has one.

    A region's own records are found by the primary key, which tells at once where there are none: the sum hides the
    other index. Where some of them are shown, no others are looked for. What is ordered is asked once for each person,
    of one partition; joined as a whole, all of them would be read.
    """
    return f"""
with shown as materialized (
    select {_RECENT} as part, r.* from {asked} cross join lateral (
        select {WEIGHED_COLUMNS} from revision
        where person_key = {key} and {_CURRENT} and latest_at >= $2 order by latest_at
    ) as r
    union all
    select {_OLDER}, r.* from {asked} cross join lateral (
        select {WEIGHED_COLUMNS} from revision
        where person_key = {key} and {_CURRENT} and latest_at < $2 order by {_NEWEST_FIRST} limit $3
    ) as r
), always as materialized (
    select {_ALWAYS} as part, r.* from {asked} cross join lateral (
        select {WEIGHED_COLUMNS} from revision
        where person_key = {key} and {_CURRENT} and always_given order by person_key
    ) as r
)
select shown.*, {_NO_END} from shown
union all
select always.*, {_NO_END} from always
union all
select {_CLEARING}, r.*, {_NO_END}
from (
    select person_key, max(placed_at) as placed_at from always where weight in (2, 3) group by person_key, weight
) as positive
cross join lateral (
    select {WEIGHED_COLUMNS} from revision
    where person_key = {positive} and {_CURRENT}
    and latest_at > positive.placed_at and placed_at > positive.placed_at and weight = 1
    order by latest_at, region collate "C", source_id collate "C" limit $4
) as r
union all
select {_OWN}, r.*, {_NO_END}
from {asked} cross join unnest($5::text[]) as own(region) cross join lateral (
    select {WEIGHED_COLUMNS} from revision
    where person_key = {key} and region = own.region and superseded_at + 0 = 4611686018427387904
    order by latest_at desc, source_id collate "C" limit $3
) as r
where not exists (select 1 from shown where shown.person_key = {key} and shown.region = own.region)
union all select {_END}
"""


_TOGETHER = _selected("unnest($1::bytea[]) as asked(person_key)", "asked.person_key", "positive.person_key")
_APART = _selected("(select $1::bytea) as asked(person_key)", "$1", "$1")
"""A statement for each person, sent together: it goes to one partition, known before it begins. On a cluster there is
no other way: no node can stop at the newest few of many people, but at those of the one it is asked about."""

_MANY = 16
"""From so many people on, one statement that may look into all partitions costs less than one for each."""

_ORIGINALS = f"""
select r.*
from unnest($1::bytea[], $2::text[], $3::text[]) as asked(person_key, region, source_id) cross join lateral (
    select {WEIGHED_COLUMNS} from revision
    where person_key = asked.person_key and region = asked.region and source_id = asked.source_id and {_CURRENT}
    order by revision
) as r
"""

_END_COLUMNS = ("laboratory_sequence", "sequence", "head_at", "purged", "feed_id")
"""The columns of the end of the feed, in the order of its fields."""


class _End(NamedTuple):
    """The state of laboratories, feed and retention."""

    laboratories: int
    sequence: int
    recorded_at: Instant
    purged_before: Instant
    feed_id: str


class _Answer:
    """The rows of an answer, by part and person, and the end of the feed."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._parts: dict[tuple[int, bytes], list[WeighedRecord]] = {}
        ends = []
        for row in rows:
            if row[0] is None:
                ends.append(_End(*(row[name] for name in _END_COLUMNS)))
            else:
                self._parts.setdefault((row[0], row[1]), []).append(WeighedRecord(*row[1:10]))
        # Of several looks: what the first had, and of laboratories and purges what any tells.
        self.end = _End(
            max(end.laboratories for end in ends),
            min(end.sequence for end in ends),
            Instant(min(end.recorded_at for end in ends)),
            Instant(max(end.purged_before for end in ends)),
            ends[-1].feed_id,
        )

    def of(self, part: int, key: bytes) -> list[WeighedRecord]:
        """Returns the rows of one part and person."""
        return self._parts.get((part, key), [])

    def rows(self) -> Iterable[WeighedRecord]:
        """Returns all rows, in order."""
        return (row for rows in self._parts.values() for row in rows)


async def is_distributed(connection: asyncpg.Connection) -> bool:
    """Says whether the tables are those of a cluster."""
    return bool(await connection.fetchval("select bool_or(distributed) from store_migration where store = 'records'"))


async def people(
    connection: asyncpg.Connection,
    keys: Sequence[bytes],
    known_at: Instant,
    selection: Selection | None,
    *,
    distributed: bool,
) -> People:
    """Returns these people's records as RecordReads.people does; `as_of` is that of the last commit. `distributed`: the
    database is a cluster's."""
    if selection is None or known_at < LATEST or not keys:
        # A selection of what was known then is asked seldom: the indexes tell what is current now.
        answer = _Answer(await connection.fetch(_PEOPLE, keys, min(known_at, LATEST - 1)))
        if selection is None:
            return _people(by_person(row.record for row in answer.rows()), {}, answer.end)
        return _people(*selected(choices_of_all(answer.rows(), selection)), answer.end)
    asked = (selection.since, selection.newest + 1, selection.clearing, list(selection.own_regions))
    if distributed or len(keys) < _MANY:
        answer = _Answer(await connection.fetchmany(_APART, [(key, *asked) for key in keys]))
    else:
        answer = _Answer(await connection.fetch(_TOGETHER, keys, *asked))
    choices = {key: _choice(answer, key, selection) for key in keys}
    await _add_originals(connection, choices)
    return _people(*selected(choices), answer.end)


def _choice(answer: _Answer, key: bytes, selection: Selection) -> Chosen[WeighedRecord]:
    recent, older, always = (answer.of(part, key) for part in (_RECENT, _OLDER, _ALWAYS))
    choice = Chosen(selection, recent, older, always, original_named)
    own: dict[str, list[WeighedRecord]] = {}
    for row in answer.of(_OWN, key):
        own.setdefault(row.region, []).append(row)
    wanted = choice.wanted
    choice.complete(
        answer.of(_CLEARING, key) if wanted.clearing else (), {region: own.get(region, []) for region in wanted.own}
    )
    return choice


async def _add_originals(connection: asyncpg.Connection, choices: Mapping[bytes, Chosen[WeighedRecord]]) -> None:
    originals = {(key, *original) for key, choice in choices.items() for original in choice.wanted.originals}
    if not originals:
        return
    # An original may be another document's, which may be the same person's.
    held = await connection.fetch(HELD, *columns(sorted({original[1:] for original in originals}), 2))
    originals |= {(row["person_key"], row["region"], row["source_id"]) for row in held if row["person_key"] in choices}
    for row in await connection.fetch(_ORIGINALS, *columns(sorted(originals), 3)):
        choices[row["person_key"]].add([WeighedRecord(*row)])


def _people(
    records: Mapping[bytes, Sequence[CurrentRecord]],
    left_out: Mapping[bytes, Mapping[str, Instant]],
    end: _End,
) -> People:
    return People(records, end.laboratories, end.recorded_at, end.sequence, end.purged_before, left_out, end.feed_id)
