"""The command that backs up a store's SQLite file, beside the service that writes to it."""

import argparse
import sqlite3
import sys
from pathlib import Path

from services.runtime.settings.arguments import or_setting
from services.runtime.storage.migration_command import POSTGRES, file_of
from services.runtime.storage.schema import SchemaError, Schemas
from services.runtime.storage.sqlite.backup import back_up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument(
        "--store-url",
        default="",
        type=or_setting("HUTONG_STORE_URL"),
        metavar="URL",
        help="sqlite:///path；缺省为 / by default HUTONG_STORE_URL(_FILE)",
    )
    parser.add_argument("backup", type=Path, metavar="FILE", help="备份文件，尚不存在 / the backup, not there yet")


def run(schemas: Schemas, args: argparse.Namespace) -> int:
    """Runs the command; its exit status: 0, 2 for a wrong command line, 4 when the file cannot be backed up."""
    url = args.store_url or ""
    path = file_of(url)
    if path is None:
        if url.startswith(POSTGRES):
            print(  # noqa: T201  # this is what the command is for
                "hutong: PostgreSQL 由其自身的工具备份 / PostgreSQL is backed up by its own means: "
                "docs/runbook/restoring-a-region.md",
                file=sys.stderr,
            )
        else:
            print("hutong: --store-url: begins with sqlite:///", file=sys.stderr)  # noqa: T201
        return 2
    try:
        size = back_up(path, args.backup, schemas.sqlite)
    except (SchemaError, sqlite3.Error, OSError) as error:
        print(f"hutong: {path}: {error}", file=sys.stderr)  # noqa: T201
        return 4
    print(f"已备份 / backed up: {args.backup}, {size} bytes")  # noqa: T201
    return 0


def main(schemas: Schemas) -> None:
    """Runs the command with the process's arguments, and ends the process."""
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{schemas.store}.backup",
        description="Copies a store's SQLite file as it is at one moment, while its service goes on.",
    )
    add_arguments(parser)
    sys.exit(run(schemas, parser.parse_args()))
