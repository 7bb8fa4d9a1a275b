"""Brings the tables of a PostgreSQL store up to date, and says when they are not."""

from collections.abc import Sequence
from uuid import uuid4

import asyncpg

from services.records.store.postgres.schema import LEDGER, MIGRATIONS, VERSION, Migration, statements
from services.runtime.storage.migrations import SchemaError


async def version(connection: asyncpg.Connection) -> int:
    """The number of the last migration applied; 0 in an empty database."""
    if await connection.fetchval("select to_regclass('schema_migration')") is None:
        # Before migrations were a command of their own, a service made the tables of the first by itself.
        return 0 if await connection.fetchval("select to_regclass('feed_head')") is None else 1
    return int(await connection.fetchval("select coalesce(max(number), 0) from schema_migration"))


async def check(connection: asyncpg.Connection) -> None:
    """Raises SchemaError unless every migration, and none that this program does not know, was applied."""
    found = await version(connection)
    if found < VERSION:
        raise SchemaError(
            f"the schema of the database is at {found}, this program needs {VERSION}: "
            "run `hutong records migrate --store-url URL` (or python -m services.records.migrate) first"
        )
    if found > VERSION:
        raise SchemaError(f"the schema of the database is at {found}, this program knows only {VERSION}: update it")


async def migrate(connection: asyncpg.Connection, *, distribute: bool = False) -> Sequence[Migration]:
    """Applies what is missing, each migration in a transaction of its own; what was applied.

    Safe to run by several at once, and again after it was killed. With `distribute` the tables are made for Citus,
    whose extension must be there; that is decided with the first migration, and later ones follow it. Raises
    SchemaError.
    """
    applied: list[Migration] = []
    while True:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(hashtext('hutong.records.schema'))")
            found = await version(connection)
            if found >= VERSION:
                await check(connection)
                return applied
            await connection.execute(LEDGER)
            if found and not await connection.fetchval("select count(*) from schema_migration"):
                await connection.execute("insert into schema_migration values (1, 'records', false)")
            distributed = distribute
            if found:
                distributed = await connection.fetchval("select distributed from schema_migration where number = 1")
            if distribute and not distributed:
                raise SchemaError("the tables are partitioned already: only a new database can be distributed")
            if distributed and await connection.fetchval("select to_regproc('create_distributed_table')") is None:
                raise SchemaError("Citus is not there: create extension citus, in this database, on every node")
            migration = next(one for one in MIGRATIONS if one.number > found)
            await connection.execute(statements(migration, distribute=distributed))
            if migration.number == 1:
                await connection.execute(
                    "insert into feed_head (feed_id, sequence, laboratory_sequence, recorded_at, schema_version) "
                    "values ($1, 0, 0, 0, 1)",
                    uuid4().hex,
                )
            await connection.execute(
                "insert into schema_migration (number, name, distributed) values ($1, $2, $3)",
                migration.number,
                migration.name,
                distributed,
            )
            applied.append(migration)
