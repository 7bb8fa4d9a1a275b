"""A SQLite file that a store moves from, or to."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.runtime.storage.move.places import Changes, Position
from services.runtime.storage.move.state import (
    NOTE_DEFINITION,
    NOTE_TABLE,
    PROGRESS_DEFINITION,
    PROGRESS_TABLE,
    RETIRED,
    WRITES_CLOSED,
    Note,
)
from services.runtime.storage.move.tables import Key, Row, Table, key_text, text_key
from services.runtime.storage.schema import Schema, absent
from services.runtime.storage.sqlite.file import connect, make_or_migrate
from services.runtime.storage.sqlite.lock import FileLock
from services.runtime.storage.sqlite.migration import check_file, read_note, require_own

BUSY_SECONDS = 30.0


class SqlitePlace:
    """A file. As a source it may be served meanwhile; as a target it is locked."""

    def __init__(self, path: Path, schema: Schema, *, is_target: bool) -> None:
        self.name = f"sqlite:{path.absolute()}"
        self._path = path
        self._schema = schema
        self._lock: FileLock | None = None
        if is_target:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = FileLock(path)
        elif not path.exists():
            raise absent(schema, "file")
        self._connection: sqlite3.Connection | None = None

    @property
    def _file(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path, busy_seconds=BUSY_SECONDS)
        return self._connection

    async def close(self) -> None:
        """See Place."""
        if self._connection is not None:
            self._connection.close()
        if self._lock is not None:
            self._lock.release()

    async def make(self) -> None:
        """See Target."""
        make_or_migrate(self._path, self._schema)

    async def check(self) -> None:
        """See Place."""
        require_own(self._file, self._schema)
        check_file(self._file, self._schema)

    async def note(self) -> Note | None:
        """See Place."""
        return read_note(self._file) if self._path.exists() else None

    async def page(self, table: Table, after: Key | None, most: int) -> Sequence[Row]:
        """See Place."""
        key = ", ".join(table.key)
        where = "" if after is None else f"where ({key}) > ({_marks(table.key)})"
        query = f"select {', '.join(table.columns)} from {table.name} {where} order by {key} limit ?"
        return self._file.execute(query, (*(after or ()), most)).fetchall()

    async def rows(self, table: Table, keys: Sequence[Key]) -> Sequence[Row]:
        """See Place."""
        query = f"select {', '.join(table.columns)} from {table.name} where {_equal(table)}"
        return [row for key in keys for row in self._file.execute(query, key)]

    async def count(self, table: Table) -> int:
        """See Place."""
        return int(self._file.execute(f"select count(*) from {table.name}").fetchone()[0])

    async def leave(self, tables: Sequence[Table], note: Note) -> None:
        """See Source."""
        with self._transaction() as file:
            file.execute(NOTE_DEFINITION)
            self._write_note(note)
            for table in tables:
                # Of the same affinities as the key's own.
                file.execute(f"create table {_noted(table)} as select {', '.join(table.key)} from {table.name} where 0")
                for event, side in (("insert", "new"), ("update", "old"), ("update", "new"), ("delete", "old")):
                    values = ", ".join(f"{side}.{column}" for column in table.key)
                    file.execute(
                        f"create trigger {_noted(table)}_{event}_{side} after {event} on {table.name} "
                        f"begin insert into {_noted(table)} values ({values}); end"
                    )

    async def waiting(self, table: Table) -> int:
        """See Source."""
        return int(self._file.execute(f"select count(*) from {_noted(table)}").fetchone()[0])

    async def changes(self, table: Table, most: int) -> Changes:
        """See Source."""
        query = f"select rowid, {', '.join(table.key)} from {_noted(table)} order by rowid limit ?"
        rows = self._file.execute(query, (most,)).fetchall()
        return Changes([row[0] for row in rows], list(dict.fromkeys(row[1:] for row in rows)))

    async def carried(self, table: Table, numbers: Sequence[int]) -> None:
        """See Source."""
        with self._transaction() as file:
            file.executemany(f"delete from {_noted(table)} where rowid = ?", [(number,) for number in numbers])

    async def close_writes(self, tables: Sequence[Table], note: Note) -> None:
        """See Source."""
        with self._transaction() as file:
            for table in tables:
                for event in ("insert", "update", "delete"):
                    file.execute(
                        f"create trigger {_closed(table)}_{event} before {event} on {table.name} "
                        f"begin select raise(abort, '{WRITES_CLOSED}'); end"
                    )
            self._write_note(note)

    async def retire(self, tables: Sequence[Table], note: Note) -> None:
        """See Source."""
        with self._transaction() as file:
            self._drop_triggers(tables)
            for table in tables:
                file.execute(f"alter table {table.name} rename to {RETIRED}{table.name}")
                file.execute(f"drop table {_noted(table)}")
            self._write_note(note)

    async def stay(self, tables: Sequence[Table]) -> None:
        """See Source."""
        with self._transaction() as file:
            self._drop_triggers(tables)
            for table in tables:
                file.execute(f"drop table if exists {_noted(table)}")
            file.execute(f"drop table if exists {NOTE_TABLE}")

    async def arrive(self, tables: Sequence[Table], note: Note) -> None:
        """See Target."""
        with self._transaction() as file:
            file.execute(NOTE_DEFINITION)
            file.execute(PROGRESS_DEFINITION)
            self._write_note(note)
            for table in tables:
                file.execute(f"delete from {table.name}")

    async def position(self, table: Table) -> Position:
        """See Target."""
        query = f"select after_key, copied from {PROGRESS_TABLE} where table_name = ?"
        row = self._file.execute(query, (table.name,)).fetchone()
        return Position() if row is None else Position(text_key(row[0]), bool(row[1]))

    async def add(self, table: Table, rows: Sequence[Row], position: Position) -> None:
        """See Target."""
        with self._transaction() as file:
            self._insert(table, rows)
            noted = (table.name, key_text(position.after or ()), position.copied)
            file.execute(f"insert or replace into {PROGRESS_TABLE} values (?, ?, ?)", noted)

    async def replace(self, table: Table, keys: Sequence[Key], rows: Sequence[Row]) -> None:
        """See Target."""
        with self._transaction() as file:
            file.executemany(f"delete from {table.name} where {_equal(table)}", keys)
            self._insert(table, rows)

    async def open(self, tables: Sequence[Table]) -> None:
        """See Target."""
        with self._transaction() as file:
            file.execute(f"drop table {PROGRESS_TABLE}")
            file.execute(f"drop table {NOTE_TABLE}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._file.execute("begin immediate")
        try:
            yield self._file
            self._file.execute("commit")
        except BaseException:
            self._file.execute("rollback")
            raise

    def _insert(self, table: Table, rows: Sequence[Row]) -> None:
        columns = ", ".join(table.columns)
        self._file.executemany(f"insert into {table.name} ({columns}) values ({_marks(table.columns)})", rows)

    def _write_note(self, note: Note) -> None:
        self._file.execute(f"insert or replace into {NOTE_TABLE} values (1, ?, ?, ?)", note)

    def _drop_triggers(self, tables: Sequence[Table]) -> None:
        ours = {name for table in tables for name in (_noted(table), _closed(table))}
        triggers = self._file.execute("select name from sqlite_schema where type = 'trigger'").fetchall()
        for (trigger,) in triggers:
            if any(trigger.startswith(f"{name}_") for name in ours):
                self._file.execute(f"drop trigger {trigger}")


def _noted(table: Table) -> str:
    return f"store_move_note_{table.name}"


def _closed(table: Table) -> str:
    return f"store_move_closed_{table.name}"


def _marks(columns: Sequence[str]) -> str:
    return ", ".join("?" * len(columns))


def _equal(table: Table) -> str:
    return " and ".join(f"{column} = ?" for column in table.key)
