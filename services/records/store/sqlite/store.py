"""Records in one SQLite file: the default, and enough for a region on one machine.

Reads run where they are asked, on the event loop: one person's records stand side by side in a table clustered by
person, and a thread hop would cost ten times the read. Writes wait for the disk, so they run in a thread of their own,
on a connection of their own; WAL lets both go on at once. `synchronous=FULL` syncs the log at every commit: what is
acknowledged survives a kill and a power cut.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from services.common.instants import Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.correction_requests import CorrectionRequestCount, StoredCorrectionRequest
from services.records.domain.replication import Cursor
from services.records.domain.revisions import PersonRecord, RecordId
from services.records.domain.selection import LeftOut, Selection
from services.records.store.by_time import Place
from services.records.store.errors import unavailable
from services.records.store.owner import Owner
from services.records.store.rows import CONFLICT_COLUMNS
from services.records.store.seen_feed import SeenFeed
from services.records.store.selection import selected
from services.records.store.sqlite import correction_requests as correction_requests
from services.records.store.sqlite import key_moves as key_moves
from services.records.store.sqlite.figures import CHANGES, SqliteFigureStore
from services.records.store.sqlite.file import guarded
from services.records.store.sqlite.owner import own
from services.records.store.sqlite.reads import read_by_time, read_people, read_selected
from services.records.store.sqlite.retention import purge
from services.records.store.sqlite.schema import SCHEMA
from services.records.store.sqlite.unit_of_work import as_cursor, read_former, read_history, transact
from services.records.store.sqlite.weighing import weigh
from services.records.store.unit_of_work import Decide, Touch
from services.records.store.values.feed import ChangeRow, DueCopy, Head, Lag
from services.records.store.values.records import CurrentRecord, LaboratoryRow, People, Purged, RevisionBodies
from services.runtime.clock import Clock
from services.runtime.storage.commit_clock import CommitClock
from services.runtime.storage.key_moves import KeyState
from services.runtime.storage.sqlite.file import connect, open_alone, open_file
from services.runtime.storage.sqlite.lock import FileLock

T = TypeVar("T")

AT_ONCE = 128
"""How many people are read before the event loop gets its turn: about a millisecond's worth."""

BY_TIME_AT_ONCE = 64
"""The same for records read by their place in time, each of which is parsed and counted before the next turn."""


class SqliteStore:
    """A RecordStore in a file, which must be there with its tables up to date; `migrates` makes it so.

    `drives_copies`: copies are listed as due when their originals change, as in the nation, which sees both. `owner` is
    who the store is meant to belong to. `alone`: the file is locked, as a service does with one that it serves. Raises
    Unavailable, also when the file cannot be opened, and SchemaError for
    one that will not do.
    """

    poll_seconds = 1.0
    """One process writes the file, and it tells its own watchers."""

    def __init__(
        self,
        path: Path,
        *,
        migrates: bool = False,
        drives_copies: bool = False,
        owner: Owner | None = None,
        alone: bool = False,
    ) -> None:
        self._lock: FileLock | None = None
        with guarded():
            if alone:
                self._write, self._lock = open_alone(path, SCHEMA, migrates=migrates)
            else:
                self._write = open_file(path, SCHEMA, migrates=migrates)
            try:
                if owner is not None:
                    own(self._write, owner)
                self._read = connect(path)
            except BaseException:
                self._write.close()
                self._release()
                raise
            self._read.execute("pragma query_only = on")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="records-sqlite")
        self._stamps = CommitClock()
        self._drives_copies = drives_copies
        self.seen = SeenFeed()
        self.figures = SqliteFigureStore(path, self._write, self._in_writer)

    async def ping(self) -> None:
        """See RecordStore."""
        await self.head()

    async def close(self) -> None:
        """See RecordStore."""
        self._writer.shutdown()
        self._read.close()
        self._write.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

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
        records: dict[bytes, Sequence[CurrentRecord]] = {}
        left_out: dict[bytes, Mapping[str, LeftOut]] = {}
        with guarded():
            moved_before = self._read.execute("select moved_keys from feed_head").fetchone()[0]
            for start in range(0, len(person_keys), AT_ONCE):
                if start:
                    await asyncio.sleep(0)
                keys = person_keys[start : start + AT_ONCE]
                if selection is None:
                    records.update(read_people(self._read, keys, known_at))
                    continue
                given, left = selected(read_selected(self._read, keys, known_at, selection))
                records.update(given)
                left_out.update(left)
            # Read last: of what a purge took meanwhile it tells.
            laboratories, purged_before, feed_id, moved = self._read.execute(
                "select laboratory_sequence, purged_before, feed_id, moved_keys from feed_head"
            ).fetchone()
        return People(
            records,
            laboratories,
            purged_before=Instant(purged_before),
            left_out=left_out,
            feed_id=feed_id,
            moved_keys=moved if moved == moved_before else -1,
        )

    async def person_keys(self, after: bytes, most: int) -> Sequence[bytes]:
        """See PersonRoll."""
        with guarded():
            rows = self._read.execute(
                "select distinct person_key from revision where person_key > ? order by person_key limit ?",
                (after, most),
            )
            return [row[0] for row in rows]

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordStore."""
        with guarded():
            return [revision.body for revision in read_history(self._read, record_id)]

    async def former(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordStore."""
        with guarded():
            return [history[-1].body for history in read_former(self._read, record_id)]

    async def laboratories(self, after: int) -> Sequence[LaboratoryRow]:
        """See RecordStore."""
        with guarded():
            rows = self._read.execute(
                "select sequence, body, coalesce((select arrived_at from feed_mark where last_sequence >= sequence "
                "order by last_sequence limit 1), 0) from laboratory where sequence > ? order by sequence",
                (after,),
            )
            return [LaboratoryRow(*row) for row in rows]

    async def head(self) -> Head:
        """See RecordStore."""
        with guarded():
            row = self._read.execute(
                "select feed_id, sequence, (select mark from feed_mark where last_sequence = sequence) from feed_head"
            ).fetchone()
        head = Head(row[0], row[1], row[2] or b"")
        self.seen.reached(head.sequence)
        return head

    async def mark(self, sequence: int) -> bytes:
        """See RecordStore."""
        if not sequence:
            return b""
        with guarded():
            row = self._read.execute(
                "select mark from feed_mark where last_sequence >= ? order by last_sequence limit 1", (sequence,)
            ).fetchone()
        return b"" if row is None else bytes(row[0])

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See RecordStore."""
        with guarded():
            rows = self._read.execute(CHANGES, (after, after + most))
            changes = [ChangeRow(sequence, bool(kind), body, first) for sequence, kind, body, first in rows]
        if changes:
            self.seen.reached(changes[-1].sequence)
        return changes

    async def cursors(self) -> Mapping[str, Cursor]:
        """See RecordStore."""
        with guarded():
            rows = self._read.execute("select region, feed_id, sequence, as_of, mark, rereading from follow")
            return {row[0]: as_cursor(row[1:]) for row in rows}

    async def due_copies(self, regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        """See RecordStore."""
        with guarded():
            rows = self._read.execute(
                f"select region, source_id, sequence from copy_due where region in ({','.join('?' * len(regions))}) "
                "order by sequence limit ?",
                (*regions, most),
            )
            return [DueCopy(RecordId(region, source_id), sequence) for region, source_id, sequence in rows]

    async def copies_done(self, done: Sequence[DueCopy]) -> None:
        """See RecordStore."""

        def forget() -> None:
            self._write.executemany(
                "delete from copy_due where region = ? and source_id = ? and sequence <= ?",
                [(*due.id, due.sequence) for due in done],
            )

        await self._in_writer(forget)

    async def conflicts(self, after: int, most: int, settled_too: bool) -> Sequence[StoredConflict]:
        """See RecordStore."""
        with guarded():
            rows = self._read.execute(
                f"select {CONFLICT_COLUMNS} from conflict where number > ? and (? or settlement = 0) "
                "order by number limit ?",
                (after, settled_too, most),
            )
            return [StoredConflict(*row) for row in rows]

    async def correction_requests(
        self, region: str, laboratories: Collection[str], after: int, most: int, answered_too: bool
    ) -> Sequence[StoredCorrectionRequest]:
        """See CorrectionRequestLog."""
        with guarded():
            return correction_requests.listed(self._read, region, laboratories, after, most, answered_too)

    async def correction_request(self, correction_request_id: str) -> StoredCorrectionRequest | None:
        """See CorrectionRequestLog."""
        with guarded():
            return correction_requests.one(self._read, correction_request_id)

    async def correction_requests_of(self, person_keys: Collection[bytes]) -> Sequence[StoredCorrectionRequest]:
        """See CorrectionRequestLog."""
        with guarded():
            return correction_requests.of_person(self._read, person_keys)

    async def late_result_requests(self, records: Collection[RecordId]) -> Sequence[StoredCorrectionRequest]:
        """See CorrectionRequestLog."""
        with guarded():
            return correction_requests.for_late_results(self._read, records)

    async def correction_request_counts(self, region: str) -> Sequence[CorrectionRequestCount]:
        """See CorrectionRequestLog."""
        with guarded():
            return correction_requests.counts(self._read, region)

    async def newest_revision(self, record: PersonRecord) -> int:
        """See CorrectionRequestLog."""
        with guarded():
            return correction_requests.newest_revision(self._read, record)

    async def note_lag(self, lag: Lag) -> None:
        """See RecordStore."""
        await self._in_writer(lambda: self._write.execute("insert or replace into followed_lag values (?, ?, ?)", lag))

    async def lags(self) -> Sequence[Lag]:
        """See RecordStore."""
        with guarded():
            rows = self._read.execute("select region, noted_at, as_of from followed_lag order by noted_at")
            return [Lag(*row) for row in rows]

    async def by_time(
        self, first: Instant, end: Instant, known_at: Instant
    ) -> AsyncGenerator[Sequence[RevisionBodies], None]:
        """See RecordStore."""
        after = Place(first, b"", "", "", 0)
        while True:
            with guarded():
                page = read_by_time(self._read, BY_TIME_AT_ONCE, after, end, known_at)
            yield [record for _, record in page]
            if len(page) < BY_TIME_AT_ONCE:
                return
            after, _ = page[-1]
            await asyncio.sleep(0)

    async def commit(self, touch: Touch, decide: Decide, clock: Clock) -> bytes:
        """See RecordStore."""
        tokens: list[int] = []

        def stamp() -> Instant:
            token, instant = self._stamps.begin(clock)
            tokens.append(token)
            return instant

        def write() -> bytes:
            try:
                return transact(self._write, touch, decide, stamp, self._drives_copies)
            finally:
                for token in tokens:
                    self._stamps.end(token)

        answer = await self._in_writer(write)
        self.seen.committed()
        return answer

    async def batches(self, session: str) -> int:
        """See RecordStore."""
        with guarded():
            row = self._read.execute("select batch from intake_session where session = ?", (session,)).fetchone()
            return 0 if row is None else int(row[0])

    async def forget_answers(self, before: Instant) -> int:
        """See RecordStore."""

        def forget() -> int:
            answers = self._write.execute("delete from answer where answered_at < ?", (before,)).rowcount
            return answers + self._write.execute("delete from intake_session where moved_at < ?", (before,)).rowcount

        return await self._in_writer(forget)

    async def purge(self, before: Instant, position: int, most: int) -> Purged:
        """See RecordPurge."""
        return await self._in_writer(lambda: purge(self._write, before, position, most))

    async def weigh(self, most: int) -> int:
        """See Weighing."""
        return await self._in_writer(lambda: weigh(self._write, most))

    async def key_state(self) -> KeyState:
        """See KeyMoves."""
        with guarded():
            return key_moves.read_state(self._read)

    async def begin_key_move(self, fingerprint: bytes, version: int) -> None:
        """See KeyMoves."""
        await self._in_writer(lambda: key_moves.begin(self._write, fingerprint, version))

    async def older_people(self, version: int, most: int) -> Sequence[Sequence[bytes]]:
        """See KeyMoves."""
        with guarded():
            return key_moves.older(self._read, version, most)

    async def holders(self, ids: Sequence[RecordId]) -> Sequence[bytes]:
        """See RecordKeyMoves."""
        with guarded():
            query = "select person_key from identity where region = ? and source_id = ?"
            return [key for record_id in ids for (key,) in self._read.execute(query, record_id)]

    async def move_keys(self, moves: Mapping[bytes, bytes]) -> None:
        """See KeyMoves."""
        await self._in_writer(lambda: key_moves.move(self._write, moves))

    async def end_key_move(self, version: int) -> bool:
        """See KeyMoves."""
        return await self._in_writer(lambda: key_moves.end(self._write, version))

    async def _in_writer(self, work: Callable[[], T]) -> T:
        def written() -> T:
            with guarded():
                return work()

        try:
            pending = asyncio.get_running_loop().run_in_executor(self._writer, written)
        except RuntimeError:
            # The store was closed.
            raise unavailable() from None
        return await pending
