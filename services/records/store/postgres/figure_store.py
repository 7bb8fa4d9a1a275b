"""The counts of laboratories' quality in PostgreSQL, and how they are kept.

Their tables are ordinary ones; on Citus they stay on the coordinator, and no statement reads them together with what is
distributed.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import asyncpg

from services.records.store.postgres.figures import PURGED, PostgresFigures, columns
from services.records.store.protocols.figures import FigureReads
from services.records.store.values.figures import CountedChanges

_ENDED = """
delete from count_waiting as w using unnest($1::bigint[], $2::text[], $3::text[]) as e(placed_at, region, source_id)
where (w.placed_at, w.region, w.source_id) = (e.placed_at, e.region, e.source_id)
"""

AT_ONCE = 10_000
"""Rows forgotten in one statement. The service may delete rows, and need not be allowed to truncate tables."""

_RESET = "update count_head set rules = 0, sequence = 0, complete = false where rules <= $1"

_BEGIN = "update count_head set rules = $1 where rules = 0"

_HERE = "select rules, sequence from count_head for update"

_MOVE = "update count_head set sequence = $1, complete = $2"

_TURN = "hashtext('hutong.records.counting')"

Run = Callable[[Callable[[asyncpg.Connection], Awaitable[Any]]], Awaitable[Any]]


class PostgresFigureStore:
    """A FigureStore in the database of a PostgresStore, which lends its connections: `run` for a piece of work that may
    be done twice, `connection` for one that goes on in pieces. `distributed` says, of a database that was reached,
    whether it is a cluster's."""

    def __init__(
        self,
        run: Run,
        connection: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]],
        distributed: Callable[[], bool],
    ) -> None:
        self._run = run
        self._connection = connection
        self._distributed = distributed

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[FigureReads]:
        """See FigureStore."""
        async with self._connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield PostgresFigures(connection, distributed=self._distributed())

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[bool]:
        """See FigureStore. Who loses the connection loses the turn; that two count then, `count` makes harmless."""
        # A lock of the transaction's, not of the session's: behind a pooler the session is somebody else's next.
        async with self._connection() as connection, connection.transaction():
            # It stands idle for as long as the counting takes.
            await connection.execute("set local idle_in_transaction_session_timeout = 0")
            yield await connection.fetchval(f"select pg_try_advisory_xact_lock({_TURN})")

    async def begin(self, rules: int) -> None:
        """See FigureStore. Piece by piece, and again from here after a kill: until all is forgotten, no rules hold."""

        async def forget(connection: asyncpg.Connection, table: str) -> bool:
            async with connection.transaction():
                # Whoever lost the turn meanwhile must not take away what another counts by now.
                if not await connection.fetchval("select 1 from count_head where rules = 0 for update"):
                    return False
                query = f"delete from {table} where ctid = any(array(select ctid from {table} limit $1)) returning 1"
                return bool(await connection.fetch(query, AT_ONCE))

        await self._run(lambda connection: connection.execute(_RESET, rules))
        for table in ("count_tally", "count_span", "count_waiting", "count_accused"):
            while await self._run(partial(forget, table=table)):
                pass
        await self._run(lambda connection: connection.execute(_BEGIN, rules))

    async def count(self, counted: CountedChanges) -> bool:
        """See FigureStore. Done again when the connection is lost: it then stands where it went, and nothing is counted
        twice."""

        async def keep(connection: asyncpg.Connection) -> bool:
            async with connection.transaction():
                return await _keep(connection, counted)

        return bool(await self._run(keep))


async def _keep(connection: asyncpg.Connection, counted: CountedChanges) -> bool:
    if tuple(await connection.fetchrow(_HERE)) != (counted.rules, counted.since):
        return False
    # A purge holds that row too: what it took before is seen now, and it takes no more meanwhile.
    if await connection.fetchval(PURGED, counted.since, counted.sequence) != counted.purged:
        return False
    await connection.execute(_MOVE, counted.sequence, counted.complete)
    tallies = [(day, laboratory, body) for (laboratory, day), body in counted.tallies.items()]
    await _put(connection, "count_tally", {"day": "int", "laboratory": "text"}, tallies)
    spans = [(day, laboratory, span, body) for (laboratory, day, span), body in counted.spans.items()]
    await _put(connection, "count_span", {"day": "int", "laboratory": "text", "span": "int"}, spans)
    if counted.ended:
        await connection.execute(_ENDED, *columns([sample[:3] for sample in counted.ended], 3))
    if counted.waiting:
        await connection.execute(
            "insert into count_waiting select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) "
            "on conflict (placed_at, region, source_id) do update set laboratory = excluded.laboratory",
            *columns(counted.waiting, 4),
        )
    if counted.positive_days:
        await connection.execute(
            "insert into count_accused select * from unnest($1::bytea[], $2::int[]) on conflict do nothing",
            *columns(counted.positive_days, 2),
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
            *columns(there, len(key) + 1),
        )
    gone = [row[:-1] for row in rows if not row[-1]]
    if gone:
        await connection.execute(
            f"delete from {table} where ({names}) in (select * from unnest({', '.join(arrays)}))",
            *columns(gone, len(key)),
        )


async def keep_still(connection: asyncpg.Connection) -> None:
    """Nothing is counted while this transaction lasts. To be called before it locks anything else."""
    await connection.fetch(_HERE)


async def forget_waiting(connection: asyncpg.Connection, places: Sequence[tuple[int, str, str]]) -> None:
    """Nobody waits for the results of records that are purged, given as placed_at, region, source_id. The figures of
    their days stay."""
    await connection.execute(_ENDED, *columns(places, 3))


async def with_positive_days(connection: asyncpg.Connection, people: Sequence[bytes]) -> list[bytes]:
    """Returns those of these people who have, or had, a positive result that is counted."""
    query = "select distinct person_key from count_accused where person_key = any($1::bytea[])"
    return [row[0] for row in await connection.fetch(query, people)]


async def forget_positive_days(connection: asyncpg.Connection, people: Sequence[bytes]) -> None:
    """Keeps nothing about these people."""
    await connection.execute("delete from count_accused where person_key = any($1::bytea[])", people)
