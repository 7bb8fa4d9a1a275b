"""Connections to a PostgreSQL database: so many, for so long, with tables that fit, and another when one is lost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from services.records.store.errors import unavailable
from services.records.store.postgres.migration import check, migrate
from services.runtime.storage.migrations import SchemaError

T = TypeVar("T")

log = logging.getLogger("hutong.records.postgres")

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.DeadlockDetectedError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # Nothing here is serializable: this is a replica whose replay could not wait for the query.
    asyncpg.SerializationError,
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


class Connections:
    """At most `size` connections, opened when first asked for.

    `statement_seconds` is what one statement may take in the database, of whatever kind, what the wait for a connection
    may take, and how long a transaction may stand idle; the wire gets a second more. With `migrates`, the tables are
    brought up to date when the first is opened; otherwise they must be.
    """

    def __init__(self, url: str, *, size: int, statement_seconds: float, migrates: bool) -> None:
        self._url = url
        self._size = size
        self._seconds = statement_seconds
        self._migrates = migrates
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for a reading that goes on in pieces, and so cannot be done again. Raises Unavailable."""
        try:
            pool = self._pool or await self._open()
            async with pool.acquire(timeout=self._seconds) as connection:
                yield connection
        except _FAILURES as error:
            log.warning("postgres: %s: %s", type(error).__name__, error)
            raise unavailable() from None

    async def run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Does one piece of work on a connection of its own, twice when that is lost on the way, or the victim of a
        deadlock or of a replica's replay. Raises Unavailable."""
        for attempts_left in (True, False):
            try:
                pool = self._pool or await self._open()
                async with pool.acquire(timeout=self._seconds) as connection:
                    return await work(connection)
            except _FAILURES as error:
                log.warning("postgres: %s: %s", type(error).__name__, error)
                if not (attempts_left and isinstance(error, _LOST)):
                    break
        raise unavailable()

    async def check_schema(self) -> None:
        """Raises SchemaError when the tables are not up to date; nothing when the database cannot be asked."""
        try:
            await self._open()
        except SchemaError:
            raise
        except _FAILURES as error:
            log.warning("postgres: %s: %s", type(error).__name__, error)

    async def close(self) -> None:
        """Closes all, waiting for what is under way as long as a statement may take."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._pool.close()
            except _FAILURES:
                self._pool.terminate()

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                limit = f"{int(self._seconds * 1000)}ms"
                pool = await asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=self._size,
                    timeout=self._seconds,
                    command_timeout=self._seconds + 1,
                    reset=_nothing_to_reset,
                    server_settings={
                        "application_name": "hutong-records",
                        "statement_timeout": limit,
                        "idle_in_transaction_session_timeout": limit,
                        # The statements are few and name their partitions by parameters: planning them again for each
                        # set of parameters costs more than running them.
                        "plan_cache_mode": "force_generic_plan",
                        "jit": "off",
                    },
                )
                try:
                    async with pool.acquire() as connection:
                        await (migrate(connection) if self._migrates else check(connection))
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
        return self._pool


async def _nothing_to_reset(connection: asyncpg.Connection) -> None:
    """No statement here leaves session state behind; the default reset is a round trip after every use."""
