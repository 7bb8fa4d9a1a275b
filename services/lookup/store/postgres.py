"""The holder store in PostgreSQL, for any number of processes.

One command is decided and written at a time: an advisory lock, held until the commit, makes the sequence grow in the
order of commits, so a follower never sees a number before a lesser one.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from services.common.instants import Instant
from services.lookup.domain.holders import (
    Command,
    Decision,
    HolderEvent,
    Link,
    Neighbourhood,
    Person,
    Switch,
    Switched,
    decide,
    people,
)
from services.lookup.store import rows
from services.lookup.store.protocol import unavailable
from services.runtime.migrations import SchemaError

_LOCK = 0x686F6C646572  # "holder": the name of the lock among the database's advisory locks

_HOLDERS = """
create table if not exists holder_log (
    sequence bigint primary key,
    action text not null check (action in ('link', 'unlink', 'switch')),
    person_key bytea not null,
    other_key bytea,
    region text,
    scope integer,
    cause text not null,
    request_id text not null,
    affected bytea[] not null,
    recorded_at bigint not null
);
create unique index if not exists holder_log_request on holder_log (request_id) where request_id <> '';
create table if not exists holder_link (
    person_key bytea not null,
    other_key bytea not null,
    primary key (person_key, other_key)
);
create table if not exists holder_switch (
    person_key bytea not null,
    region text not null,
    scope integer not null,
    sequence bigint not null,
    primary key (person_key, region)
);
"""

_MIGRATIONS = (_HOLDERS,)
"""From number 1 on. Databases made before they had numbers have the first's tables, which it leaves as they are. One
that was released is never edited: a change is a new one."""

_REACH = """
with recursive person (key) as (
    select unnest($1::bytea[])
    union
    select link.other_key from person join holder_link as link on link.person_key = person.key
)
"""
_EDGES = f"""{_REACH}
select link.person_key, link.other_key from person join holder_link as link on link.person_key = person.key
where link.person_key < link.other_key
"""
_SWITCHES = f"""{_REACH}
select switch.person_key, switch.region, switch.scope, switch.sequence
from person join holder_switch as switch on switch.person_key = person.key
"""
# Those who have neither a second document nor a switch drop out before anything is walked. A CTE that is used twice is
# computed once.
_PEOPLE = """
with recursive asked (key) as (
    select key from unnest($1::bytea[]) as given (key)
    where exists (select from holder_link as link where link.person_key = key)
       or exists (select from holder_switch as switch where switch.person_key = key)
), person (asked, key) as (
    select key, key from asked
    union
    select person.asked, link.other_key from person join holder_link as link on link.person_key = person.key
)
select person.asked, person.key, switch.region, switch.scope, switch.sequence
from person left join holder_switch as switch on switch.person_key = person.key
"""
_EARLIER = "select action, person_key, other_key, region, scope, cause from holder_log where request_id = $1"
_LAST = "select coalesce(max(sequence), 0) from holder_log"


class PostgresHolderStore:
    """See HolderStore. Opened at the first use, so that a service starts, unhealthy, while its database is down."""

    def __init__(self, url: str, *, pool_size: int = 8, timeout: float = 2.0) -> None:
        """`timeout` is what one statement or connection attempt may take, in seconds."""
        self._url = url
        self._pool_size = pool_size
        self._timeout = timeout
        self._opening = asyncio.Lock()
        self._pool: Any = None
        self._closed = False

    async def people(self, keys: Sequence[bytes]) -> dict[bytes, Person]:
        """See HolderStore."""
        async with self._connection() as connection:
            return people(await connection.fetch(_PEOPLE, keys))

    async def commit(self, command: Command, now: Instant) -> Decision:
        """See HolderStore."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            decision = decide(command, await self._neighbourhood(connection, command))
            if decision.changes:
                await self._apply(connection, command, decision, now)
        return decision

    async def changes(self, after: int, most: int) -> list[HolderEvent]:
        """See HolderStore."""
        query = "select sequence, affected, recorded_at from holder_log where sequence > $1 order by sequence limit $2"
        async with self._connection() as connection:
            return [
                HolderEvent(sequence, tuple(affected), Instant(recorded_at))
                for sequence, affected, recorded_at in await connection.fetch(query, after, most)
            ]

    async def last(self) -> int:
        """See HolderStore."""
        async with self._connection() as connection:
            return int(await connection.fetchval(_LAST))

    async def ping(self) -> None:
        """See HolderStore."""
        await self.last()

    async def close(self) -> None:
        """See HolderStore."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            pool = self._pool or await self._open()
            async with pool.acquire(timeout=self._timeout) as connection:
                yield connection
        except (SchemaError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise unavailable(error) from None

    async def _open(self) -> Any:
        async with self._opening:
            if self._closed:
                raise asyncpg.InterfaceError("the store is closed")
            if self._pool is None:
                limit = f"{int(self._timeout * 1000)}ms"
                pool = await asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=self._pool_size,
                    timeout=self._timeout,
                    command_timeout=self._timeout,
                    # A commit is on the disk before it is acknowledged, whatever the database's default. The planner's
                    # compiler would cost more than these small queries.
                    server_settings={
                        "synchronous_commit": "on",
                        "jit": "off",
                        "statement_timeout": limit,
                        "idle_in_transaction_session_timeout": limit,
                    },
                )
                try:
                    # Two processes that make the schema at once would trip over one another.
                    async with pool.acquire() as connection, connection.transaction():
                        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
                        await _migrate(connection)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
            return self._pool

    async def _neighbourhood(self, connection: Any, command: Command) -> Neighbourhood:
        seeds = [command.person] if isinstance(command, Switch) else [command.person, command.other]
        earlier = None
        if command.request_id:
            row = await connection.fetchrow(_EARLIER, command.request_id)
            earlier = row and rows.command(row, command.request_id)
        return Neighbourhood(
            frozenset((one, other) for one, other in await connection.fetch(_EDGES, seeds)),
            [Switched(*row) for row in await connection.fetch(_SWITCHES, seeds)],
            earlier,
        )

    async def _apply(self, connection: Any, command: Command, decision: Decision, now: Instant) -> None:
        sequence = await connection.fetchval(
            f"insert into holder_log values (({_LAST}) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9) returning sequence",
            *rows.columns(command),
            command.request_id,
            decision.affected,
            now,
        )
        if isinstance(command, Switch):
            await connection.execute(
                "insert into holder_switch values ($1, $2, $3, $4) on conflict (person_key, region) "
                "do update set scope = excluded.scope, sequence = excluded.sequence",
                command.person,
                command.region,
                command.scope,
                sequence,
            )
            return
        both = [(command.person, command.other), (command.other, command.person)]
        if isinstance(command, Link):
            await connection.executemany("insert into holder_link values ($1, $2)", both)
        else:
            await connection.executemany("delete from holder_link where person_key = $1 and other_key = $2", both)


async def _migrate(connection: Any) -> None:
    await connection.execute("create table if not exists holder_schema (number integer primary key)")
    found = await connection.fetchval("select coalesce(max(number), 0) from holder_schema")
    if found > len(_MIGRATIONS):
        raise SchemaError(f"the schema is at {found}, this program knows only {len(_MIGRATIONS)}: update it")
    for number, statements in enumerate(_MIGRATIONS[found:], found + 1):
        await connection.execute(statements)
        await connection.execute("insert into holder_schema values ($1)", number)
