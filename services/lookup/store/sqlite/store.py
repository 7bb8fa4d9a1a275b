"""The holder store in one SQLite file, for one process.

Reads are inline on a connection of their own (a thread hop would cost more than they do); writes, which wait for the
disk, take place one after another in a thread.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice, repeat
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

from services.common.instants import Instant
from services.lookup.domain.holders import (
    Command,
    Decision,
    HolderEvent,
    KeyAt,
    Link,
    LoggedCommand,
    Neighbourhood,
    Person,
    Switch,
    SwitchInForce,
    decide,
    people,
    people_known_at,
)
from services.lookup.domain.members import ProvenMember
from services.lookup.domain.outages import NOTE_LIFETIME, OutageNote
from services.lookup.store import rows
from services.lookup.store.owner import Owner
from services.lookup.store.protocol import CurrentPeople, KeysMovedError, unavailable
from services.lookup.store.sqlite import key_moves as key_moves
from services.lookup.store.sqlite import queries as sql
from services.lookup.store.sqlite.schema import SCHEMA
from services.runtime.clock import Clock
from services.runtime.storage.commit_clock import CommitClock
from services.runtime.storage.key_moves import KeyState
from services.runtime.storage.sqlite.file import connect, guard, open_alone, open_file
from services.runtime.storage.sqlite.lock import FileLock

T = TypeVar("T")

_KEY_BYTES = 16
_BLOCK = 250


class SqliteHolderStore:
    """See HolderStore. One process at a time may write to the file."""

    def __init__(self, path: Path, owner: Owner, *, migrates: bool = False, alone: bool = False) -> None:
        """Opens the file; `migrates` makes it, or brings it up to date; `alone` locks it. `owner` says of which
        mesh. Raises Unavailable when that cannot be done, and SchemaError for a file that will not
        do."""
        self._lock: FileLock | None = None
        with guard(unavailable):
            if alone:
                self._write, self._lock = open_alone(path, SCHEMA, migrates=migrates)
            else:
                self._write = open_file(path, SCHEMA, migrates=migrates)
            try:
                self._feed_id = self._own(owner)
            except BaseException:
                self._write.close()
                if self._lock is not None:
                    self._lock.release()
                raise
            self._latest = Instant(self._write.execute(sql.LATEST).fetchone()[0])
            self._read = connect(path, busy_seconds=0.1)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="holder-store")
        self._stamps = CommitClock()

    def _own(self, owner: Owner) -> str:
        """Compares whose the file is, and notes it in one where that was never noted; returns its feed's id. Raises
        SchemaError."""
        with self._transaction():
            self._write.execute(
                "insert or ignore into store_owner values (1, ?, ?)",
                (owner.secret_fingerprint, token_hex(16)),
            )
            noted, feed_id = self._write.execute("select secret_fingerprint, feed_id from store_owner").fetchone()
            owner.require(noted)
        return str(feed_id)

    async def feed_id(self) -> str:
        """See HolderStore."""
        return self._feed_id

    async def people(self, keys: Sequence[bytes]) -> CurrentPeople:
        """See HolderStore. Most people have neither a second document nor a switch: that is found out first."""
        with guard(unavailable):
            moved_before = key_moves.read_state(self._read).moved
            known: list[bytes] = []
            remaining = iter(keys)
            while block := list(islice(remaining, _BLOCK)):
                # Few distinct statements, so that each is prepared once: a short block repeats its last key.
                size = _BLOCK if len(block) > 16 else 16 if len(block) > 1 else 1
                block.extend(repeat(block[-1], size - len(block)))
                known.extend(row[0] for row in self._read.execute(sql.with_something(size), (*block, *block)))
            found: list[Any] = []
            for start in range(0, len(known), _BLOCK):
                block = known[start : start + _BLOCK]
                found.extend(self._read.execute(sql.people(len(block)), block))
            moved_keys = key_moves.read_state(self._read).moved
        # Taken after reading: what was committed meanwhile, and seen or not, is counted in.
        return CurrentPeople(people(found), self._latest, moved_keys if moved_keys == moved_before else -1)

    async def people_known_at(self, keys: Sequence[KeyAt]) -> dict[KeyAt, Person]:
        """See HolderStore."""
        entries: list[LoggedCommand] = []
        with guard(unavailable):
            for start in range(0, len(keys), _BLOCK):
                block = keys[start : start + _BLOCK]
                read = self._read.execute(sql.entries(len(block)), [value for pair in block for value in pair])
                entries.extend(LoggedCommand((key, Instant(at)), rows.command(columns)) for key, at, *columns in read)
        return people_known_at(entries)

    async def settle(self, at: Instant, now: Instant) -> None:
        """See HolderStore."""
        await self._stamps.settle(at, now)

    async def commit(self, command: Command, clock: Clock, key_version: int | None = None) -> Decision:
        """See HolderStore."""
        return await self._in_writer(lambda: self._commit(command, clock, key_version))

    async def key_state(self) -> KeyState:
        """See KeyMoves."""
        with guard(unavailable):
            return key_moves.read_state(self._read)

    async def begin_key_move(self, fingerprint: bytes, version: int) -> None:
        """See KeyMoves."""
        await self._in_writer(lambda: key_moves.begin(self._write, fingerprint, version))

    async def older_people(self, version: int, most: int) -> Sequence[Sequence[bytes]]:
        """See KeyMoves."""
        with guard(unavailable):
            return key_moves.older(self._read, version, most)

    async def connected(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        """See HolderStore."""
        with guard(unavailable):
            return key_moves.connected(self._read, keys)

    async def move_keys(self, moves: Mapping[bytes, bytes]) -> None:
        """See KeyMoves."""
        await self._in_writer(lambda: key_moves.move(self._write, moves))

    async def end_key_move(self, version: int) -> bool:
        """See KeyMoves."""
        return await self._in_writer(lambda: key_moves.end(self._write, version))

    async def changes(self, after: int, most: int) -> list[HolderEvent]:
        """See HolderStore."""
        query = "select sequence, affected, recorded_at from holder_log where sequence > ? order by sequence limit ?"
        with guard(unavailable):
            return [
                HolderEvent(sequence, _split(affected), Instant(recorded_at))
                for sequence, affected, recorded_at in self._read.execute(query, (after, most))
            ]

    async def last(self) -> int:
        """See HolderStore."""
        with guard(unavailable):
            return int(self._read.execute("select coalesce(max(sequence), 0) from holder_log").fetchone()[0])

    async def note(self, notes: Sequence[OutageNote]) -> None:
        """See HolderStore."""
        await self._in_writer(lambda: self._note(notes))

    async def notes_at(self, instants: Sequence[Instant]) -> list[list[OutageNote]]:
        """See HolderStore."""
        with guard(unavailable):
            return [
                [rows.note(row) for row in self._read.execute(sql.NOTES, (at - NOTE_LIFETIME, at, at))]
                for at in instants
            ]

    async def proven_members(self) -> list[ProvenMember]:
        """See HolderStore."""
        with guard(unavailable):
            return [ProvenMember(*row) for row in self._read.execute(sql.PROVEN_MEMBERS)]

    async def prove_members(self, members: Sequence[ProvenMember]) -> None:
        """See HolderStore."""
        await self._in_writer(lambda: self._prove(members))

    async def ping(self) -> None:
        """See HolderStore."""
        await self.last()

    async def close(self) -> None:
        """See HolderStore. Waits for a write under way."""
        self._writer.shutdown(wait=True)
        self._read.close()
        self._write.close()
        if self._lock is not None:
            self._lock.release()

    async def _in_writer(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writer, work)
        except (sqlite3.Error, RuntimeError) as error:
            # RuntimeError is the executor's word for being closed.
            raise unavailable(error) from None

    def _commit(self, command: Command, clock: Clock, key_version: int | None) -> Decision:
        token, stamp = self._stamps.begin(clock)
        try:
            with self._transaction():
                if key_version not in (None, key_moves.read_state(self._write).version):
                    raise KeysMovedError
                decision = decide(command, self._neighbourhood(command))
                if decision.changes:
                    self._latest = Instant(max(stamp, self._latest + 1))
                    self._apply(command, decision, self._latest)
        finally:
            self._stamps.end(token)
        return decision

    def _note(self, notes: Sequence[OutageNote]) -> None:
        with self._transaction():
            self._write.executemany("insert or ignore into source_note values (?, ?, ?, ?)", notes)

    def _prove(self, members: Sequence[ProvenMember]) -> None:
        with self._transaction():
            self._write.execute("delete from proven_member")
            self._write.executemany("insert into proven_member values (?, ?, ?)", members)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._write.execute("begin immediate")
        try:
            yield
            self._write.execute("commit")
        except BaseException:
            if self._write.in_transaction:
                self._write.execute("rollback")
            raise

    def _neighbourhood(self, command: Command) -> Neighbourhood:
        seeds = (command.person, command.person if isinstance(command, Switch) else command.other)
        earlier = None
        if command.request_id:
            row = self._write.execute(sql.EARLIER, (command.request_id,)).fetchone()
            earlier = row and rows.command(row, command.request_id)
        return Neighbourhood(
            frozenset(self._write.execute(sql.EDGES, seeds)),
            [SwitchInForce(*row) for row in self._write.execute(sql.SWITCHES, seeds)],
            earlier,
        )

    def _apply(self, command: Command, decision: Decision, now: Instant) -> None:
        sequence = self._write.execute("select coalesce(max(sequence), 0) + 1 from holder_log").fetchone()[0]
        self._write.execute(
            "insert into holder_log values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (sequence, *rows.columns(command), command.request_id, b"".join(decision.affected), now),
        )
        if isinstance(command, Switch):
            self._write.execute(
                "insert or replace into holder_switch values (?, ?, ?, ?)",
                (command.person, command.region, command.scope, sequence),
            )
            return
        both = [(command.person, command.other), (command.other, command.person)]
        if isinstance(command, Link):
            self._write.executemany("insert into holder_link values (?, ?)", both)
        else:
            self._write.executemany("delete from holder_link where person_key = ? and other_key = ?", both)


def _split(joined: bytes) -> tuple[bytes, ...]:
    return tuple(joined[start : start + _KEY_BYTES] for start in range(0, len(joined), _KEY_BYTES))
