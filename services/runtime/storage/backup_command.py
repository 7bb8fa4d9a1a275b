"""The command that backs up a store's SQLite file, beside the service that writes to it."""

import argparse
import re
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

from services.runtime.settings.arguments import or_setting
from services.runtime.storage.migration_command import POSTGRES, file_of
from services.runtime.storage.schema import SchemaError, Schemas
from services.runtime.storage.sqlite.backup import back_up

KEPT = 14
"""How many backups a folder keeps by default: a fortnight of nights."""
_DATED = re.compile(r"\d{8}T\d{6}Z\.backup")


def add_arguments(parser: argparse.ArgumentParser, schemas: Schemas) -> None:
    """Adds what the command takes."""
    parser.add_argument(
        "--store-url",
        default="",
        type=or_setting(schemas.setting),
        metavar="URL",
        help=f"sqlite:///path；缺省为 / by default {schemas.setting}(_FILE)",
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "backup", type=Path, nargs="?", metavar="FILE", help="备份文件，尚不存在 / the backup, not there yet"
    )
    place.add_argument(
        "--into",
        type=Path,
        metavar="FOLDER",
        help="目录，每次一个以 UTC 时刻为名的文件 / a folder: each time a file named after the instant, in UTC",
    )
    parser.add_argument(
        "--keep",
        type=_count,
        default=KEPT,
        metavar="NUMBER",
        help=f"该目录中保留最新的几个，缺省 {KEPT} / how many of the folder's newest are kept, by default {KEPT}",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("须为正整数 / a whole number from 1")
    return int(text)


def dated(folder: Path, at: datetime) -> Path:
    """Returns where a folder's backup of an instant (aware) is."""
    return folder / f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.backup"


def delete_older(folder: Path, kept: int) -> None:
    """Deletes a folder's dated backups but the newest `kept`. Nothing else in it is touched. Raises OSError."""
    backups = sorted(path for path in folder.iterdir() if _DATED.fullmatch(path.name))
    for path in backups[:-kept]:
        path.unlink()


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
    backup: Path = args.backup
    try:
        if args.into is not None:
            args.into.mkdir(parents=True, exist_ok=True, mode=0o700)
            backup = dated(args.into, datetime.now(UTC))
        size = back_up(path, backup, schemas.sqlite)
        if args.into is not None:
            # Only now that there is a new one, and it is whole.
            delete_older(args.into, args.keep)
    except (SchemaError, sqlite3.Error, OSError) as error:
        print(f"hutong: {path}: {error}", file=sys.stderr)  # noqa: T201
        return 4
    print(f"已备份 / backed up: {backup}, {size} bytes")  # noqa: T201
    return 0


def main(schemas: Schemas) -> None:
    """Runs the command with the process's arguments, and ends the process."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {schemas.commands}.backup",
        description="Copies a store's SQLite file as it is at one moment, while its service goes on.",
    )
    add_arguments(parser, schemas)
    sys.exit(run(schemas, parser.parse_args()))
