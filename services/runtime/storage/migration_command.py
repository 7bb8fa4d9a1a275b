"""The command that makes a store, or brings its tables up to date, before a service starts on it."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from services.runtime.settings.arguments import or_setting
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.postgres.statements import LEDGER, script
from services.runtime.storage.schema import Migration, Schemas, undistributable

CONNECT_SECONDS = 10.0

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")


def file_of(store_url: str) -> Path | None:
    """The file of a sqlite:/// URL; None for another."""
    path = store_url.removeprefix(SQLITE)
    return Path(path) if path and path != store_url else None


async def migrate(schemas: Schemas, store_url: str, *, distribute: bool = False) -> Sequence[Migration]:
    """Applies what is missing to the store at a URL, and makes a SQLite file that is not there; what was applied.

    Raises SettingsError for another URL, SchemaError when it cannot be done, OSError or TimeoutError when the database
    cannot be reached, and its driver's errors as they are: who migrates a database wants its own words.
    """
    if store_url.startswith(POSTGRES):
        # Its driver is an optional dependency.
        import asyncpg

        from services.runtime.storage.postgres import migration

        # Every statement is in a transaction and none has a name: a pooler on the way does no harm.
        connection = await asyncpg.connect(
            store_url, timeout=CONNECT_SECONDS, target_session_attrs="read-write", statement_cache_size=0
        )
        try:
            return await migration.migrate(connection, schemas.postgres, distribute=distribute)
        finally:
            await connection.close()
    path = file_of(store_url)
    if path is None:
        raise SettingsError("--store-url: begins with sqlite:/// or postgresql://")
    if distribute:
        raise SettingsError("--distribute: a SQLite file cannot be distributed")
    from services.runtime.storage.sqlite import file
    from services.runtime.storage.sqlite.lock import FileLock

    lock = FileLock(path) if path.exists() else None
    try:
        return file.make_or_migrate(path, schemas.sqlite)
    finally:
        if lock is not None:
            lock.release()


def add_arguments(parser: argparse.ArgumentParser, schemas: Schemas) -> None:
    """Adds what the command takes."""
    parser.add_argument(
        "--store-url",
        default="",
        type=or_setting(schemas.setting),
        metavar="URL",
        help=f"sqlite:///path, postgresql://user@host/database；缺省为 / by default {schemas.setting}(_FILE)",
    )
    parser.add_argument(
        "--distribute",
        action="store_true",
        help="在 Citus 协调节点上按人员分布 / on the coordinator of a Citus cluster: distributed by person",
    )
    parser.add_argument(
        "--sql",
        action="store_true",
        help="只输出 PostgreSQL 的语句，不执行 / print the statements of all migrations for PostgreSQL and run none",
    )


def run(schemas: Schemas, args: argparse.Namespace) -> int:
    """Runs the command; its exit status: 0, 2 for a wrong command line, 4 when the database does not do its part."""
    if args.distribute and not schemas.postgres.is_distributable:
        print(f"hutong: {undistributable(schemas.postgres)}", file=sys.stderr)  # noqa: T201
        return 2
    if args.sql:
        print(f"{LEDGER.strip()};")  # noqa: T201  # this is what the command is for
        for migration in schemas.postgres.migrations:
            print(f"-- {migration.number} {migration.name}")  # noqa: T201
            print(script(schemas.store, migration, distribute=args.distribute))  # noqa: T201
        return 0
    if not args.store_url:
        print("hutong: 须指明 --store-url / --store-url is required", file=sys.stderr)  # noqa: T201
        return 2
    try:
        applied = asyncio.run(migrate(schemas, args.store_url, distribute=args.distribute))
    except SettingsError as error:
        print(f"hutong: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except Exception as error:  # noqa: BLE001  # a database's own words are what an operator needs here
        print(f"hutong: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 4
    for migration in applied:
        print(f"{migration.number} {migration.name}")  # noqa: T201
    print(f"已是最新 / the schema is current: {schemas.postgres.newest}")  # noqa: T201
    return 0


def main(schemas: Schemas) -> None:
    """Runs the command with the process's arguments, and ends the process."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {schemas.commands}.migrate",
        description="Makes a store, or brings its tables up to date, before the service starts on it.",
    )
    add_arguments(parser, schemas)
    sys.exit(run(schemas, parser.parse_args()))
