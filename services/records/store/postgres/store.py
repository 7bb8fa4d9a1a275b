"""Records in PostgreSQL, for a region of millions and for several replicas of the service at once."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from functools import partial

import asyncpg

from services.common.instants import Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.correction_requests import CorrectionRequestCount, StoredCorrectionRequest
from services.records.domain.replication import Cursor
from services.records.domain.revisions import PersonRecord, RecordId
from services.records.domain.selection import Selection
from services.records.store.errors import unavailable
from services.records.store.owner import Owner
from services.records.store.postgres import correction as correction
from services.records.store.postgres import correction_requests as correction_requests
from services.records.store.postgres import key_moves as key_moves
from services.records.store.postgres import unit_of_work as writing
from services.records.store.postgres.by_time import by_time
from services.records.store.postgres.figure_store import PostgresFigureStore
from services.records.store.postgres.figures import CHANGES
from services.records.store.postgres.keyed_statement import HOLDERS
from services.records.store.postgres.owner import own, require_owner
from services.records.store.postgres.people import people as read_people
from services.records.store.postgres.retention import purge
from services.records.store.postgres.schema import SCHEMA
from services.records.store.postgres.weighing import weigh
from services.records.store.seen_feed import SeenFeed
from services.records.store.unit_of_work import Decide, Touch
from services.records.store.values.feed import ChangeRow, DueCopy, Head, Lag
from services.records.store.values.records import LaboratoryRow, People, Purged, RevisionBodies
from services.runtime.clock import Clock
from services.runtime.storage.commit_clock import CommitClock
from services.runtime.storage.key_moves import KeyState
from services.runtime.storage.postgres.pool import Connections, Database

_PERSON_OF = "select person_key from identity where region = $1 and source_id = $2"

_HISTORY = """
select body from revision where person_key = $1 and region = $2 and source_id = $3 order by revision
"""

_FORMER = "select person_key from former_holder where region = $1 and source_id = $2 order by person_key"

_LAST = """
select body from revision where person_key = $1 and region = $2 and source_id = $3 order by revision desc limit 1
"""


class PostgresStore:
    """A RecordStore in a PostgreSQL database, which it opens when first asked.

    Its tables must be there, up to date; with `migrates` it makes them so itself, for embedded services and tests. What
    is read of a replica is true as of the last commit that has reached it. `drives_copies`: copies are listed as due
    when their originals change, as in the nation, which sees both. `owner` is who the store is meant to belong to.
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
        drives_copies: bool = False,
        owner: Owner | None = None,
    ) -> None:
        self._connections = connections = Connections(
            Database(
                url,
                SCHEMA,
                unavailable,
                size=pool_size,
                statement_seconds=statement_seconds,
                migrates=migrates,
                # The statements are few and name their partitions by parameters: planning them again for each set of
                # parameters costs more than running them. A cluster learns from the parameters which node has what.
                planning={"plan_cache_mode": "force_generic_plan"},
                opened=None if owner is None else partial(require_owner if is_replica else own, owner=owner),
                writes=not is_replica,
            )
        )
        self._run, self._connection = connections.run, connections.one
        self._is_replica = is_replica
        self._stamps = CommitClock()
        self._drives_copies = drives_copies
        self.seen = SeenFeed()
        self.figures = PostgresFigureStore(self._run, self._connection, lambda: connections.distributed)

    async def check_schema(self) -> None:
        """Raises SchemaError when the tables are not up to date; nothing when the database cannot be asked."""
        await self._connections.check_schema()

    async def ping(self) -> None:
        """See RecordStore."""
        await self.head()

    async def close(self) -> None:
        """See RecordStore."""
        await self._connections.close()

    async def settle(self, at: Instant, now: Instant) -> None:
        """See RecordStore."""
        await self._stamps.settle(at, now)

    async def people(
        self,
        person_keys: Sequence[bytes],
        known_at: Instant,
        *,
        original: bool = False,
        selection: Selection | None = None,
    ) -> People:
        """See RecordReads."""
        keys = list(dict.fromkeys(person_keys))

        async def read(connection: asyncpg.Connection) -> People:
            distributed = self._connections.distributed
            return await read_people(connection, keys, known_at, selection, distributed=distributed)

        people = await self._run(read)
        return people if self._is_replica else people._replace(as_of=None)

    async def person_keys(self, after: bytes, most: int) -> Sequence[bytes]:
        """See PersonRoll."""
        query = "select distinct person_key from revision where person_key > $1 order by person_key limit $2"
        return [row[0] for row in await self._run(lambda connection: connection.fetch(query, after, most))]

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordStore."""

        async def read(connection: asyncpg.Connection) -> Sequence[bytes]:
            # Two questions of one partition each: no distributed table can join what is not kept together.
            person_key = await connection.fetchval(_PERSON_OF, *record_id)
            return [row[0] for row in await connection.fetch(_HISTORY, person_key, *record_id)]

        return await self._run(read)

    async def former(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordStore."""

        async def read(connection: asyncpg.Connection) -> Sequence[bytes]:
            holder = await connection.fetchval(_PERSON_OF, *record_id)
            keys = [row[0] for row in await connection.fetch(_FORMER, *record_id)]
            bodies = [await connection.fetchval(_LAST, key, *record_id) for key in keys if key != holder]
            return [body for body in bodies if body is not None]

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
        head = Head(row[0], row[1], row[2] or b"")
        self.seen.reached(head.sequence)
        return head

    async def mark(self, sequence: int) -> bytes:
        """See RecordStore."""
        if not sequence:
            return b""
        return await self._run(lambda connection: correction.mark(connection, sequence))

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See RecordStore."""
        rows = await self._run(lambda connection: connection.fetch(CHANGES, after, after + most))
        changes = [ChangeRow(*row) for row in rows]
        if changes:
            self.seen.reached(changes[-1].sequence)
        return changes

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

    async def correction_requests(
        self, region: str, laboratories: Collection[str], after: int, most: int, answered_too: bool
    ) -> Sequence[StoredCorrectionRequest]:
        """See CorrectionRequestLog."""
        return await self._run(
            lambda connection: correction_requests.listed(connection, region, laboratories, after, most, answered_too)
        )

    async def correction_request(self, correction_request_id: str) -> StoredCorrectionRequest | None:
        """See CorrectionRequestLog."""
        return await self._run(lambda connection: correction_requests.one(connection, correction_request_id))

    async def correction_requests_of(self, person_keys: Collection[bytes]) -> Sequence[StoredCorrectionRequest]:
        """See CorrectionRequestLog."""
        return await self._run(lambda connection: correction_requests.of_person(connection, person_keys))

    async def late_result_requests(self, records: Collection[RecordId]) -> Sequence[StoredCorrectionRequest]:
        """See CorrectionRequestLog."""
        return await self._run(lambda connection: correction_requests.for_late_results(connection, records))

    async def correction_request_counts(self, region: str) -> Sequence[CorrectionRequestCount]:
        """See CorrectionRequestLog."""
        return await self._run(lambda connection: correction_requests.counts(connection, region))

    async def newest_revision(self, record: PersonRecord) -> int:
        """See CorrectionRequestLog."""
        return await self._run(lambda connection: correction_requests.newest_revision(connection, record))

    async def note_lag(self, lag: Lag) -> None:
        """See RecordStore."""
        await self._run(lambda connection: correction.note_lag(connection, lag))

    async def lags(self) -> Sequence[Lag]:
        """See RecordStore."""
        return await self._run(correction.lags)

    async def by_time(
        self, first: Instant, end: Instant, known_at: Instant
    ) -> AsyncGenerator[Sequence[RevisionBodies], None]:
        """See RecordStore."""
        # Who stops in the middle ends the transaction before the connection goes back.
        async with self._connection() as connection, aclosing(by_time(connection, first, end, known_at)) as batches:
            async for batch in batches:
                yield batch

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
                distributed = self._connections.distributed
                return await writing.transact(connection, touch, decide, clock, stamp, self._drives_copies, distributed)

        try:
            answer = await self._run(transact)
        finally:
            for token in tokens:
                self._stamps.end(token)
        self.seen.committed()
        return answer

    async def purge(self, before: Instant, position: int, most: int) -> Purged:
        """See RecordPurge."""

        async def delete(connection: asyncpg.Connection) -> Purged:
            async with connection.transaction():
                return await purge(connection, before, position, most)

        return await self._run(delete)

    async def weigh(self, most: int) -> int:
        """See Weighing."""

        async def write(connection: asyncpg.Connection) -> int:
            async with connection.transaction():
                return await weigh(connection, most)

        return await self._run(write)

    async def key_state(self) -> KeyState:
        """See KeyMoves."""
        return await self._run(key_moves.read_state)

    async def begin_key_move(self, fingerprint: bytes, version: int) -> None:
        """See KeyMoves."""

        async def begin(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                await key_moves.begin(connection, fingerprint, version)

        await self._run(begin)

    async def older_people(self, version: int, most: int) -> Sequence[Sequence[bytes]]:
        """See KeyMoves."""
        return await self._run(lambda connection: key_moves.older(connection, version, most))

    async def holders(self, ids: Sequence[RecordId]) -> Sequence[bytes]:
        """See RecordKeyMoves."""
        rows = await self._run(
            lambda connection: HOLDERS.fetch(connection, ids, distributed=self._connections.distributed)
        )
        return [row[2] for row in rows]

    async def move_keys(self, moves: Mapping[bytes, bytes]) -> None:
        """See KeyMoves."""

        async def move(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                if self._connections.distributed:
                    await connection.execute(writing.SHARD_AFTER_SHARD)
                await key_moves.move(connection, moves)

        await self._run(move)

    async def end_key_move(self, version: int) -> bool:
        """See KeyMoves."""

        async def end(connection: asyncpg.Connection) -> bool:
            async with connection.transaction():
                return await key_moves.end(connection, version)

        return await self._run(end)

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
