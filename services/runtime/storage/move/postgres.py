"""A PostgreSQL database that a store moves from, or to. The role is the owner of its tables.

Changes are noted by triggers that see what a statement changed, once for each statement. They run with the rights of
the tables' owner, so that the service's own role needs none on the notes.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg

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
from services.runtime.storage.move.tables import Key, Row, Table, Value, key_text, text_key
from services.runtime.storage.postgres.migration import check, migrate, read_note
from services.runtime.storage.postgres.pooler import leads_through_pooler
from services.runtime.storage.schema import Schema, SchemaError

CONNECT_SECONDS = 10.0
LOCK_ATTEMPTS = 30
LOCK_SECONDS = 2
LOCK_PAUSE = 0.2
KEY_BYTES = 16
"""The length of each key in a column of several."""

_CONSTANTS = {("feed_head", "schema_version"): 1}
"""Columns that only PostgreSQL has and that have no default."""

_COLUMNS = """
select attname, format_type(atttypid, atttypmod) as type, attidentity <> '' as numbered
from pg_attribute where attrelid = to_regclass($1) and attnum > 0 and not attisdropped order by attnum
"""

# The names of other roles' programs are not shown to everybody: whoever is not known counts.
_SERVED = """
select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
and backend_type = 'client backend' and coalesce(application_name, 'hutong-') like 'hutong-%'
"""


class PostgresPlace:
    """A database, over one connection."""

    def __init__(self, url: str, schema: Schema) -> None:
        parts = urlsplit(url)
        self.name = f"postgresql:{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._url = url
        self._schema = schema
        self._opened: asyncpg.Connection | None = None
        self._types: dict[str, dict[str, str]] = {}

    async def _connection(self) -> asyncpg.Connection:
        if self._opened is None:
            self._opened = await asyncpg.connect(self._url, timeout=CONNECT_SECONDS, target_session_attrs="read-write")
            if await leads_through_pooler(self._opened):
                raise SchemaError("经过连接池，不能迁移 / a pooler is on the way: a move takes the database itself")
            # A table of millions is counted and read.
            await self._opened.execute("set statement_timeout = 0")
        return self._opened

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await self._connection()
        async with connection.transaction():
            yield connection

    async def close(self) -> None:
        """See Place."""
        if self._opened is not None:
            await self._opened.close()

    async def make(self) -> None:
        """See Target."""
        await migrate(await self._connection(), self._schema)

    async def check(self) -> None:
        """See Place."""
        connection = await self._connection()
        await check(connection, self._schema)
        distributed = "select bool_or(distributed) from store_migration where store = $1"
        if await connection.fetchval(distributed, self._schema.store):
            raise SchemaError("分布式库不能迁移 / a distributed store cannot be moved: Citus has no such triggers")

    async def note(self) -> Note | None:
        """See Place."""
        return await read_note(await self._connection())

    async def page(self, table: Table, after: Key | None, most: int) -> Sequence[Row]:
        """See Place."""
        connection, types = await self._connection(), await self._types_of(table)
        key = ", ".join(table.key)
        marks = ", ".join(f"${n + 2}::{types[column]}" for n, column in enumerate(table.key))
        where = "" if after is None else f"where ({key}) > ({marks})"
        query = f"select {', '.join(table.columns)} from {table.name} {where} order by {key} limit $1"
        values = [] if after is None else _to_postgres(after, [types[column] for column in table.key])
        return [_from_postgres(row) for row in await connection.fetch(query, most, *values)]

    async def rows(self, table: Table, keys: Sequence[Key]) -> Sequence[Row]:
        """See Place."""
        connection = await self._connection()
        columns = ", ".join(f"stored.{column}" for column in table.columns)
        equal = " and ".join(f"{table.name}.{column} = asked.{column}" for column in table.key)
        # With its limit each key is looked up by itself: joined as a whole, all of a table that nobody has analysed yet
        # would be read for it.
        query = f"select {columns} from {await self._asked(table)} "
        query += f"cross join lateral (select * from {table.name} where {equal} limit 1) as stored"
        return [_from_postgres(row) for row in await connection.fetch(query, *await self._arrays(table, keys))]

    async def count(self, table: Table) -> int:
        """See Place."""
        connection = await self._connection()
        return int(await connection.fetchval(f"select count(*) from {table.name}"))

    async def leave(self, tables: Sequence[Table], note: Note) -> None:
        """See Source."""

        async def begin(connection: asyncpg.Connection) -> None:
            await self._make_note(connection, note)
            for table in tables:
                await connection.execute(_note_changes(table))

        await self._locked(tables, "share row exclusive", begin)

    async def waiting(self, table: Table) -> int:
        """See Source."""
        return int(await (await self._connection()).fetchval(f"select count(*) from {_noted(table)}"))

    async def changes(self, table: Table, most: int) -> Changes:
        """See Source."""
        connection = await self._connection()
        query = f"select change_number, {', '.join(table.key)} from {_noted(table)} order by change_number limit $1"
        rows = [_from_postgres(row) for row in await connection.fetch(query, most)]
        return Changes([int(row[0] or 0) for row in rows], list(dict.fromkeys(row[1:] for row in rows)))

    async def carried(self, table: Table, numbers: Sequence[int]) -> None:
        """See Source."""
        connection = await self._connection()
        await connection.execute(f"delete from {_noted(table)} where change_number = any($1::bigint[])", numbers)

    async def close_writes(self, tables: Sequence[Table], note: Note) -> None:
        """See Source."""

        async def close(connection: asyncpg.Connection) -> None:
            await connection.execute(
                "create function store_move_closed() returns trigger language plpgsql as "
                f"$$ begin raise exception '{WRITES_CLOSED}'; end $$"
            )
            for table in tables:
                await connection.execute(
                    f"create trigger store_move_closed before insert or update or delete or truncate on {table.name} "
                    "for each statement execute function store_move_closed()"
                )
            await self._write_note(connection, note)

        await self._locked(tables, "share row exclusive", close)

    async def retire(self, tables: Sequence[Table], note: Note) -> None:
        """See Source."""

        async def put_away(connection: asyncpg.Connection) -> None:
            await self._forget(connection, tables)
            for table in tables:
                await connection.execute(f"alter table {table.name} rename to {RETIRED}{table.name}")
            await self._write_note(connection, note)

        await self._locked(tables, "access exclusive", put_away)

    async def stay(self, tables: Sequence[Table]) -> None:
        """See Source."""

        async def undo(connection: asyncpg.Connection) -> None:
            await self._forget(connection, tables)
            await connection.execute(f"drop table if exists {NOTE_TABLE}")

        await self._locked(tables, "access exclusive", undo)

    async def arrive(self, tables: Sequence[Table], note: Note) -> None:
        """See Target."""
        async with self._transaction() as connection:
            if await connection.fetchval(_SERVED):
                raise SchemaError("有服务正在使用目标库 / a service has the store to move to open: end it first")
            await self._make_note(connection, note)
            await connection.execute(PROGRESS_DEFINITION)
            for table in tables:
                await connection.execute(f"delete from {table.name}")

    async def position(self, table: Table) -> Position:
        """See Target."""
        query = f"select after_key, copied from {PROGRESS_TABLE} where table_name = $1"
        row: Any = await (await self._connection()).fetchrow(query, table.name)
        return Position() if row is None else Position(text_key(row[0]), bool(row[1]))

    async def add(self, table: Table, rows: Sequence[Row], position: Position) -> None:
        """See Target."""
        async with self._transaction() as connection:
            await self._insert(connection, table, rows)
            await connection.execute(
                f"insert into {PROGRESS_TABLE} values ($1, $2, $3) on conflict (table_name) "
                "do update set after_key = excluded.after_key, copied = excluded.copied",
                table.name,
                key_text(position.after or ()),
                int(position.copied),
            )

    async def replace(self, table: Table, keys: Sequence[Key], rows: Sequence[Row]) -> None:
        """See Target."""
        async with self._transaction() as connection:
            # By its index each, as above: nobody has analysed the table yet.
            await connection.execute("set local enable_hashjoin = off; set local enable_mergejoin = off")
            await connection.execute("set local enable_seqscan = off")
            equal = " and ".join(f"{table.name}.{column} = asked.{column}" for column in table.key)
            query = f"delete from {table.name} using {await self._asked(table)} where {equal}"
            await connection.execute(query, *await self._arrays(table, keys))
            await self._insert(connection, table, rows)

    async def open(self, tables: Sequence[Table]) -> None:
        """See Target."""
        async with self._transaction() as connection:
            # What came before is durable with it, whatever the database's default.
            await connection.execute("set local synchronous_commit = on")
            for table in tables:
                for row in await connection.fetch(_COLUMNS, table.name):
                    if row["numbered"]:
                        column = row["attname"]
                        await connection.execute(
                            f"select setval(pg_get_serial_sequence('{table.name}', '{column}'), "
                            f"coalesce(max({column}), 0) + 1, false) from {table.name}"
                        )
            await connection.execute(f"drop table {PROGRESS_TABLE}")
            await connection.execute(f"drop table {NOTE_TABLE}")

    async def _locked(self, tables: Sequence[Table], mode: str, work: Any) -> None:
        """Does something with tables that nobody writes meanwhile. Writers wait for it, it for them; where one takes
        the tables in another order, the loser tries again."""
        names = ", ".join(table.name for table in tables)
        for attempt in range(LOCK_ATTEMPTS):
            try:
                async with self._transaction() as connection:
                    await connection.execute(f"set local lock_timeout = '{LOCK_SECONDS}s'")
                    await connection.execute(f"lock table {names} in {mode} mode")
                    await work(connection)
                    return
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                if attempt == LOCK_ATTEMPTS - 1:
                    raise
                await asyncio.sleep(random.uniform(0.0, LOCK_PAUSE))

    async def _make_note(self, connection: asyncpg.Connection, note: Note) -> None:
        await connection.execute(NOTE_DEFINITION)
        # A service that starts meanwhile looks at it, whatever its role's rights on new tables.
        await connection.execute(f"grant select on {NOTE_TABLE} to public")
        await self._write_note(connection, note)

    async def _write_note(self, connection: asyncpg.Connection, note: Note) -> None:
        await connection.execute(
            f"insert into {NOTE_TABLE} values (1, $1, $2, $3) on conflict (only_row) do update "
            "set move_id = excluded.move_id, state = excluded.state, other = excluded.other",
            *note,
        )

    async def _forget(self, connection: asyncpg.Connection, tables: Sequence[Table]) -> None:
        for table in tables:
            # The triggers go with the function that they execute.
            await connection.execute(f"drop function if exists {_noted(table)}() cascade")
            await connection.execute(f"drop table if exists {_noted(table)}")
        await connection.execute("drop function if exists store_move_closed() cascade")

    async def _types_of(self, table: Table) -> dict[str, str]:
        if table.name not in self._types:
            rows = await (await self._connection()).fetch(_COLUMNS, table.name)
            self._types[table.name] = {row["attname"]: row["type"] for row in rows}
        return self._types[table.name]

    async def _asked(self, table: Table) -> str:
        types = await self._types_of(table)
        arrays = ", ".join(f"${n + 1}::{types[column]}[]" for n, column in enumerate(table.key))
        return f"unnest({arrays}) as asked({', '.join(table.key)})"

    async def _arrays(self, table: Table, keys: Sequence[Key]) -> list[list[object]]:
        types = await self._types_of(table)
        rows = [_to_postgres(key, [types[column] for column in table.key]) for key in keys]
        return [[row[n] for row in rows] for n in range(len(table.key))]

    async def _insert(self, connection: asyncpg.Connection, table: Table, rows: Sequence[Row]) -> None:
        if not rows:
            return
        types = await self._types_of(table)
        constants = {
            column: value
            for (name, column), value in _CONSTANTS.items()
            if name == table.name and column in types and column not in table.columns
        }
        of_columns = [types[column] for column in table.columns]
        await connection.copy_records_to_table(
            table.name,
            records=[(*_to_postgres(row, of_columns), *constants.values()) for row in rows],
            columns=[*table.columns, *constants],
        )


def _note_changes(table: Table) -> str:
    key, noted = ", ".join(table.key), _noted(table)
    statements = [
        f"create table {noted} as select {key} from {table.name} with no data",
        f"alter table {noted} add column change_number bigint generated always as identity primary key",
        f"create function {noted}() returns trigger language plpgsql security definer set search_path from current "
        f"as $$ begin insert into {noted} ({key}) select {key} from changed; return null; end $$",
    ]
    for event, side in (("insert", "new"), ("update", "old"), ("update", "new"), ("delete", "old")):
        statements.append(
            f"create trigger {noted}_{event}_{side} after {event} on {table.name} "
            f"referencing {side} table as changed for each statement execute function {noted}()"
        )
    return ";\n".join(statements)


def _noted(table: Table) -> str:
    return f"store_move_note_{table.name}"


def _from_postgres(row: Any) -> Row:
    return tuple(_plain(value) for value in row)


def _plain(value: Any) -> Value:
    if isinstance(value, list):
        return b"".join(value)
    return int(value) if isinstance(value, bool) else value


def _to_postgres(values: Row, types: Sequence[str]) -> tuple[object, ...]:
    return tuple(_typed(value, kind) for value, kind in zip(values, types, strict=True))


def _typed(value: Value, kind: str) -> object:
    if kind == "boolean" and isinstance(value, int):
        return bool(value)
    if kind == "bytea[]" and isinstance(value, bytes):
        return [value[start : start + KEY_BYTES] for start in range(0, len(value), KEY_BYTES)]
    return value
