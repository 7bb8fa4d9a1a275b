"""The tables of a store, which both engines name alike: read from the SQLite schema itself, so that no table that is
added one day is left behind."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256

from services.runtime.storage.schema import Schemas
from services.runtime.storage.sqlite.migration import ADDITIONS, migrate_file

Value = int | str | bytes | None
"""A value as SQLite keeps it: a boolean is 0 or 1, several keys are joined."""
Row = tuple[Value, ...]
Key = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, and those of its primary key in the order of that key."""

    name: str
    columns: Sequence[str]
    key: Sequence[str]

    def key_of(self, row: Row) -> Key:
        """Returns the primary key of a row of all columns."""
        return tuple(row[self.columns.index(column)] for column in self.key)


def tables_of(schemas: Schemas) -> Sequence[Table]:
    """Returns the tables of a kind of store, in the order in which they are written, then by name. Each engine notes by
    itself which migrations were applied: that is not carried over."""
    order = {name: place for place, name in enumerate(schemas.write_order)}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as file:
        migrate_file(file, schemas.sqlite)
        names = [name for (name,) in file.execute("select name from sqlite_schema where type = 'table'")]
        names.sort(key=lambda name: (order.get(name, len(order)), name))
        return [_table(file, name) for name in names if not name.startswith("sqlite_") and name != ADDITIONS]


def _table(file: sqlite3.Connection, name: str) -> Table:
    columns = list(file.execute("select name, pk from pragma_table_info(?) order by cid", (name,)))
    key = [column for column, place in sorted(columns, key=lambda column: column[1]) if place]
    return Table(name, [column for column, _ in columns], key)


def digest(row: Row) -> int:
    """Returns a number for a row. The sum of those of a table's rows, whatever their order, is the table's digest."""
    return int.from_bytes(sha256(repr(row).encode()).digest(), "big")


DIGESTS = 1 << 256
"""The sum of digests is taken modulo this."""


def key_text(key: Key) -> str:
    """Returns a key as text that is kept; see `text_key`."""
    return json.dumps([{"hex": value.hex()} if isinstance(value, bytes) else value for value in key])


def text_key(text: str) -> Key:
    """Returns the key that was kept as text."""
    return tuple(bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for value in json.loads(text))
