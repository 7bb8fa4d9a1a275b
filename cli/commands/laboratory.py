"""`hutong laboratory`: how well laboratories work, and whom to call."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cli.exits import Exit, complain
from services.common.errors import Code, ServiceError, Text
from services.common.instants import format_rfc3339, from_timestamp, parse_rfc3339, to_timestamp

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

CALLER = "hutong-laboratory"
SECONDS = 60.0
"""How long one page of figures may take."""

_QUALITY = """\
每个机构每天（采样日，UTC+8）：出报告时效（中位、95%）、逾期样本、修订率、撤回率、阳性率、矛盾结果对数。
Per laboratory and day of sampling (UTC+8): turnaround (median, 95 of 100, as hours:minutes), overdue samples, amended,
withdrawn and positive shares, and pairs of results of one person and day that contradict each other.
缺省取自随入库累计的计数，片刻即得，并注明截至何时；--known-at 逐条重算，样本多则久。
By default from counts kept up to date, at once, with the instant they are of; --known-at counts the records again."""

_OVERDUE = """\
采样后超过时限仍无结果的样本，最久的在前，供致电检测机构催报；不含个人信息。缺省为最近七天、存储设定的时限（24 小时）。
Samples whose result is overdue, oldest first, so that someone can call the laboratory; nothing about the person. By
default of the last seven days and past the store's own limit (24 hours). 结果已到的样本不会列出。
No sample whose result has come is listed."""

Page = TypeVar("Page")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command and its sub-commands."""
    laboratory = subparsers.add_parser("laboratory", help="检测机构的质量 / the quality of laboratories")
    commands = laboratory.add_subparsers(metavar="COMMAND", required=True)
    for name, zh, en, description, run in (
        ("quality", "时效、修订、阳性、矛盾", "turnaround, corrections, contradictions", _QUALITY, run_quality),
        ("overdue", "逾期未出结果的样本", "samples whose result is overdue", _OVERDUE, run_overdue),
    ):
        parser = commands.add_parser(
            name,
            help=f"{zh} / {en}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_arguments(parser)
        parser.set_defaults(run=run)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("laboratory", metavar="LABORATORY", nargs="?", default="", help="仅此机构 / this one only")
    parser.add_argument(
        "--region",
        default="nation",
        help="问哪个记录库，缺省国家库 / whose store to ask, by default the nation's",
    )
    parser.add_argument("--first", metavar="DAY", default="", help="起始采样日 / first day, like 2022-08-04")
    parser.add_argument("--last", metavar="DAY", default="", help="截止采样日 / last day, included")
    parser.add_argument("--hours", type=int, default=0, help="超过多少小时为逾期 / overdue after so many hours")
    parser.add_argument(
        "--known-at", metavar="INSTANT", type=_instant, help="按当时所知，RFC 3339 / as known then, with offset"
    )
    parser.add_argument("--json", action="store_true", help="每行一个 JSON 对象 / one JSON object on each line")
    parser.add_argument("--to", metavar="HOST:PORT", help="记录库的 gRPC 地址 / the store's gRPC address")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(".hutong"),
        help="`hutong up` 的数据目录，由此得知地址 / data of the running `hutong up`, which names the address",
    )


def _instant(text: str) -> "Timestamp":
    try:
        return to_timestamp(parse_rfc3339(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _address(args: argparse.Namespace) -> str | None:
    from cli.mesh.endpoints import read_endpoints
    from services.common.regions import NATION, divisions

    if args.to is not None:
        return str(args.to)
    if args.region != NATION and args.region not in divisions():
        complain(Text(f"没有这个地区代码：{args.region}", f"There is no such region: {args.region}"))
        return None
    endpoints = read_endpoints(args.data)
    if endpoints is None:
        complain(
            Text(
                f"{args.data} 中没有运行的互通网；请先 `hutong up`，或用 --to 指明地址",
                f"No mesh is running from {args.data}; start `hutong up`, or name the store with --to",
            )
        )
        return None
    return endpoints.records_for(args.region)


async def _pages(call: Callable[[Any], Awaitable[Page]], request: Any) -> list[Page]:
    from services.runtime.rpc.call import enter, leave, within

    pages = []
    while True:
        entered = enter(within(SECONDS))
        try:
            page = await call(request)
        finally:
            leave(entered)
        pages.append(page)
        request.page_token = page.next_page_token  # type: ignore[attr-defined]  # every list of the contract has one
        if not request.page_token:
            return pages


def _ask(args: argparse.Namespace, question: Callable[[Any], Awaitable[Page]]) -> Page | Exit:
    from hutong.records.v1 import laboratory_quality_service_pb2 as pb

    from services.runtime.rpc.channel import open_channel, remote

    address = _address(args)
    if address is None:
        return Exit.UNREACHABLE

    async def ask() -> Page:
        async with open_channel(address) as channel:
            contract = pb.DESCRIPTOR.services_by_name["LaboratoryQualityService"]
            return await question(remote("records", CALLER, channel, [contract]))

    try:
        return asyncio.run(ask())
    except ServiceError as error:
        if error.code == Code.INVALID_ARGUMENT:
            for violation in error.violations:
                complain(violation.text)
            return Exit.USAGE
        complain(Text(f"{address}：{error.text.zh}", f"{address}: {error.text.en}"))
        return Exit.UNREACHABLE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    from hutong.records.v1.laboratory_quality_service_pb2 import DayRange

    return {
        "days": DayRange(first=args.first, last=args.last),
        "known_at": args.known_at,
        "overdue_hours": args.hours,
    }


def run_quality(args: argparse.Namespace) -> int:
    """Shows the figures; returns the exit status."""
    from hutong.records.v1 import laboratory_quality_service_pb2 as pb

    from cli.laboratory_figures import QUALITY_HEADER, print_json, print_table, quality_json, quality_row

    async def ask(store: Any) -> tuple[list[pb.LaboratoryQuality], "Timestamp"]:
        if args.laboratory:
            request = pb.GetLaboratoryQualityRequest(laboratory=args.laboratory, **_asked(args))
            one = await store.GetLaboratoryQuality(request)
            return list(one.days), one.known_at
        pages = await _pages(store.ListLaboratoryQuality, pb.ListLaboratoryQualityRequest(**_asked(args)))
        return [quality for page in pages for quality in page.quality], pages[0].known_at

    answer = _ask(args, ask)
    if isinstance(answer, Exit):
        return answer
    found, known_at = answer
    if args.json:
        print_json(map(quality_json, found))
    else:
        title = f"检测机构质量，截至 laboratories as known at {format_rfc3339(from_timestamp(known_at))[:16]}"
        print_table(title, QUALITY_HEADER, map(quality_row, found), 2)
    return Exit.OK


def run_overdue(args: argparse.Namespace) -> int:
    """Lists overdue samples; returns the exit status."""
    from hutong.records.v1 import laboratory_quality_service_pb2 as pb

    from cli.laboratory_figures import OVERDUE_HEADER, overdue_json, overdue_row, print_json, print_table

    async def ask(store: Any) -> tuple[list[pb.OverdueSample], "Timestamp", "Timestamp"]:
        request = pb.ListOverdueSamplesRequest(laboratory=args.laboratory, **_asked(args))
        pages = await _pages(store.ListOverdueSamples, request)
        return [sample for page in pages for sample in page.samples], pages[0].known_at, pages[0].as_of

    answer = _ask(args, ask)
    if isinstance(answer, Exit):
        return answer
    found, known_at, as_of = answer
    if from_timestamp(as_of) < from_timestamp(known_at):
        # On standard error, where it is in the way of no line of JSON.
        behind = format_rfc3339(from_timestamp(as_of))[:16]
        complain(Text(f"{behind} 之后入库的样本可能未列出", f"samples that arrived after {behind} may be missing"))
    if args.json:
        print_json(map(overdue_json, found))
    else:
        title = f"逾期样本 {len(found)} 份，截至 overdue as known at {format_rfc3339(from_timestamp(known_at))[:16]}"
        print_table(title, OVERDUE_HEADER, map(overdue_row, found), 4)
    return Exit.OK
