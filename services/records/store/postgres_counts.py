"""The counts of laboratories' quality in PostgreSQL.

Their tables are ordinary ones; on Citus they stay on the coordinator, and no statement here reads them together with
what is distributed.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg

from services.common.instants import Instant
from services.records.domain.quality import Key, Sample
from services.records.domain.tally import SpanKey
from services.records.store.counts import Accused, Counted, Counts, RecordKey, Revisions, Standing
from services.records.store.postgres_write import HELD
from services.records.store.protocol import ChangeRow
from services.records.store.rows import by_record

# Numbers have no gaps, so a range of numbers needs no limit, and each partition answers from its index.
CHANGES = """
select sequence, false as is_laboratory, body, 0::bigint from revision where sequence > $1 and sequence <= $2
union all
select sequence, true, body, 0 from laboratory where sequence > $1 and sequence <= $2
union all
select last, false, ''::bytea, first from purged where last > $1 and first <= $2
order by 1
"""

_HEAD = """
select sequence, coalesce((
    select arrived_at from feed_mark where last_sequence <= $1 order by last_sequence desc limit 1
), 0) from feed_head
"""

_REVISIONS = """
select r.person_key, r.region, r.source_id, r.sequence, r.body
from unnest($1::bytea[], $2::text[], $3::text[]) as asked(person_key, region, source_id)
cross join lateral (
    select * from revision
    where person_key = asked.person_key and region = asked.region and source_id = asked.source_id and sequence <= $4
    order by revision
) as r
"""

_PEOPLE = """
select r.person_key, r.region, r.source_id, r.sequence, r.body
from unnest($1::bytea[]) as asked(person_key) cross join lateral (
    select * from revision where person_key = asked.person_key and sequence <= $2 order by region, source_id, revision
) as r
"""

_ACCUSED = """
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

_ENDED = """
delete from count_waiting as w using unnest($1::bigint[], $2::text[], $3::text[]) as e(placed_at, region, source_id)
where (w.placed_at, w.region, w.source_id) = (e.placed_at, e.region, e.source_id)
"""

_MOVE = "update count_head set sequence = $1, complete = $2 where rules = $3 and sequence = $4 returning sequence"

_TURN = "hashtext('hutong.records.counting')"


def _columns(rows: Sequence[Sequence[Any]], count: int) -> list[list[Any]]:
    return list(map(list, zip(*rows, strict=True))) if rows else [[] for _ in range(count)]


class _PostgresCounts:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def standing(self) -> Standing:
        """See Counts."""
        rules, sequence, complete = await self._connection.fetchrow("select rules, sequence, complete from count_head")
        head, as_of = await self._connection.fetchrow(_HEAD, sequence)
        return Standing(rules, sequence, complete, as_of, head)

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See Counts."""
        return [ChangeRow(*row) for row in await self._connection.fetch(CHANGES, after, after + most)]

    async def record_keys(self, ids: Sequence[tuple[str, str]]) -> Sequence[RecordKey]:
        """See Counts."""
        rows = await self._connection.fetch(HELD, *_columns(ids, 2))
        return [(person_key, region, source_id) for region, source_id, person_key in rows]

    async def revisions(self, records: Sequence[RecordKey], up_to: int) -> Mapping[RecordKey, Revisions]:
        """See Counts."""
        rows = await self._connection.fetch(_REVISIONS, *_columns(records, 3), up_to)
        return by_record((tuple(row[:3]), row[3], row[4]) for row in rows)

    async def people(self, person_keys: Sequence[bytes], up_to: int) -> Mapping[bytes, Sequence[Revisions]]:
        """See Counts."""
        rows = await self._connection.fetch(_PEOPLE, list(person_keys), up_to)
        people: dict[bytes, list[Revisions]] = {}
        for key, revisions in by_record((tuple(row[:3]), row[3], row[4]) for row in rows).items():
            people.setdefault(key[0], []).append(revisions)
        return people

    async def accused(self, asked: Sequence[Accused]) -> Sequence[Accused]:
        """See Counts."""
        return [(row[0], row[1]) for row in await self._connection.fetch(_ACCUSED, *_columns(asked, 2))]

    async def tallies(self, keys: Sequence[Key]) -> Mapping[Key, bytes]:
        """See Counts."""
        rows = await self._connection.fetch(_TALLIES, *_columns(keys, 2))
        return {(laboratory, day): body for laboratory, day, body in rows}

    async def tallies_between(self, first: int, last: int) -> Mapping[Key, bytes]:
        """See Counts."""
        query = "select laboratory, day, body from count_tally where day between $1 and $2"
        rows = await self._connection.fetch(query, first, last)
        return {(laboratory, day): body for laboratory, day, body in rows}

    async def spans(self, keys: Sequence[SpanKey]) -> Mapping[SpanKey, bytes]:
        """See Counts."""
        rows = await self._connection.fetch(_SPANS, *_columns(keys, 3))
        return {(laboratory, day, span): body for laboratory, day, span, body in rows}

    async def waiting_by_laboratory(self, first: Instant, end: Instant) -> Mapping[str, int]:
        """See Counts."""
        query = "select laboratory, count(*) from count_waiting where placed_at >= $1 and placed_at < $2 group by 1"
        return dict(map(tuple, await self._connection.fetch(query, first, end)))

    async def waiting(self, laboratory: str, first: Sample, end: Instant, most: int) -> Sequence[Sample]:
        """See Counts."""
        asked = (*first[:3], end, most)
        if laboratory:
            rows = await self._connection.fetch(WAITING_OF_LABORATORY, *asked, laboratory)
        else:
            rows = await self._connection.fetch(WAITING, *asked)
        return [Sample(*row) for row in rows]


Run = Callable[[Callable[[asyncpg.Connection], Awaitable[Any]]], Awaitable[Any]]


class PostgresCountStore:
    """A CountStore in the database of a PostgresStore, which lends its connections: `run` for a piece of work that may
    be done twice, `connection` for one that goes on in pieces."""

    def __init__(self, run: Run, connection: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]) -> None:
        self._run = run
        self._connection = connection

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Counts]:
        """See CountStore."""
        async with self._connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield _PostgresCounts(connection)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[bool]:
        """See CountStore. Who loses the connection loses the turn; that two count then, `count` makes harmless."""
        async with self._connection() as connection:
            mine = await connection.fetchval(f"select pg_try_advisory_lock({_TURN})")
            try:
                yield mine
            finally:
                if mine and not connection.is_closed():
                    await connection.execute(f"select pg_advisory_unlock({_TURN})")

    async def begin(self, rules: int) -> None:
        """See CountStore."""

        async def begin(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                await connection.execute("truncate count_tally, count_span, count_waiting, count_accused")
                await connection.execute("update count_head set rules = $1, sequence = 0, complete = false", rules)

        await self._run(begin)

    async def count(self, counted: Counted) -> bool:
        """See CountStore. Done again when the connection is lost: it then stands where it went, and nothing is counted
        twice."""

        async def keep(connection: asyncpg.Connection) -> bool:
            async with connection.transaction():
                return await _keep(connection, counted)

        return bool(await self._run(keep))


async def _keep(connection: asyncpg.Connection, counted: Counted) -> bool:
    moved = await connection.fetchval(_MOVE, counted.sequence, counted.complete, counted.rules, counted.since)
    if moved is None:
        return False
    tallies = [(day, laboratory, body) for (laboratory, day), body in counted.tallies.items()]
    await _put(connection, "count_tally", {"day": "int", "laboratory": "text"}, tallies)
    spans = [(day, laboratory, span, body) for (laboratory, day, span), body in counted.spans.items()]
    await _put(connection, "count_span", {"day": "int", "laboratory": "text", "span": "int"}, spans)
    if counted.ended:
        await connection.execute(_ENDED, *_columns([sample[:3] for sample in counted.ended], 3))
    if counted.waiting:
        await connection.execute(
            "insert into count_waiting select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) "
            "on conflict (placed_at, region, source_id) do update set laboratory = excluded.laboratory",
            *_columns(counted.waiting, 4),
        )
    if counted.accused:
        await connection.execute(
            "insert into count_accused select * from unnest($1::bytea[], $2::int[]) on conflict do nothing",
            *_columns(counted.accused, 2),
        )
    return True


async def _put(
    connection: asyncpg.Connection, table: str, key: Mapping[str, str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Rows by key, each with its body; those with an empty one are taken away."""
    names = ", ".join(key)
    arrays = [f"${n}::{kind}[]" for n, kind in enumerate(key.values(), 1)]
    there = [row for row in rows if row[-1]]
    if there:
        await connection.execute(
            f"insert into {table} select * from unnest({', '.join(arrays)}, ${len(key) + 1}::bytea[]) "
            f"on conflict ({names}) do update set body = excluded.body",
            *_columns(there, len(key) + 1),
        )
    gone = [row[:-1] for row in rows if not row[-1]]
    if gone:
        await connection.execute(
            f"delete from {table} where ({names}) in (select * from unnest({', '.join(arrays)}))",
            *_columns(gone, len(key)),
        )


async def forget_counted(
    connection: asyncpg.Connection, places: Sequence[tuple[int, str, str]], people: Sequence[bytes]
) -> None:
    """Takes away what is kept about records that are purged, given with their places in time, and about people of whom
    no record is left. The figures of their days stay."""
    await connection.execute(_ENDED, *_columns(places, 3))
    await connection.execute("delete from count_accused where person_key = any($1::bytea[])", list(people))
