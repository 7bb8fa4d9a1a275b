"""Brings the tables of a PostgreSQL database up to date, and says when they are not."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from services.runtime.storage.move.state import NOTE_TABLE, Note, State, require_served, require_unmoved
from services.runtime.storage.postgres.statements import (
    ADDITIONS,
    LEDGER,
    NOTE,
    NOTE_ADDITION,
    one_by_one,
    statements,
)
from services.runtime.storage.schema import Migration, Schema, SchemaError, ahead, another, behind, undistributable

_OTHERS = "select 1 from store_migration where store <> $1 limit 1"


class _Applied(NamedTuple):
    number: int
    name: str
    distributed: bool


async def version(connection: asyncpg.Connection, schema: Schema) -> int:
    """The number of the last migration applied; 0 in an empty database."""
    return _last(await _applied(connection, schema), await _added(connection, schema))


async def is_distributed(connection: asyncpg.Connection, schema: Schema) -> bool:
    """Says whether the tables are those of a Citus cluster."""
    return any(one.distributed for one in await _applied(connection, schema))


async def read_note(connection: asyncpg.Connection) -> Note | None:
    """Returns what is noted of a move that the database takes part in."""
    if not await _has_table(connection, NOTE_TABLE):
        return None
    row = await connection.fetchrow(f"select move_id, state, other from {NOTE_TABLE}")
    return Note(row["move_id"], State(row["state"]), row["other"])


async def check(connection: asyncpg.Connection, schema: Schema) -> None:
    """Raises SchemaError unless every migration was applied, and none that this program must know and does not."""
    if (needed := _last(await _applied(connection, schema))) > schema.newest:
        raise ahead(schema, "database", needed)
    number = await version(connection, schema)
    if number < schema.newest:
        raise behind(schema, "database", number)


async def migrate(connection: asyncpg.Connection, schema: Schema, *, distribute: bool = False) -> Sequence[Migration]:
    """Applies what is missing, each migration in a transaction of its own; what was applied.

    Safe to run by several at once, and again after it was killed. With `distribute` the tables are made for Citus,
    whose extension must be there; that is decided with the first migration, and later ones follow it. Raises
    SchemaError, also for a database that holds a store of another kind and none of this.
    """
    if distribute and not schema.is_distributable:
        raise undistributable(schema)
    applied: list[Migration] = []
    while True:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(hashtext($1))", f"hutong.{schema.store}.schema")
            before = await _applied(connection, schema)
            await connection.execute(LEDGER)
            await connection.executemany(NOTE, [(schema.store, *one) for one in before])
            if not before and await connection.fetchval(_OTHERS, schema.store):
                raise another(schema, "database")
            number = _last(before, await _added(connection, schema))
            note = await read_note(connection)
            require_served(note)
            if number < schema.newest:
                require_unmoved(note)
            if number >= schema.newest:
                await check(connection, schema)
                return applied
            distributed = before[0].distributed if before else distribute
            if distribute and not distributed:
                raise SchemaError("the tables are partitioned already: only a new database can be distributed")
            if distributed and await connection.fetchval("select to_regproc('create_distributed_table')") is None:
                raise SchemaError("Citus is not there: create extension citus, in this database, on every node")
            migration = next(one for one in schema.migrations if one.number > number)
            sql = statements(migration, distribute=distributed)
            for statement in one_by_one(sql) if distributed else [sql]:
                await connection.execute(statement)
            if migration.adds:
                await connection.execute(ADDITIONS)
                await connection.execute(NOTE_ADDITION, schema.store, migration.number, migration.name)
            else:
                await connection.execute(NOTE, schema.store, migration.number, migration.name, distributed)
            applied.append(migration)


async def _applied(connection: asyncpg.Connection, schema: Schema) -> Sequence[_Applied]:
    """Returns the migrations applied that a program must know, in order, by the ledger or, in a database not migrated
    since, by an earlier one."""
    if await _has_table(connection, "store_migration"):
        rows = await connection.fetch(
            "select number, name, distributed from store_migration where store = $1 order by number", schema.store
        )
        if rows:
            return [_Applied(*row) for row in rows]
    for ledger in schema.earlier:
        if await _has_table(connection, ledger.table):
            return sorted(_Applied(*row) for row in await connection.fetch(ledger.rows))
    return ()


async def _added(connection: asyncpg.Connection, schema: Schema) -> Sequence[int]:
    """Returns the numbers of the migrations applied that only add."""
    if not await _has_table(connection, "store_addition"):
        return ()
    return [
        row["number"]
        for row in await connection.fetch("select number from store_addition where store = $1", schema.store)
    ]


def _last(applied: Sequence[_Applied], added: Sequence[int] = ()) -> int:
    return max([*(one.number for one in applied), *added], default=0)


async def _has_table(connection: asyncpg.Connection, table: str) -> bool:
    return await connection.fetchval("select to_regclass($1)", table) is not None
