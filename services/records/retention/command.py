"""The command that deletes from a store what is too old."""

import argparse
import asyncio
import re
import sys

from services.common.errors import ServiceError
from services.common.regions import NATION
from services.records.retention.purge import purge
from services.runtime.settings.arguments import or_setting
from services.runtime.settings.environment import SettingsError

_AGE = re.compile(r"([1-9][0-9]{0,5})(d|h)")
_SECONDS = {"d": 86_400, "h": 3_600}
BATCH = 1_000

DESCRIPTION = """\
删除最新版本早于指定时长的整条记录（含全部版本）。分批进行，每批一个事务，可随时中断、再次运行。变更流中这些序号记为已清除，
跟随者不受影响；审计记录不在此库，不受影响。

Deletes whole records, with all their revisions, whose newest revision is older than that. In batches, a transaction
each: it can be interrupted and run again. Their numbers stay in the feed as purged, so followers, old and new, go on;
the audit trail is not kept here and stays."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "--store-url",
        default="",
        type=or_setting("HUTONG_STORE_URL", required=True),
        metavar="URL",
        help="sqlite:///路径 path, postgresql://…，缺省为 HUTONG_STORE_URL / by default HUTONG_STORE_URL(_FILE)",
    )
    parser.add_argument(
        "--older-than", required=True, type=_age, metavar="AGE", help="如 365d、48h / such as 365d or 48h"
    )
    parser.add_argument(
        "--batch", type=_count, default=BATCH, metavar="N", help=f"每批版本数，缺省 {BATCH} / revisions in one batch"
    )


def _age(text: str) -> int:
    match = _AGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("如 365d 或 48h / such as 365d or 48h")
    return int(match[1]) * _SECONDS[match[2]]


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("至少为 1 / at least 1")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Purges; returns the exit status: 0, 2 for a wrong command line, 4 when the database does not do its part."""
    # Not for everyone who reads the command line's help.
    from services.records.settings import Settings
    from services.records.store.opening import open_purge

    async def whole() -> int:
        store = open_purge(Settings(region=NATION, store_url=args.store_url))
        try:
            return await purge(store, args.older_than, args.batch)
        finally:
            await store.close()

    try:
        records = asyncio.run(whole())
    except SettingsError as error:
        print(f"hutong: {error}", file=sys.stderr)  # noqa: T201  # this is what the command is for
        return 2
    except ServiceError as error:
        print(f"hutong: {error.text}", file=sys.stderr)  # noqa: T201
        return 4
    print(f"已清除 {records} 条记录 / {records} records were purged")  # noqa: T201
    return 0


def main() -> None:
    """Deletes records that are too old."""
    parser = argparse.ArgumentParser(
        prog="python -m services.records.purge",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
