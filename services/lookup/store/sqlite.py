"""The holder store in one SQLite file, for one process.

Reads are inline on a connection of their own (a thread hop would cost more than they do); writes, which wait for the
disk, take place one after another in a thread.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice, repeat
from pathlib import Path
from typing import Any

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
from services.runtime.migrations import FileMigration, migrate_file

_HOLDERS = """
create table if not exists holder_log (
    sequence integer primary key,
    action text not null check (action in ('link', 'unlink', 'switch')),
    person_key blob not null,
    other_key blob,
    region text,
    scope integer,
    cause text not null,
    request_id text not null,
    affected blob not null,
    recorded_at integer not null
) strict;
create unique index if not exists holder_log_request on holder_log (request_id) where request_id <> '';
create table if not exists holder_link (
    person_key blob not null,
    other_key blob not null,
    primary key (person_key, other_key)
) strict, without rowid;
create table if not exists holder_switch (
    person_key blob not null,
    region text not null,
    scope integer not null,
    sequence integer not null,
    primary key (person_key, region)
) strict, without rowid;
"""

MIGRATIONS = (FileMigration(1, "holders", _HOLDERS),)
"""Files made before they had numbers have these tables, which the first leaves as they are. One that was released is
never edited: a change is a new one."""

_REACH = """
with recursive person (key) as (
    values (?), (?)
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

_KEY_BYTES = 16
_BLOCK = 250


@cache
def _with_something(count: int) -> str:
    marks = ",".join(repeat("?", count))
    return (
        f"select person_key from holder_link where person_key in ({marks}) "
        f"union select person_key from holder_switch where person_key in ({marks})"
    )


@cache
def _people(count: int) -> str:
    marks = ",".join(repeat("(?)", count))
    return f"""
    with recursive asked (key) as (values {marks}), person (asked, key) as (
        select key, key from asked
        union
        select person.asked, link.other_key from person join holder_link as link on link.person_key = person.key
    )
    select person.asked, person.key, switch.region, switch.scope, switch.sequence
    from person left join holder_switch as switch on switch.person_key = person.key
    """


class SqliteHolderStore:
    """See HolderStore. One process at a time may write to the file."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it. Raises Unavailable when that cannot be done, and SchemaError for a file
        that is ahead of this program."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write = _connect(path, timeout=5.0)
            migrate_file(self._write, MIGRATIONS)
            self._read = _connect(path, timeout=0.1)
        except (sqlite3.Error, OSError) as error:
            raise unavailable(error) from None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="holder-store")

    async def people(self, keys: Sequence[bytes]) -> dict[bytes, Person]:
        """See HolderStore. Most people have neither a second document nor a switch: that is found out first."""
        try:
            known: list[bytes] = []
            remaining = iter(keys)
            while block := list(islice(remaining, _BLOCK)):
                # Few distinct statements, so that each is prepared once: a short block repeats its last key.
                size = _BLOCK if len(block) > 16 else 16 if len(block) > 1 else 1
                block.extend(repeat(block[-1], size - len(block)))
                known.extend(row[0] for row in self._read.execute(_with_something(size), (*block, *block)))
            if not known:
                return {}
            found: list[Any] = []
            for start in range(0, len(known), _BLOCK):
                block = known[start : start + _BLOCK]
                found.extend(self._read.execute(_people(len(block)), block))
            return people(found)
        except sqlite3.Error as error:
            raise unavailable(error) from None

    async def commit(self, command: Command, now: Instant) -> Decision:
        """See HolderStore."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writer, self._commit, command, now)
        except (sqlite3.Error, RuntimeError) as error:
            # RuntimeError is the executor's word for being closed.
            raise unavailable(error) from None

    async def changes(self, after: int, most: int) -> list[HolderEvent]:
        """See HolderStore."""
        query = "select sequence, affected, recorded_at from holder_log where sequence > ? order by sequence limit ?"
        try:
            return [
                HolderEvent(sequence, _split(affected), Instant(recorded_at))
                for sequence, affected, recorded_at in self._read.execute(query, (after, most))
            ]
        except sqlite3.Error as error:
            raise unavailable(error) from None

    async def last(self) -> int:
        """See HolderStore."""
        try:
            return int(self._read.execute("select coalesce(max(sequence), 0) from holder_log").fetchone()[0])
        except sqlite3.Error as error:
            raise unavailable(error) from None

    async def ping(self) -> None:
        """See HolderStore."""
        await self.last()

    async def close(self) -> None:
        """See HolderStore. Waits for a write under way."""
        self._writer.shutdown(wait=True)
        self._read.close()
        self._write.close()

    def _commit(self, command: Command, now: Instant) -> Decision:
        self._write.execute("begin immediate")
        try:
            decision = decide(command, self._neighbourhood(command))
            if decision.changes:
                self._apply(command, decision, now)
            self._write.execute("commit")
        except BaseException:
            if self._write.in_transaction:
                self._write.execute("rollback")
            raise
        return decision

    def _neighbourhood(self, command: Command) -> Neighbourhood:
        seeds = (command.person, command.person if isinstance(command, Switch) else command.other)
        earlier = None
        if command.request_id:
            query = "select action, person_key, other_key, region, scope, cause from holder_log where request_id = ?"
            row = self._write.execute(query, (command.request_id,)).fetchone()
            earlier = row and rows.command(row, command.request_id)
        return Neighbourhood(
            frozenset(self._write.execute(_EDGES, seeds)),
            [Switched(*row) for row in self._write.execute(_SWITCHES, seeds)],
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


def _connect(path: Path, timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    connection.execute("pragma journal_mode = wal")
    # FULL: a commit is on the disk before it is acknowledged, even in WAL.
    connection.execute("pragma synchronous = full")
    return connection


def _split(joined: bytes) -> tuple[bytes, ...]:
    return tuple(joined[start : start + _KEY_BYTES] for start in range(0, len(joined), _KEY_BYTES))
