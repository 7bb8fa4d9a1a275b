"""`hutong records purge`: deletes from a store what is too old."""

import argparse
import asyncio
import re
from typing import Any

from cli.exits import Exit, complain
from services.common.errors import ServiceError, Text

_AGE = re.compile(r"([1-9][0-9]{0,5})(d|h)")
_SECONDS = {"d": 86_400, "h": 3_600}
BATCH = 1_000

_PURGE = """\
删除最新版本早于指定时长的整条记录（含全部版本）。分批进行，每批一个事务，可随时中断、再次运行。变更流中这些序号记为已清除，
跟随者不受影响；审计记录不在此库，不受影响。

Deletes whole records, with all their revisions, whose newest revision is older than that. In batches, a transaction
each: it can be interrupted and run again. Their numbers stay in the feed as purged, so followers, old and new, go on;
the audit trail is not kept here and stays."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    purging = commands.add_parser(
        "purge",
        help="清除过期的记录 / delete records that are too old",
        description=_PURGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    purging.add_argument("--store-url", required=True, metavar="URL", help="sqlite:///路径 path, postgresql://…")
    purging.add_argument(
        "--older-than", required=True, type=_age, metavar="AGE", help="如 365d、48h / such as 365d or 48h"
    )
    purging.add_argument(
        "--batch", type=int, default=BATCH, metavar="N", help=f"每批版本数，缺省 {BATCH} / revisions in one batch"
    )
    purging.set_defaults(run=run)


def _age(text: str) -> int:
    match = _AGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("如 365d 或 48h / such as 365d or 48h")
    return int(match[1]) * _SECONDS[match[2]]


async def purge(store: Any, seconds: int, most: int) -> int:
    """Purges a store of what is older than so many seconds; how many records. Raises ServiceError."""
    from services.common.instants import SECOND, Instant
    from services.runtime.clock import system_clock

    before = Instant(system_clock() - seconds * SECOND)
    position: int | None = 0
    records = 0
    while position is not None:
        done = await store.purge(before, position, most)
        records, position = records + done.records, done.position
    return records


def run(args: argparse.Namespace) -> int:
    """Purges; returns the exit status."""
    from services.records.composition import open_store
    from services.records.settings import NATION, Settings
    from services.runtime.settings import SettingsError

    if args.batch < 1:
        complain(Text("--batch 至少为 1", "--batch is at least 1"))
        return Exit.USAGE

    async def whole() -> int:
        store = open_store(Settings(region=NATION, store_url=args.store_url))
        try:
            return await purge(store, args.older_than, args.batch)
        finally:
            await store.close()

    try:
        records = asyncio.run(whole())
    except SettingsError as error:
        complain(Text(str(error), str(error)))
        return Exit.USAGE
    except ServiceError as error:
        complain(error.text)
        return Exit.UNREACHABLE
    print(f"已清除 {records} 条记录 / {records} records were purged")
    return Exit.OK
