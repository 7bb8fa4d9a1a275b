"""Records in PostgreSQL, for a region of millions and for several replicas of the service at once."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from services.common.instants import Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.copying import Cursor
from services.records.domain.revisions import RecordId
from services.records.store import postgres_correction as correction
from services.records.store import postgres_write as writing
from services.records.store.placed import PlacedRecord
from services.records.store.postgres_migrating import SchemaError, check, migrate
from services.records.store.postgres_purge import purge
from services.records.store.protocol import (
    ChangeRow,
    Decide,
    DueCopy,
    Head,
    LaboratoryRow,
    Lag,
    People,
    Purged,
    Touch,
    unavailable,
)
from services.records.store.rows import current_records
from services.runtime.clock import Clock
from services.runtime.stamps import Stamps

T = TypeVar("T")

log = logging.getLogger("hutong.records.postgres")

# The keys of one moment share a query; the lateral subquery keeps each person's rows in the order of the primary key.
# The last row carries the watermark of the laboratories and the end of the feed, so that they cost no round trip.
_PEOPLE = """
select r.person_key, r.region, r.source_id, r.placed_at, r.laboratory, r.body, r.recorded_at
from unnest($1::bytea[]) as asked(person_key) cross join lateral (
    select * from revision
    where person_key = asked.person_key and recorded_at <= $2
    order by region, source_id, revision
) as r
union all
select null, recorded_at::text, sequence::text, laboratory_sequence, null, null, null from feed_head
"""

# Numbers have no gaps, so a range of numbers needs no limit, and each partition answers from its index.
_CHANGES = """
select sequence, false as is_laboratory, body, 0::bigint from revision where sequence > $1 and sequence <= $2
union all
select sequence, true, body, 0 from laboratory where sequence > $1 and sequence <= $2
union all
select last, false, ''::bytea, first from purged where last > $1 and first <= $2
order by 1
"""

_PERSON_OF = "select person_key from identity where region = $1 and source_id = $2"

_HISTORY = """
select body from revision where person_key = $1 and region = $2 and source_id = $3 order by revision
"""

PLACED = """
select (
    select array_agg(body order by revision) from revision
    where (person_key, region, source_id) = (this.person_key, this.region, this.source_id) and recorded_at <= $3
)
from revision as this
where placed_at >= $1 and placed_at < $2 and recorded_at <= $3 and not exists (
    select 1 from revision as later
    where (later.person_key, later.region, later.source_id) = (this.person_key, this.region, this.source_id)
    and later.revision > this.revision and later.recorded_at <= $3
)
"""

PLACED_AT_ONCE = 256
PLACED_SECONDS = 60.0
"""How long the database may look for one batch of records by their place in time."""

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.DeadlockDetectedError,
    asyncpg.AdminShutdownError,
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


class PostgresStore:
    """A RecordStore in a PostgreSQL database, which it opens when first asked.

    Its tables must be there, up to date; with `migrates` it makes them so itself, for embedded services and tests. What
    is read of a replica is true as of the last commit that has reached it.
    """

    poll_seconds = 0.2
    """Another replica may write; it says so to its own watchers only."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        statement_seconds: float = 5.0,
        migrates: bool = False,
        is_replica: bool = False,
    ) -> None:
        self._url = url
        self._pool_size = pool_size
        self._statement_seconds = statement_seconds
        self._migrates = migrates
        self._is_replica = is_replica
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._stamps = Stamps()
        self.drives_copies = False

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for a reading that goes on in pieces, and so cannot be done again. Raises Unavailable."""
        try:
            pool = self._pool or await self._open()
            async with pool.acquire(timeout=self._statement_seconds) as connection:
                yield connection
        except _FAILURES as error:
            log.warning("postgres: %s: %s", type(error).__name__, error)
            raise unavailable() from None

    async def _run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Does one piece of work on a connection of its own, twice when that is lost on the way or the victim of a
        deadlock. Raises Unavailable."""
        for attempts_left in (True, False):
            try:
                pool = self._pool or await self._open()
                async with pool.acquire(timeout=self._statement_seconds) as connection:
                    return await work(connection)
            except _FAILURES as error:
                log.warning("postgres: %s: %s", type(error).__name__, error)
                if not (attempts_left and isinstance(error, _LOST)):
                    break
        raise unavailable()

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                limit = f"{int(self._statement_seconds * 1000)}ms"
                pool = await asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=self._pool_size,
                    timeout=self._statement_seconds,
                    command_timeout=self._statement_seconds + 1,
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
                        if self._migrates:
                            await migrate(connection)
                        else:
                            await check(connection)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
        return self._pool

    async def check_schema(self) -> None:
        """Raises SchemaError when the tables are not up to date; nothing when the database cannot be asked."""
        try:
            await self._open()
        except SchemaError:
            raise
        except _FAILURES as error:
            log.warning("postgres: %s: %s", type(error).__name__, error)

    async def ping(self) -> None:
        """See RecordStore."""
        await self.head()

    async def close(self) -> None:
        """See RecordStore."""
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), self._statement_seconds)
            except _FAILURES:
                self._pool.terminate()

    async def settle(self, at: Instant, now: Instant) -> None:
        """See RecordStore."""
        await self._stamps.settle(at, now)

    async def people(self, person_keys: Sequence[bytes], known_at: Instant) -> People:
        """See RecordStore."""
        keys = list(dict.fromkeys(person_keys))
        rows = await self._run(lambda connection: connection.fetch(_PEOPLE, keys, known_at))
        *records, end = rows
        return People(current_records(records), end[3], Instant(int(end[1])) if self._is_replica else None, int(end[2]))

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordStore."""

        async def read(connection: asyncpg.Connection) -> Sequence[bytes]:
            # Two questions of one partition each: no distributed table can join what is not kept together.
            person_key = await connection.fetchval(_PERSON_OF, *record_id)
            return [row[0] for row in await connection.fetch(_HISTORY, person_key, *record_id)]

        return await self._run(read)

    async def laboratories(self, after: int) -> Sequence[LaboratoryRow]:
        """See RecordStore."""
        query = (
            "select sequence, body, coalesce((select arrived_at from feed_mark where last_sequence >= sequence "
            "order by last_sequence limit 1), 0) from laboratory where sequence > $1 order by sequence"
        )
        return [LaboratoryRow(*row) for row in await self._run(lambda connection: connection.fetch(query, after))]

    async def head(self) -> Head:
        """See RecordStore."""
        query = "select feed_id, sequence, (select mark from feed_mark where last_sequence = sequence) from feed_head"
        row = await self._run(lambda connection: connection.fetchrow(query))
        return Head(row[0], row[1], row[2] or b"")

    async def mark(self, sequence: int) -> bytes:
        """See RecordStore."""
        if not sequence:
            return b""
        return await self._run(lambda connection: correction.mark(connection, sequence))

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See RecordStore."""
        rows = await self._run(lambda connection: connection.fetch(_CHANGES, after, after + most))
        return [ChangeRow(*row) for row in rows]

    async def cursors(self) -> Mapping[str, Cursor]:
        """See RecordStore."""
        query = "select region, feed_id, sequence, as_of, mark, rereading from follow"
        rows = await self._run(lambda connection: connection.fetch(query))
        return {row[0]: Cursor(*row[1:]) for row in map(tuple, rows)}

    async def due_copies(self, regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        """See RecordStore."""
        rows = await self._run(lambda connection: correction.due(connection, list(regions), most))
        return [DueCopy(*row) for row in rows]

    async def copies_done(self, done: Sequence[DueCopy]) -> None:
        """See RecordStore."""
        await self._run(lambda connection: correction.forget_due(connection, done))

    async def conflicts(self, after: int, most: int, settled_too: bool) -> Sequence[StoredConflict]:
        """See RecordStore."""
        return await self._run(lambda connection: correction.conflicts(connection, after, most, settled_too))

    async def note_lag(self, lag: Lag) -> None:
        """See RecordStore."""
        await self._run(lambda connection: correction.note_lag(connection, lag))

    async def lags(self) -> Sequence[Lag]:
        """See RecordStore."""
        return await self._run(correction.lags)

    async def placed(
        self, first: Instant, end: Instant, known_at: Instant
    ) -> AsyncGenerator[Sequence[PlacedRecord], None]:
        """See RecordStore."""
        async with self._connection() as connection, connection.transaction(readonly=True):
            # Asked seldom, over ranges of any size: each deserves its own plan, and more time than a hot query.
            await connection.execute(
                f"set local statement_timeout = '{PLACED_SECONDS}s'; set local plan_cache_mode = force_custom_plan"
            )
            cursor = await connection.cursor(PLACED, first, end, known_at, timeout=PLACED_SECONDS)
            while rows := await cursor.fetch(PLACED_AT_ONCE, timeout=PLACED_SECONDS):
                yield [row[0] for row in rows]

    async def commit(self, touch: Touch, decide: Decide, clock: Clock) -> bytes:
        """See RecordStore. Done again when the connection is lost: nobody knows whether the commit was, but every
        write is idempotent, by its content, its request's id, its revision or its cursor."""
        tokens: list[int] = []

        def stamp() -> Instant:
            token, instant = self._stamps.begin(clock)
            tokens.append(token)
            return instant

        async def transact(connection: asyncpg.Connection) -> bytes:
            async with connection.transaction():
                return await writing.transact(connection, touch, decide, clock, stamp, self.drives_copies)

        try:
            return await self._run(transact)
        finally:
            for token in tokens:
                self._stamps.end(token)

    async def purge(self, before: Instant, position: int, most: int) -> Purged:
        """See RecordPurge."""

        async def delete(connection: asyncpg.Connection) -> Purged:
            async with connection.transaction():
                return await purge(connection, before, position, most)

        return await self._run(delete)

    async def batches(self, session: str) -> int:
        """See RecordStore."""
        query = "select batch from intake_session where session = $1"
        return int(await self._run(lambda connection: connection.fetchval(query, session)) or 0)

    async def forget_answers(self, before: Instant) -> int:
        """See RecordStore."""

        async def forget(connection: asyncpg.Connection) -> int:
            done: str = await connection.execute("delete from answer where answered_at < $1", before)
            ended: str = await connection.execute("delete from intake_session where moved_at < $1", before)
            return int(done.rpartition(" ")[2]) + int(ended.rpartition(" ")[2])

        return await self._run(forget)


async def _nothing_to_reset(connection: asyncpg.Connection) -> None:
    """No statement here leaves session state behind; the default reset is a round trip after every use."""
