"""Records in PostgreSQL, for a region of millions and for several replicas of the service at once."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg

from services.common.instants import Instant
from services.records.domain.copying import Cursor
from services.records.domain.revisions import RecordId
from services.records.store import postgres_write as writing
from services.records.store.placed import PlacedRecord
from services.records.store.postgres_schema import VERSION, statements
from services.records.store.protocol import ChangeRow, Decide, Head, LaboratoryRow, People, Touch, unavailable
from services.records.store.rows import current_records
from services.runtime.clock import Clock

log = logging.getLogger("hutong.records.postgres")

# The keys of one moment share a query; the lateral subquery keeps each person's rows in the order of the primary key.
# The last row carries the watermark of the laboratories, so that it costs no round trip of its own.
_PEOPLE = """
select r.person_key, r.region, r.source_id, r.placed_at, r.laboratory, r.body
from unnest($1::bytea[]) as asked(person_key) cross join lateral (
    select * from revision
    where person_key = asked.person_key and recorded_at <= $2
    order by region, source_id, revision
) as r
union all
select null, null, null, laboratory_sequence, null, null from feed_head
"""

# Numbers have no gaps, so a range of numbers needs no limit, and each partition answers from its index.
_CHANGES = """
select sequence, false as is_laboratory, body from revision where sequence > $1 and sequence <= $2
union all
select sequence, true, body from laboratory where sequence > $1 and sequence <= $2
order by sequence
"""

_HISTORY = """
select r.body from identity as i join revision as r using (person_key, region, source_id)
where i.region = $1 and i.source_id = $2 order by r.revision
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

_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


class PostgresStore:
    """A RecordStore in a PostgreSQL database, which it opens, and prepares where it is empty, when first asked."""

    poll_seconds = 0.2
    """Another replica may write; it says so to its own watchers only."""

    def __init__(self, url: str, *, pool_size: int = 8, statement_seconds: float = 5.0) -> None:
        self._url = url
        self._pool_size = pool_size
        self._statement_seconds = statement_seconds
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            pool = self._pool or await self._open()
            async with pool.acquire(timeout=self._statement_seconds) as connection:
                yield connection
        except _FAILURES as error:
            log.warning("postgres: %s: %s", type(error).__name__, error)
            raise unavailable() from None

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
                        await _prepare(connection)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
        return self._pool

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

    async def people(self, person_keys: Sequence[bytes], known_at: Instant) -> People:
        """See RecordStore."""
        async with self._connection() as connection:
            rows = await connection.fetch(_PEOPLE, list(dict.fromkeys(person_keys)), known_at)
        return People(current_records(row for row in rows if row[0] is not None), rows[-1][3])

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordStore."""
        async with self._connection() as connection:
            return [row[0] for row in await connection.fetch(_HISTORY, *record_id)]

    async def laboratories(self, after: int) -> Sequence[LaboratoryRow]:
        """See RecordStore."""
        async with self._connection() as connection:
            rows = await connection.fetch(
                "select sequence, body from laboratory where sequence > $1 order by sequence", after
            )
        return [LaboratoryRow(*row) for row in rows]

    async def head(self) -> Head:
        """See RecordStore."""
        async with self._connection() as connection:
            return Head(*await connection.fetchrow("select feed_id, sequence from feed_head"))

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See RecordStore."""
        async with self._connection() as connection:
            return [ChangeRow(*row) for row in await connection.fetch(_CHANGES, after, after + most)]

    async def cursors(self) -> Mapping[str, Cursor]:
        """See RecordStore."""
        async with self._connection() as connection:
            rows = await connection.fetch("select region, feed_id, sequence, as_of from follow")
        return {row[0]: Cursor(row[1], row[2], row[3]) for row in rows}

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
        """See RecordStore."""
        async with self._connection() as connection, connection.transaction():
            return await writing.transact(connection, touch, decide, clock)

    async def forget_answers(self, before: Instant) -> int:
        """See RecordStore."""
        async with self._connection() as connection:
            done: str = await connection.execute("delete from answer where answered_at < $1", before)
        return int(done.rpartition(" ")[2])


async def _nothing_to_reset(connection: asyncpg.Connection) -> None:
    """No statement here leaves session state behind; the default reset is a round trip after every use."""


async def _prepare(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        # One replica prepares an empty database; the others wait for it.
        await connection.execute("select pg_advisory_xact_lock(hashtext('hutong.records.schema'))")
        if await connection.fetchval("select to_regclass('feed_head')") is None:
            await connection.execute(statements())
            await connection.execute(
                "insert into feed_head (feed_id, sequence, laboratory_sequence, recorded_at, schema_version) "
                "values ($1, 0, 0, 0, $2)",
                uuid4().hex,
                VERSION,
            )
        # Databases that were prepared before there was this index: asked for by name first, because creating an index
        # waits for writers even where it exists.
        elif await connection.fetchval("select to_regclass('revision_by_place')") is None:
            await connection.execute("create index revision_by_place on revision using brin (placed_at)")
        version = await connection.fetchval("select schema_version from feed_head")
        if version != VERSION:
            raise asyncpg.InterfaceError(f"the database has schema version {version}, this program {VERSION}")
