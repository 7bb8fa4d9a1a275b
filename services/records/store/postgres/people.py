"""Reads people's records in PostgreSQL.

The keys of one moment share a query. The last row of each answer is the end of the feed, in columns of its own, so that
it costs no round trip.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from services.common.instants import Instant
from services.records.domain.revisions import always_given
from services.records.domain.selection import MOST_COUNTED, Chosen, LeftOut, Selection
from services.records.store.postgres.figures import columns
from services.records.store.postgres.keyed_statement import HOLDERS, KeyedStatement
from services.records.store.rows import by_person
from services.records.store.selection import (
    WEIGHED_COLUMNS,
    WeighedRecord,
    original_named,
    selected,
)
from services.records.store.values.records import LATEST, CurrentRecord, People

_ALL, _NEWEST, _ALWAYS, _CLEARING, _OWN, _COUNT = range(6)

_ORIGINALS_OF_OTHERS = 50
"""So many records of a person may be given because other documents of the same person have copies of them."""

_CURRENT = "superseded_at = 4611686018427387904"
_NO_END = (
    "null::bigint as laboratory_sequence, null::bigint as sequence, null::bigint as head_at, null::bigint as purged, "
    "null as feed_id, null::bigint as moved_keys"
)
_NO_ROW = (
    "null::int, null::bytea, null, null, null::bigint, null, null::bytea, null::bigint, null::bigint, null::int, "
    "null::boolean"
)
_END = (
    f"{_NO_ROW}, laboratory_sequence, sequence, recorded_at as head_at, purged_before as purged, feed_id, moved_keys "
    "from feed_head"
)
_NEWEST_FIRST = 'latest_at desc, region collate "C", source_id collate "C"'
_OLDEST_FIRST = 'latest_at, region collate "C", source_id collate "C"'

_PEOPLE = KeyedStatement(
    # The lateral subquery keeps each person's rows in the order of the primary key.
    f"""
select {_ALL} as part, r.*, {_NO_END} from unnest($1::bytea[]) as asked(person_key) cross join lateral (
    select {WEIGHED_COLUMNS} from revision
    where person_key = asked.person_key and recorded_at <= $2 and superseded_at > $2
    order by region, source_id
) as r
union all select {_END}
""",
    f"""
select {_ALL} as part, r.*, {_NO_END} from (
    select {WEIGHED_COLUMNS} from revision
    where person_key = $1 and recorded_at <= $2 and superseded_at > $2
    order by region, source_id
) as r
union all select {_END}
""",
)

_NOBODY = f"select {_END}"


class _Rows:
    """The rows that a selection is made of: what is current or, `then`, was at $6."""

    def __init__(self, *, then: bool) -> None:
        self._then = then
        self._known = f"{_CURRENT} and recorded_at <= $6" if then else _CURRENT

    def superseded(self, asked: str, key: str) -> str:
        """Returns what the statement names first: of earlier instants, what was current then and is no longer."""
        if not self._then:
            return ""
        return f"""superseded as materialized (
    select r.* from {asked} cross join lateral (
        select {WEIGHED_COLUMNS} from revision
        where person_key = {key} and superseded_at > $6 and superseded_at < 4611686018427387904 and recorded_at <= $6
        order by superseded_at
    ) as r
), """

    def of(self, key: str, condition: str, order: str, most: str = "") -> str:
        """Returns the subquery of a person's rows that meet a condition, in an order, at most so many."""
        limit = f" limit {most}" if most else ""
        current = (
            f"(select {WEIGHED_COLUMNS} from revision where person_key = {key} and {self._known} and {condition} "
            f"order by {order}{limit})"
        )
        if not self._then:
            return current
        return (
            f"(select * from ({current} union all select {WEIGHED_COLUMNS} from superseded "
            f"where person_key = {key} and {condition}) as either order by {order}{limit})"
        )

    def always(self, key: str) -> str:
        """Returns the subquery of what is always given of a person."""
        current = (
            f"(select {WEIGHED_COLUMNS} from revision where person_key = {key} and {self._known} and always_given "
            "order by person_key)"
        )
        if not self._then:
            return current
        # Of what is no longer current, few, those that are always given are told apart in Python.
        return f"({current} union all select {WEIGHED_COLUMNS} from superseded where person_key = {key})"

    def count(self, key: str, condition: str, most: str) -> str:
        """Returns the number of a person's records that meet a condition, counted as far as `most` at the least."""
        current = (
            f"(select count(*) from (select 1 from revision where person_key = {key} and {self._known} and {condition} "
            f"limit {most}) as counted_so_far)"
        )
        if not self._then:
            return current
        return f"({current} + (select count(*) from superseded where person_key = {key} and {condition}))"


def _selected(asked: str, key: str, positive: str, *, then: bool = False) -> str:
    """Returns the statement that selects: for people named as `asked`, each by `key`; `positive` names who has one.
    `then`: as known at $6, by what is current and was known, and what has been superseded since.

    Where some of a region's own records are shown, no others are looked for. What is ordered is asked once for each
    person, of one partition; joined as a whole, all of them would be read. Older records are counted, by the index,
    where some are left out.
    """
    rows = _Rows(then=then)
    recent = rows.of(key, "latest_at >= $2", _NEWEST_FIRST)
    most = f"greatest(1, $3 - (select count(*) from recent where recent.person_key = {key}))"
    older = rows.of(key, "latest_at < $2", _NEWEST_FIRST, most)
    after = "latest_at > positive.placed_at and placed_at > positive.placed_at"
    clearing = rows.of(positive, f"{after} and weight = 1", _OLDEST_FIRST, "$4")
    own = rows.of(key, "region = own.region", _NEWEST_FIRST, "$3")
    # What is given of them is told from what is not: no more than the newest, what is always given with its originals,
    # what clears the newest of either kind that counts against, what regions have of their own, and originals that
    # other people's copies name.
    always = f"(select count(*) from always where always.person_key = {key})"
    given = f"$3 + 2 * {always} + 2 * $4 + $3 * cardinality($5::text[]) + {_ORIGINALS_OF_OTHERS}"
    count = rows.count(
        key, "latest_at < $2 and not retracted and counted.region in ('', region)", f"{MOST_COUNTED + 1} + {given}"
    )
    # With an offset it is asked once for each person, and joined with nothing.
    keeps = f"exists (select 1 from revision where person_key = {key} and region = {{}} offset 0)"
    return f"""
with {rows.superseded(asked, key)}recent as materialized (
    select r.* from {asked} cross join lateral {recent} as r
), shown as materialized (
    select * from recent
    union all
    select r.* from {asked} cross join lateral {older} as r
), always as materialized (
    select r.* from {asked} cross join lateral {rows.always(key)} as r
)
select {_NEWEST} as part, shown.*, {_NO_END} from shown
union all
select {_ALWAYS}, always.*, {_NO_END} from always
union all
select {_CLEARING}, r.*, {_NO_END}
from (
    select person_key, max(placed_at) as placed_at from always where weight in (2, 3) group by person_key, weight
) as positive
cross join lateral {clearing} as r
union all
select {_OWN}, r.*, {_NO_END}
from {asked} cross join unnest($5::text[]) as own(region) cross join lateral {own} as r
where not exists (select 1 from shown where shown.person_key = {key} and shown.region = own.region)
and {keeps.format("own.region")}
union all
select {_COUNT}, {key}, counted.region, null, {count}, null, null, null, null, null, null, {_NO_END}
from {asked} cross join (select '' as region union all select unnest($5::text[])) as counted
where (select count(*) >= $3 and min(latest_at) < $2 from shown where shown.person_key = {key})
and (counted.region = '' or {keeps.format("counted.region")})
union all select {_END}
"""


_TOGETHER, _TOGETHER_THEN = (
    _selected("unnest($1::bytea[]) as asked(person_key)", "asked.person_key", "positive.person_key", then=then)
    for then in (False, True)
)
_APART, _APART_THEN = (
    _selected("(select $1::bytea) as asked(person_key)", "$1", "$1", then=then) for then in (False, True)
)
"""A statement for each person, sent together: it goes to one partition, known before it begins. On a cluster there is
no other way: no node can stop at the newest few of many people, but at those of the one it is asked about."""

_MANY = 16
"""From so many people on, one statement that may look into all partitions costs less than one for each."""

_ORIGINALS = KeyedStatement(
    f"""
select r.*
from unnest($1::bytea[], $2::text[], $3::text[]) as asked(person_key, region, source_id) cross join lateral (
    select {WEIGHED_COLUMNS} from revision
    where person_key = asked.person_key and region = asked.region and source_id = asked.source_id
    and recorded_at <= $4 and superseded_at > $4
    order by revision
) as r
""",
    f"""
select {WEIGHED_COLUMNS} from revision
where person_key = $1 and region = $2 and source_id = $3 and recorded_at <= $4 and superseded_at > $4
order by revision
""",
)

_FORMER = """
select person_key, region, source_id from former_holder
where (region, source_id) in (select * from unnest($1::text[], $2::text[]))
"""

_END_COLUMNS = ("laboratory_sequence", "sequence", "head_at", "purged", "feed_id", "moved_keys")
"""The columns of the end of the feed, in the order of its fields."""


class _End(NamedTuple):
    """The state of laboratories, feed and retention."""

    laboratories: int
    sequence: int
    recorded_at: Instant
    purged_before: Instant
    feed_id: str
    moved_keys: int


class _Answer:
    """The rows of an answer, by part and person, and the end of the feed."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._parts: dict[tuple[int, bytes], list[WeighedRecord]] = {}
        self.counts: dict[tuple[bytes, str], int] = {}
        """How many older records a person has of a region, or of any, where that was asked."""
        ends = []
        for row in rows:
            if row[0] is None:
                ends.append(_End(*(row[name] for name in _END_COLUMNS)))
            elif row[0] == _COUNT:
                self.counts[row[1], row[2]] = row[4]
            else:
                self._parts.setdefault((row[0], row[1]), []).append(WeighedRecord(*row[1:11]))
        # Of several looks: what the first had, and of laboratories and purges what any tells.
        self.end = _End(
            max(end.laboratories for end in ends),
            min(end.sequence for end in ends),
            Instant(min(end.recorded_at for end in ends)),
            Instant(max(end.purged_before for end in ends)),
            ends[-1].feed_id,
            ends[-1].moved_keys if len({end.moved_keys for end in ends}) == 1 else -1,
        )

    def of(self, part: int, key: bytes) -> list[WeighedRecord]:
        """Returns the rows of one part and person."""
        return self._parts.get((part, key), [])

    def rows(self) -> Iterable[WeighedRecord]:
        """Returns all rows, in order."""
        return (row for rows in self._parts.values() for row in rows)


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
    last_known = Instant(min(known_at, LATEST - 1))
    if selection is None or not keys:
        rows = await _PEOPLE.fetch(connection, [(key,) for key in keys], last_known, distributed=distributed)
        answer = _Answer(rows or await connection.fetch(_NOBODY))
        return _people(by_person(row.record for row in answer.rows()), {}, answer.end)
    then = [known_at] if known_at < LATEST else []
    asked = (selection.since, selection.newest + 1, selection.clearing, list(selection.own_regions), *then)
    if distributed or len(keys) < _MANY:
        rows = await connection.fetchmany(_APART_THEN if then else _APART, [(key, *asked) for key in keys])
    else:
        rows = await connection.fetch(_TOGETHER_THEN if then else _TOGETHER, keys, *asked)
    answer = _Answer(rows)
    choices = {key: _choice(answer, key, selection) for key in keys}
    end = answer.end
    if await _add_originals(connection, choices, last_known, distributed=distributed):
        moved_keys = await connection.fetchval("select moved_keys from feed_head")
        end = end if moved_keys == end.moved_keys else end._replace(moved_keys=-1)
    return _people(*selected(choices), end)


def _choice(answer: _Answer, key: bytes, selection: Selection) -> Chosen[WeighedRecord]:
    always = [row for row in answer.of(_ALWAYS, key) if always_given(row.weight, original_named(row))]
    choice = Chosen(selection, answer.of(_NEWEST, key), always, original_named)
    own: dict[str, list[WeighedRecord]] = {}
    for row in answer.of(_OWN, key):
        own.setdefault(row.region, []).append(row)
    wanted = choice.wanted
    choice.complete(
        answer.of(_CLEARING, key) if wanted.clearing else (), {region: own.get(region, []) for region in wanted.own}
    )
    for region in choice.to_count:
        choice.count(region, answer.counts[key, region])
    return choice


async def _add_originals(
    connection: asyncpg.Connection,
    choices: Mapping[bytes, Chosen[WeighedRecord]],
    known_at: Instant,
    *,
    distributed: bool,
) -> bool:
    """Returns whether anything had to be asked."""
    originals = {(key, *original) for key, choice in choices.items() for original in choice.wanted.originals}
    if not originals:
        return False
    # An original may be another document's, which may be the same person's, or may have been.
    ids = sorted({original[1:] for original in originals})
    held = await HOLDERS.fetch(connection, ids, distributed=distributed)
    held += await connection.fetch(_FORMER, *columns(ids, 2))
    originals |= {(row["person_key"], row["region"], row["source_id"]) for row in held if row["person_key"] in choices}
    for row in await _ORIGINALS.fetch(connection, sorted(originals), known_at, distributed=distributed):
        choices[row["person_key"]].add([WeighedRecord(*row)])
    return True


def _people(
    records: Mapping[bytes, Sequence[CurrentRecord]],
    left_out: Mapping[bytes, Mapping[str, LeftOut]],
    end: _End,
) -> People:
    return People(
        records,
        end.laboratories,
        end.recorded_at,
        end.sequence,
        end.purged_before,
        left_out,
        end.feed_id,
        end.moved_keys,
    )
