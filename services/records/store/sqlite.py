"""Records in one SQLite file: the default, and enough for a region on one machine.

Reads run where they are asked, on the event loop: one person's records stand side by side in a table clustered by
person, and a thread hop would cost ten times the read. Writes wait for the disk, so they run in a thread of their own,
on a connection of their own; WAL lets both go on at once. `synchronous=FULL` syncs the log at every commit: what is
acknowledged survives a kill and a power cut.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from services.common.instants import Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.copying import Cursor
from services.records.domain.revisions import RecordId
from services.records.store.placed import PlacedRecord, records_of
from services.records.store.protocol import (
    ChangeRow,
    CurrentRecord,
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
from services.records.store.sqlite_purge import purge
from services.records.store.sqlite_schema import ADDED_COLUMNS, SCHEMA
from services.records.store.sqlite_write import CONFLICT_COLUMNS, as_cursor, read_history, transact
from services.runtime.clock import Clock
from services.runtime.stamps import Stamps

T = TypeVar("T")

log = logging.getLogger("hutong.records.sqlite")

AT_ONCE = 128
"""How many people are read before the event loop gets its turn: about a millisecond's worth."""

PLACED_AT_ONCE = 64
"""The same for records read by their place in time, each of which is parsed and counted before the next turn."""

BUSY_SECONDS = 5.0


@contextmanager
def _guarded() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        log.warning("sqlite: %s", error)
        raise unavailable() from None


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma cache_size = -32768")
    # Rows in order of person land on pages all over the file. Moving them there seldom, 40 MB of log at a time, writes
    # each page once for many commits.
    connection.execute("pragma wal_autocheckpoint = 10000")
    return connection


# Entries of the index end with the primary key, so a page begins where the one before ended.
PLACED = """
select c.placed_at, c.person_key, c.region, c.source_id, c.revision, r.body
from (
    select placed_at, person_key, region, source_id, revision from revision as this
    where placed_at < ?2 and (placed_at, person_key, region, source_id, revision) > (?4, ?5, ?6, ?7, ?8)
    and recorded_at <= ?3 and not exists (
        select 1 from revision where (person_key, region, source_id) = (this.person_key, this.region, this.source_id)
        and revision > this.revision and recorded_at <= ?3
    )
    order by placed_at, person_key, region, source_id, revision limit ?1
) as c join revision as r using (person_key, region, source_id)
where r.recorded_at <= ?3 order by c.placed_at, c.person_key, c.region, c.source_id, r.revision
"""


@cache
def _people_query(count: int) -> str:
    return (
        "select person_key, region, source_id, placed_at, laboratory, body, recorded_at from revision "
        f"where recorded_at <= ? and person_key in ({','.join('?' * count)}) "
        "order by person_key, region, source_id, revision"
    )


class SqliteStore:
    """A RecordStore in a file. Raises Unavailable, also when the file cannot be opened."""

    poll_seconds = 1.0
    """One process writes the file, and it tells its own watchers."""

    def __init__(self, path: Path) -> None:
        with _guarded():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise sqlite3.OperationalError(str(error)) from None
            self._write = _connect(path)
            self._write.executescript(SCHEMA)
            for column in ADDED_COLUMNS:
                with suppress(sqlite3.OperationalError):
                    self._write.execute(column)
            self._write.execute("insert or ignore into feed_head values (1, ?, 0, 0, 0)", (uuid4().hex,))
            self._read = _connect(path)
            self._read.execute("pragma query_only = on")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="records-sqlite")
        self._stamps = Stamps()
        self.drives_copies = False

    async def ping(self) -> None:
        """See RecordStore."""
        await self.head()

    async def close(self) -> None:
        """See RecordStore."""
        self._writer.shutdown()
        self._read.close()
        self._write.close()

    async def settle(self, at: Instant, now: Instant) -> None:
        """See RecordStore."""
        await self._stamps.settle(at, now)

    async def people(self, person_keys: Sequence[bytes], known_at: Instant) -> People:
        """See RecordStore."""
        records: dict[bytes, Sequence[CurrentRecord]] = {}
        with _guarded():
            for start in range(0, len(person_keys), AT_ONCE):
                if start:
                    await asyncio.sleep(0)
                keys = person_keys[start : start + AT_ONCE]
                # Few lengths, so that the statements stay prepared; a key that stands twice in the list is read once.
                padding = (1 << (len(keys) - 1).bit_length()) - len(keys)
                query = _people_query(len(keys) + padding)
                records.update(current_records(self._read.execute(query, (known_at, *keys, *[keys[0]] * padding))))
            (laboratories,) = self._read.execute("select laboratory_sequence from feed_head").fetchone()
        return People(records, laboratories)

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordStore."""
        with _guarded():
            return [revision.body for revision in read_history(self._read, record_id)]

    async def laboratories(self, after: int) -> Sequence[LaboratoryRow]:
        """See RecordStore."""
        with _guarded():
            rows = self._read.execute(
                "select sequence, body, coalesce((select arrived_at from feed_mark where last_sequence >= sequence "
                "order by last_sequence limit 1), 0) from laboratory where sequence > ? order by sequence",
                (after,),
            )
            return [LaboratoryRow(*row) for row in rows]

    async def head(self) -> Head:
        """See RecordStore."""
        with _guarded():
            row = self._read.execute(
                "select feed_id, sequence, (select mark from feed_mark where last_sequence = sequence) from feed_head"
            ).fetchone()
        return Head(row[0], row[1], row[2] or b"")

    async def mark(self, sequence: int) -> bytes:
        """See RecordStore."""
        if not sequence:
            return b""
        with _guarded():
            row = self._read.execute(
                "select mark from feed_mark where last_sequence >= ? order by last_sequence limit 1", (sequence,)
            ).fetchone()
        return b"" if row is None else bytes(row[0])

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See RecordStore."""
        with _guarded():
            rows = self._read.execute(
                "select sequence, 0, body, 0 from revision where sequence > ?1 and sequence <= ?2 union all "
                "select sequence, 1, body, 0 from laboratory where sequence > ?1 and sequence <= ?2 union all "
                "select last, 0, x'', first from purged where last > ?1 and first <= ?2 order by 1",
                (after, after + most),
            )
            return [ChangeRow(sequence, bool(kind), body, first) for sequence, kind, body, first in rows]

    async def cursors(self) -> Mapping[str, Cursor]:
        """See RecordStore."""
        with _guarded():
            rows = self._read.execute("select region, feed_id, sequence, as_of, mark, rereading from follow")
            return {row[0]: as_cursor(row[1:]) for row in rows}

    async def due_copies(self, regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        """See RecordStore."""
        with _guarded():
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
        with _guarded():
            rows = self._read.execute(
                f"select {CONFLICT_COLUMNS} from conflict where number > ? and (? or settlement = 0) "
                "order by number limit ?",
                (after, settled_too, most),
            )
            return [StoredConflict(*row) for row in rows]

    async def note_lag(self, lag: Lag) -> None:
        """See RecordStore."""
        await self._in_writer(lambda: self._write.execute("insert or replace into followed_lag values (?, ?, ?)", lag))

    async def lags(self) -> Sequence[Lag]:
        """See RecordStore."""
        with _guarded():
            rows = self._read.execute("select region, noted_at, as_of from followed_lag order by noted_at")
            return [Lag(*row) for row in rows]

    async def placed(
        self, first: Instant, end: Instant, known_at: Instant
    ) -> AsyncGenerator[Sequence[PlacedRecord], None]:
        """See RecordStore."""
        after: tuple[object, ...] = (first, b"", "", "", 0)
        while True:
            with _guarded():
                page = list(records_of(self._read.execute(PLACED, (PLACED_AT_ONCE, end, known_at, *after))))
            yield [record for _, record in page]
            if len(page) < PLACED_AT_ONCE:
                return
            after = page[-1][0]
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
                return transact(self._write, touch, decide, stamp, self.drives_copies)
            finally:
                for token in tokens:
                    self._stamps.end(token)

        return await self._in_writer(write)

    async def batches(self, session: str) -> int:
        """See RecordStore."""
        with _guarded():
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

    async def _in_writer(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            with _guarded():
                return work()

        try:
            pending = asyncio.get_running_loop().run_in_executor(self._writer, guarded)
        except RuntimeError:
            # The store was closed.
            raise unavailable() from None
        return await pending
