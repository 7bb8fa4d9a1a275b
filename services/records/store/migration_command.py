"""The command that brings the tables of a PostgreSQL store up to date before services start."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from services.records.store.postgres.schema import MIGRATIONS, Migration, statements
from services.runtime.settings.environment import SettingsError

CONNECT_SECONDS = 10.0


async def migrate(store_url: str, *, distribute: bool = False) -> Sequence[Migration]:
    """Applies what is missing to the database of a postgresql:// URL; what was applied.

    Raises SettingsError for another URL, SchemaError when it cannot be done, OSError or TimeoutError when the database
    cannot be reached, and its driver's errors as they are: who migrates a database wants its own words.
    """
    if not store_url.startswith(("postgresql://", "postgres://")):
        raise SettingsError("--store-url: begins with postgresql://; a SQLite file needs no migration")
    import asyncpg

    from services.records.store.postgres import migration as postgres_migrating

    connection = await asyncpg.connect(store_url, timeout=CONNECT_SECONDS)
    try:
        return await postgres_migrating.migrate(connection, distribute=distribute)
    finally:
        await connection.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "--store-url",
        default=os.environ.get("HUTONG_STORE_URL"),
        metavar="URL",
        help="postgresql://user@host/database，缺省为 HUTONG_STORE_URL / by default HUTONG_STORE_URL",
    )
    parser.add_argument(
        "--distribute",
        action="store_true",
        help="在 Citus 协调节点上按人员分布 / on the coordinator of a Citus cluster: distributed by person",
    )
    parser.add_argument(
        "--sql", action="store_true", help="只输出语句，不执行 / print the statements of all migrations and run none"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; its exit status: 0, 2 for a wrong command line, 4 when the database does not do its part."""
    if args.sql:
        for migration in MIGRATIONS:
            print(f"-- {migration.number} {migration.name}")  # noqa: T201  # this is what the command is for
            print(statements(migration, distribute=args.distribute))  # noqa: T201
        return 0
    if not args.store_url:
        print("hutong: 须指明 --store-url / --store-url is required", file=sys.stderr)  # noqa: T201
        return 2
    try:
        applied = asyncio.run(migrate(args.store_url, distribute=args.distribute))
    except SettingsError as error:
        print(f"hutong: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except Exception as error:  # noqa: BLE001  # a database's own words are what an operator needs here
        print(f"hutong: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 4
    for migration in applied:
        print(f"{migration.number} {migration.name}")  # noqa: T201
    print(f"已是最新 / the schema is current: {MIGRATIONS[-1].number}")  # noqa: T201
    return 0


def main() -> None:
    """Brings the tables of a PostgreSQL store up to date."""
    parser = argparse.ArgumentParser(prog="python -m services.records.migrate", description=main.__doc__)
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
