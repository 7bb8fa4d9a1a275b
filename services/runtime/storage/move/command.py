"""The command that moves a store from one database to another."""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Protocol

from services.runtime.settings.arguments import or_setting
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.migration_command import POSTGRES, file_of
from services.runtime.storage.move.mover import Move, MoveError
from services.runtime.storage.move.places import Source, Target
from services.runtime.storage.move.sqlite import SqlitePlace
from services.runtime.storage.move.tables import tables_of
from services.runtime.storage.schema import SchemaError, Schemas

DESCRIPTION = """\
把一个库迁到另一数据库（SQLite、PostgreSQL 之间均可），边服务边复制：变更流编号与序号、各版本、冲突、清除记录、统计、
幂等键、上报会话全部照旧，跟随者无所察觉。最后片刻旧库只读（写入得 UNAVAILABLE，STORE_MOVING），
核对后旧库停用、新库启用。
中断后再次运行同一命令即可继续。

Moves a store to another database, from SQLite or PostgreSQL to either, while it is served: the feed's id and numbers,
revisions, conflicts, retention, counts, request ids and intake sessions stay what they are, and no follower notices.
For the last moments the old store is not written (UNAVAILABLE, STORE_MOVING); when all is compared, it is put out of
use and the new one may be served. If it was interrupted, run the same command again.

退出状态 exit status: 0 完成 done; 2 命令或库不对 wrong command or store;
4 数据库不可用或不一致 a database did not do its part, or the stores differ"""

TO_VARIABLE = "HUTONG_MOVE_TO"


class Arguments(Protocol):
    """The arguments of the command."""

    store_url: str | None
    to: str | None
    copy_only: bool
    whole: bool
    abandon: bool


def add_arguments(parser: argparse.ArgumentParser, schemas: Schemas) -> None:
    """Adds what the command takes."""
    parser.add_argument(
        "--store-url",
        default="",
        type=or_setting(schemas.setting),
        metavar="URL",
        help=f"旧库，缺省为 {schemas.setting} / the store to move, by default {schemas.setting}(_FILE)",
    )
    parser.add_argument(
        "--to",
        default="",
        type=or_setting(TO_VARIABLE),
        metavar="URL",
        help=f"新库：空的，或尚无文件；缺省为 {TO_VARIABLE} / empty, or no file yet; by default {TO_VARIABLE}(_FILE)",
    )
    parser.add_argument(
        "--copy-only",
        action="store_true",
        help="只复制，不切换；可反复运行 / copy and catch up without the switch; may be run again and again",
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="切换前全部再核对一遍，库越大停写越久 / compare all rows once more while writes are refused",
    )
    parser.add_argument(
        "--abandon", action="store_true", help="放弃迁移，旧库照旧 / give the move up: the old store stays as it was"
    )


def _tell(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # this is what the command is for


def _place(url: str, schemas: Schemas, *, is_target: bool) -> tuple[Source, Target]:
    """Returns the store at a URL, as both of what it can be. Raises SettingsError for another URL, SchemaError."""
    path: Path | None = file_of(url)
    if path is not None:
        file = SqlitePlace(path, schemas.sqlite, is_target=is_target)
        return file, file
    if url.startswith(POSTGRES):
        # Its driver is an optional dependency.
        from services.runtime.storage.move.postgres import PostgresPlace

        database = PostgresPlace(url, schemas.postgres)
        return database, database
    raise SettingsError("--store-url, --to: begins with sqlite:/// or postgresql://")


async def _move(schemas: Schemas, args: Arguments) -> None:
    if not args.store_url or not args.to:
        raise SettingsError("须指明 --store-url 与 --to / --store-url and --to are required")
    source, _ = _place(args.store_url, schemas, is_target=False)
    try:
        _, target = _place(args.to, schemas, is_target=True)
        try:
            if source.name == target.name:
                raise SettingsError("--to: 与旧库相同 / is the same store")
            move = Move(source, target, tables_of(schemas), _tell)
            if args.abandon:
                await move.abandon()
                _tell(
                    "已放弃，旧库照旧；新库中已复制的请自行删除 / abandoned; delete what was copied into the new store"
                )
                return
            await move.copy()
            if args.copy_only:
                _tell("已复制，尚未切换 / copied, not switched")
                return
            began = time.monotonic()
            results = await move.switch(whole=args.whole)
            for result in results:
                _tell(f"{result.table}: {result.rows} {result.digest}".rstrip())
            _tell(f"完成，停写 {time.monotonic() - began:.1f} 秒 / done; writes were refused for that long")
        finally:
            await target.close()
    finally:
        await source.close()


def run(schemas: Schemas, args: Arguments) -> int:
    """Runs the command; its exit status: 0, 2 for a wrong command line or store, 4 when a database does not do its
    part or the stores differ."""
    try:
        asyncio.run(_move(schemas, args))
    except (SettingsError, SchemaError) as error:
        print(f"hutong: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except MoveError as error:
        print(f"hutong: {error}", file=sys.stderr)  # noqa: T201
        return 4
    except Exception as error:  # noqa: BLE001  # a database's own words are what an operator needs here
        print(f"hutong: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 4
    return 0


def main(schemas: Schemas) -> None:
    """Runs the command with the process's arguments, and ends the process."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {schemas.commands}.move",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser, schemas)
    sys.exit(run(schemas, parser.parse_args()))
