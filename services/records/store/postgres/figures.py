"""Reads the counts of laboratories' quality, and the feed they are made of, in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from services.common.instants import Instant
from services.records.domain.quality import Key, Sample
from services.records.domain.tally import SpanKey
from services.records.store.postgres.keyed_statement import HOLDERS, KeyedStatement
from services.records.store.rows import by_record
from services.records.store.values.feed import ChangeRow
from services.records.store.values.figures import CountProgress, NumberedRevisions, PositiveDay, RecordKey

# Numbers have no gaps, so a range of numbers needs no limit, and each partition answers from its index.
CHANGES = """
select sequence, false as is_laboratory, body, 0::bigint from revision where sequence > $1 and sequence <= $2
union all
select sequence, true, body, 0 from laboratory where sequence > $1 and sequence <= $2
union all
select last, false, ''::bytea, first from purged where last > $1 and first <= $2
order by 1
"""

PURGED = """
select coalesce(sum(least(last, $2) - greatest(first, $1 + 1) + 1), 0)::bigint from purged
where last > $1 and first <= $2
"""

_HEAD = """
select sequence, coalesce((
    select arrived_at from feed_mark where last_sequence <= $1 order by last_sequence desc limit 1
), 0) from feed_head
"""

_REVISIONS = KeyedStatement(
    """
select r.person_key, r.region, r.source_id, r.sequence, r.body
from unnest($1::bytea[], $2::text[], $3::text[]) as asked(person_key, region, source_id)
cross join lateral (
    select * from revision
    where person_key = asked.person_key and region = asked.region and source_id = asked.source_id and sequence <= $4
    order by revision
) as r
""",
    """
select person_key, region, source_id, sequence, body from revision
where person_key = $1 and region = $2 and source_id = $3 and sequence <= $4 order by revision
""",
)

_PEOPLE = KeyedStatement(
    """
select r.person_key, r.region, r.source_id, r.sequence, r.body
from unnest($1::bytea[]) as asked(person_key) cross join lateral (
    select * from revision where person_key = asked.person_key and sequence <= $2 order by region, source_id, revision
) as r
""",
    """
select person_key, region, source_id, sequence, body from revision
where person_key = $1 and sequence <= $2 order by region, source_id, revision
""",
)

_POSITIVE_DAYS = """
select person_key, day from count_accused join unnest($1::bytea[], $2::int[]) as asked(person_key, day)
using (person_key, day)
"""

_TALLIES = """
select laboratory, day, body from count_tally join unnest($1::text[], $2::int[]) as asked(laboratory, day)
using (laboratory, day)
"""

_SPANS = """
select laboratory, day, span, body
from count_span join unnest($1::text[], $2::int[], $3::int[]) as asked(laboratory, day, span)
using (laboratory, day, span)
"""

WAITING = """
select placed_at, region, source_id, laboratory from count_waiting
where (placed_at, region, source_id) > ($1, $2, $3) and placed_at < $4
order by placed_at, region, source_id limit $5
"""

WAITING_OF_LABORATORY = """
select placed_at, region, source_id, laboratory from count_waiting
where laboratory = $6 and (placed_at, region, source_id) > ($1, $2, $3) and placed_at < $4
order by placed_at, region, source_id limit $5
"""


def columns(rows: Sequence[Sequence[Any]], count: int) -> list[list[Any]]:
    """Rows as arrays, for `unnest`; so many empty ones where there is no row."""
    return list(map(list, zip(*rows, strict=True))) if rows else [[] for _ in range(count)]


class PostgresFigures:
    """FigureReads as one connection, in one transaction, sees them. `distributed`: the database is a cluster's."""

    def __init__(self, connection: asyncpg.Connection, *, distributed: bool) -> None:
        self._connection = connection
        self._distributed = distributed

    async def progress(self) -> CountProgress:
        """See FigureReads."""
        rules, sequence, complete = await self._connection.fetchrow("select rules, sequence, complete from count_head")
        head, as_of = await self._connection.fetchrow(_HEAD, sequence)
        return CountProgress(rules, sequence, complete, as_of, head)

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See FigureReads."""
        return [ChangeRow(*row) for row in await self._connection.fetch(CHANGES, after, after + most)]

    async def purged(self, after: int, up_to: int) -> int:
        """See FigureReads."""
        return int(await self._connection.fetchval(PURGED, after, up_to))

    async def record_keys(self, ids: Sequence[tuple[str, str]]) -> Sequence[RecordKey]:
        """See FigureReads."""
        rows = await HOLDERS.fetch(self._connection, ids, distributed=self._distributed)
        return [(person_key, region, source_id) for region, source_id, person_key in rows]

    async def revisions(self, records: Sequence[RecordKey], up_to: int) -> Mapping[RecordKey, NumberedRevisions]:
        """See FigureReads."""
        rows = await _REVISIONS.fetch(self._connection, records, up_to, distributed=self._distributed)
        return by_record((tuple(row[:3]), row[3], row[4]) for row in rows)

    async def people(self, person_keys: Sequence[bytes], up_to: int) -> Mapping[bytes, Sequence[NumberedRevisions]]:
        """See FigureReads."""
        rows = await _PEOPLE.fetch(
            self._connection, [(key,) for key in person_keys], up_to, distributed=self._distributed
        )
        people: dict[bytes, list[NumberedRevisions]] = {}
        for key, revisions in by_record((tuple(row[:3]), row[3], row[4]) for row in rows).items():
            people.setdefault(key[0], []).append(revisions)
        return people

    async def positive_days(self, asked: Sequence[PositiveDay]) -> Sequence[PositiveDay]:
        """See FigureReads."""
        return [(row[0], row[1]) for row in await self._connection.fetch(_POSITIVE_DAYS, *columns(asked, 2))]

    async def tallies(self, keys: Sequence[Key]) -> Mapping[Key, bytes]:
        """See FigureReads."""
        rows = await self._connection.fetch(_TALLIES, *columns(keys, 2))
        return {(laboratory, day): body for laboratory, day, body in rows}

    async def tallies_between(self, first: int, last: int) -> Mapping[Key, bytes]:
        """See FigureReads."""
        query = "select laboratory, day, body from count_tally where day between $1 and $2"
        rows = await self._connection.fetch(query, first, last)
        return {(laboratory, day): body for laboratory, day, body in rows}

    async def spans(self, keys: Sequence[SpanKey]) -> Mapping[SpanKey, bytes]:
        """See FigureReads."""
        rows = await self._connection.fetch(_SPANS, *columns(keys, 3))
        return {(laboratory, day, span): body for laboratory, day, span, body in rows}

    async def waiting_by_laboratory(self, first: Instant, end: Instant) -> Mapping[str, int]:
        """See FigureReads."""
        query = "select laboratory, count(*) from count_waiting where placed_at >= $1 and placed_at < $2 group by 1"
        return dict(map(tuple, await self._connection.fetch(query, first, end)))

    async def waiting(self, laboratory: str, first: Sample, end: Instant, most: int) -> Sequence[Sample]:
        """See FigureReads."""
        asked = (*first[:3], end, most)
        if laboratory:
            rows = await self._connection.fetch(WAITING_OF_LABORATORY, *asked, laboratory)
        else:
            rows = await self._connection.fetch(WAITING, *asked)
        return [Sample(*row) for row in rows]
