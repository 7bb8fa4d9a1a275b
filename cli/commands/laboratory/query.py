"""The common part of the commands about laboratories: arguments, the store they ask, and its answers page by page."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1 import laboratory_quality_service_pb2 as pb

from cli.exits import Exit, complain
from cli.mesh.plan import OPERATOR
from cli.mesh.target import add_target, target_of
from services.common.errors import Code, ServiceError, Text
from services.common.instants import parse_rfc3339, to_timestamp
from services.runtime.rpc.call import enter, leave, within

CALLER = "hutong-laboratory"
SECONDS = 60.0
"""How long one page of figures may take."""

Page = TypeVar("Page")


class LaboratoryFigures(Protocol):
    """A store's figures of how well laboratories work."""

    async def GetLaboratoryQuality(self, request: pb.GetLaboratoryQualityRequest, /) -> pb.GetLaboratoryQualityResponse:
        """See hutong.records.v1.LaboratoryQualityService."""

    async def ListLaboratoryQuality(
        self, request: pb.ListLaboratoryQualityRequest, /
    ) -> pb.ListLaboratoryQualityResponse:
        """See hutong.records.v1.LaboratoryQualityService."""

    async def ListOverdueSamples(self, request: pb.ListOverdueSamplesRequest, /) -> pb.ListOverdueSamplesResponse:
        """See hutong.records.v1.LaboratoryQualityService."""


def add_query(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say whose figures are asked for, and of when."""
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
    add_target(parser)


def _instant(text: str) -> Timestamp:
    try:
        return to_timestamp(parse_rfc3339(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


async def pages_of(call: Callable[[Any], Awaitable[Page]], request: Any) -> list[Page]:
    """Returns every page of a list, each asked for within SECONDS."""
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


def answer_of(args: argparse.Namespace, question: Callable[[LaboratoryFigures], Awaitable[Page]]) -> Page | Exit:
    """Returns the store's answer to a question; an exit status where there is none, after saying why."""
    target = target_of(args, args.region, OPERATOR)
    if target is None:
        return Exit.UNREACHABLE

    async def ask() -> Page:
        async with target.channels(CALLER) as channels:
            port = channels.remote(LaboratoryFigures, target.address, service="records", peer=target.peer)
            return await question(port)

    try:
        return asyncio.run(ask())
    except ServiceError as error:
        if error.code == Code.INVALID_ARGUMENT:
            for violation in error.violations:
                complain(violation.text)
            return Exit.USAGE
        complain(Text(f"{target.address}：{error.text.zh}", f"{target.address}: {error.text.en}"))
        return Exit.UNREACHABLE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def asked(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the fields that every question about laboratories has."""
    return {
        "days": pb.DayRange(first=args.first, last=args.last),
        "known_at": args.known_at,
        "overdue_hours": args.hours,
    }
