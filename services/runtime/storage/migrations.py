"""Numbered migrations of a SQLite file.

Such a file belongs to one process, so opening it is what brings its tables up to date. A migration that was released is
never edited: a change is a new one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class SchemaError(Exception):
    """The tables are not those this program needs; the message says what to do."""


@dataclass(frozen=True, slots=True)
class FileMigration:
    """One step of a file's schema: statements, each ended by a semicolon, and then columns (table, name, definition),
    each added unless it is there."""

    number: int
    name: str
    statements: str
    columns: Sequence[tuple[str, str, str]] = ()


class File(Protocol):
    """What is needed of an sqlite3.Connection that begins no transactions by itself (`isolation_level=None`)."""

    def execute(self, sql: str, parameters: Sequence[object] = ..., /) -> Iterable[Any]:
        """The rows of one statement."""


def file_version(file: File) -> int:
    """The number of the last migration applied; 0 for an empty file, and for one made before files had numbers."""
    ((number,),) = file.execute("pragma user_version")
    return int(number)


def migrate_file(file: File, migrations: Sequence[FileMigration]) -> None:
    """Applies what is missing, each migration in a transaction of its own, which notes its number in the file.

    Safe when two open the file at once, and again after a kill. Raises SchemaError for a file that is ahead of this
    program, and the driver's own errors.
    """
    for migration in migrations:
        if file_version(file) >= migration.number:
            continue
        file.execute("begin immediate")
        try:
            # Who waited for another finds it done.
            if file_version(file) < migration.number:
                _apply(file, migration)
            file.execute("commit")
        except BaseException:
            file.execute("rollback")
            raise
    found, newest = file_version(file), migrations[-1].number
    if found > newest:
        raise SchemaError(f"the schema of the file is at {found}, this program knows only {newest}: update it")


def _apply(file: File, migration: FileMigration) -> None:
    for statement in migration.statements.split(";"):
        file.execute(statement)
    for table, column, definition in migration.columns:
        if not list(file.execute("select 1 from pragma_table_info(?) where name = ?", (table, column))):
            file.execute(f"alter table {table} add column {column} {definition}")
    file.execute(f"pragma user_version = {migration.number}")
