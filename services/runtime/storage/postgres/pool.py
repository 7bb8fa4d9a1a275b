"""Connections to a PostgreSQL database: so many, for so long, with tables that fit, and another when one is lost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import asyncpg

from services.common.errors import ServiceError
from services.runtime.storage.move.state import WRITES_CLOSED, require_served, writes_closed
from services.runtime.storage.postgres.migration import check, is_distributed, migrate, read_note
from services.runtime.storage.postgres.pooler import is_pooled, settled
from services.runtime.storage.schema import Schema, SchemaError

T = TypeVar("T")

log = logging.getLogger("hutong.storage.postgres")

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.DeadlockDetectedError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # Nothing here is serializable: this is a replica whose replay could not wait for the query.
    asyncpg.SerializationError,
    # This server is no primary any more: another one is behind the name, or among the hosts of the URL.
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
)
"""Failures that say nothing against another attempt, on another connection."""

_FAILURES = (
    SchemaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


@dataclass(frozen=True, slots=True)
class Database:
    """A database and how it is used.

    `unavailable` makes what a caller sees of a driver's error. `statement_seconds` is what one statement may take in
    the database, of whatever kind, what the wait for a connection may take, and how long a transaction may stand idle;
    the wire gets a second more. With `migrates`, the tables are brought up to date when the first connection is opened;
    otherwise they must be. `session` are settings of PostgreSQL for every connection, `planning` those for connections
    whose statements have names and are planned by one server. `opened` is done on every connection, on the first one
    when the tables are those that are needed; it raises SchemaError for a store that is not the one that is meant: a
    name may lead to another database than before. `writes`: only a server that can be written is connected to, of all
    that the URL names; one that stops being so is left, and looked for again.
    """

    url: str
    schema: Schema
    unavailable: Callable[[Exception], ServiceError]
    size: int
    statement_seconds: float
    migrates: bool = False
    session: Mapping[str, str] = field(default_factory=dict)
    planning: Mapping[str, str] = field(default_factory=dict)
    opened: Callable[[asyncpg.Connection], Awaitable[None]] | None = None
    writes: bool = True


class Connections:
    """At most `size` connections to a database, opened when first asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seconds = database.statement_seconds
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._pooled = False
        self._distributed = False
        limit = f"{int(self._seconds * 1000)}ms"
        self._settings: Mapping[str, str] = {
            "statement_timeout": limit,
            "idle_in_transaction_session_timeout": limit,
            # The planner's compiler would cost more than these small queries.
            "jit": "off",
            # Citus would look at each relation for whether it is a shard, and the driver, which reads the catalogs for
            # each type of arrays, would take 0.3 s of the server's CPU for each. Elsewhere nobody reads this.
            "citus.show_shards_for_app_name_prefixes": "*",
            **database.session,
        }

    @property
    def distributed(self) -> bool:
        """Says, of a database that was reached, whether it is a Citus cluster's."""
        return self._distributed

    @asynccontextmanager
    async def one(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for work that goes on in pieces, and so cannot be done again: in transactions of the caller's,
        outside of which nothing is kept. Raises Unavailable."""
        try:
            pool = self._pool or await self._open()
            async with pool.acquire(timeout=self._seconds) as connection:
                yield connection
        except _FAILURES as error:
            await self._leave_standby(error)
            raise self._failed(error) from None

    async def run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Does one piece of work on a connection of its own, twice when that is lost on the way, or the victim of a
        deadlock or of a replica's replay. Raises Unavailable."""
        attempts_left = 2
        while True:
            try:
                pool = self._pool or await self._open()
                async with pool.acquire(timeout=self._seconds) as connection:
                    if not self._pooled:
                        return await work(connection)
                    async with settled(connection, self._settings):
                        return await work(connection)
            except _FAILURES as error:
                attempts_left -= 1
                await self._leave_standby(error)
                failed = self._failed(error)
                if not attempts_left or not isinstance(error, _LOST):
                    raise failed from None

    async def check_schema(self) -> None:
        """Raises SchemaError when the tables are not up to date; nothing when the database cannot be asked."""
        try:
            await self._open()
        except SchemaError:
            raise
        except _FAILURES as error:
            self._failed(error)

    async def close(self) -> None:
        """Closes all, waiting for what is under way as long as a statement may take."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(self._seconds):
                    await pool.close()
            except _FAILURES:
                pool.terminate()

    async def _leave_standby(self, error: Exception) -> None:
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError) and self._pool is not None:
            # The others lead to the same server: all are opened anew before they are used again.
            await self._pool.expire_connections()

    def _failed(self, error: Exception) -> ServiceError:
        log.warning("postgres: %s: %s", type(error).__name__, error, extra={"store": self._database.schema.store})
        if isinstance(error, asyncpg.RaiseError) and WRITES_CLOSED in str(error):
            return writes_closed()
        return self._database.unavailable(error)

    async def _further(self, connection: asyncpg.Connection) -> None:
        """Looks whose the database is that a further connection has reached; the first one is looked at when its tables
        are there."""
        if self._pool is not None:
            await self._begin(connection)

    async def _begin(self, connection: asyncpg.Connection) -> None:
        if self._database.planning and not self._pooled and not self._distributed:
            await connection.execute("; ".join(f"set {name} = '{to}'" for name, to in self._database.planning.items()))
        if self._database.opened is not None:
            await self._database.opened(connection)

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._closed:
                raise asyncpg.InterfaceError("the store is closed")
            if self._pool is None:
                database = self._database
                self._pooled = await is_pooled(database.url, seconds=self._seconds, writes=database.writes)
                name = {"application_name": f"hutong-{database.schema.store}"}
                pool = await asyncpg.create_pool(
                    database.url,
                    min_size=1,
                    max_size=database.size,
                    timeout=self._seconds,
                    command_timeout=self._seconds + 1,
                    target_session_attrs="read-write" if database.writes else None,
                    reset=_nothing_to_reset,
                    init=self._further,
                    server_settings=name if self._pooled else {**name, **self._settings},
                    # A named one belongs to a session, and behind a pooler to somebody else's.
                    statement_cache_size=0 if self._pooled else 100,
                )
                try:
                    async with pool.acquire() as connection:
                        if database.migrates:
                            await migrate(connection, database.schema)
                        await check(connection, database.schema)
                        require_served(await read_note(connection))
                        self._distributed = await is_distributed(connection, database.schema)
                        await self._begin(connection)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
        return self._pool


async def _nothing_to_reset(connection: asyncpg.Connection) -> None:
    """No statement here leaves session state behind; the default reset is a round trip after every use."""
