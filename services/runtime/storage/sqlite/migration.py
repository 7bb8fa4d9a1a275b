"""Numbered migrations of a SQLite file. Its kind stands in `pragma application_id`, and in `user_version` the number
that a program must know to work with it: migrations that only add are noted in a table of their own, where programs
that do not know them do not look."""

from collections.abc import Iterable
from typing import Any, Protocol

from services.runtime.storage.move.state import NOTE_TABLE, Note, State, require_served, require_unmoved
from services.runtime.storage.schema import Migration, Schema, ahead, another, behind

ADDITIONS = "schema_addition"
"""The table of the migrations that only add."""
_NOTE_ADDITIONS = f"create table if not exists {ADDITIONS} (number integer primary key, name text not null) strict"


class File(Protocol):
    """An sqlite3.Connection that begins no transactions by itself (`isolation_level=None`)."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Iterable[Any]:
        """The rows of one statement."""


def file_version(file: File) -> int:
    """The number of the last migration applied; 0 for an empty file, and for one made before files had numbers."""
    return max(_number(file, "user_version"), _addition(file))


def is_empty(file: File) -> bool:
    """Tells if a file has no table at all."""
    return not list(file.execute("select 1 from sqlite_schema limit 1"))


def require_own(file: File, schema: Schema) -> None:
    """Raises SchemaError for a file of something else. One made before files were marked is told by its table."""
    mark = _number(file, "application_id")
    if mark == schema.application_id or (not mark and (is_empty(file) or _has_table(file, schema.own_table))):
        return
    raise another(schema, "file")


def check_file(file: File, schema: Schema, *, behind_too: bool = True) -> None:
    """Raises SchemaError for a file that is ahead of this program by more than additions and, unless told otherwise,
    for one behind it."""
    if (needed := _number(file, "user_version")) > schema.newest:
        raise ahead(schema, "file", needed)
    number = file_version(file)
    if number < schema.newest and behind_too:
        raise behind(schema, "file", number)


def read_note(file: File) -> Note | None:
    """Returns what is noted of a move that the file takes part in."""
    if not _has_table(file, NOTE_TABLE):
        return None
    ((move_id, state, other),) = file.execute(f"select move_id, state, other from {NOTE_TABLE}")
    return Note(move_id, State(state), other)


def migrate_file(file: File, schema: Schema) -> list[Migration]:
    """Applies what is missing, each migration in a transaction of its own, which notes its number in the file; returns
    what was applied.

    Safe when two open the file at once, and again after a kill. Raises SchemaError for a file that is ahead of this
    program or being moved, and the driver's own errors.
    """
    note = read_note(file)
    require_served(note)
    if file_version(file) < schema.newest:
        require_unmoved(note)
    applied = []
    for migration in schema.migrations:
        if file_version(file) >= migration.number:
            continue
        file.execute("begin immediate")
        try:
            # Who waited for another finds it done.
            if file_version(file) < migration.number:
                _apply(file, migration)
                applied.append(migration)
            file.execute("commit")
        except BaseException:
            file.execute("rollback")
            raise
    check_file(file, schema)
    if _number(file, "application_id") != schema.application_id:
        file.execute(f"pragma application_id = {schema.application_id}")
    return applied


def _apply(file: File, migration: Migration) -> None:
    for statement in migration.statements.split(";"):
        file.execute(statement)
    for table, column, definition in migration.columns:
        if not list(file.execute("select 1 from pragma_table_info(?) where name = ?", (table, column))):
            file.execute(f"alter table {table} add column {column} {definition}")
    if migration.adds:
        file.execute(_NOTE_ADDITIONS)
        file.execute(f"insert into {ADDITIONS} values (?, ?)", (migration.number, migration.name))
    else:
        file.execute(f"pragma user_version = {migration.number}")


def _addition(file: File) -> int:
    """Returns the number of the last migration that was applied of those that only add; 0 without any."""
    if not _has_table(file, ADDITIONS):
        return 0
    ((number,),) = file.execute(f"select coalesce(max(number), 0) from {ADDITIONS}")
    return int(number)


def _number(file: File, pragma: str) -> int:
    ((number,),) = file.execute(f"pragma {pragma}")
    return int(number)


def _has_table(file: File, table: str) -> bool:
    return bool(list(file.execute("select 1 from sqlite_schema where type = 'table' and name = ?", (table,))))
