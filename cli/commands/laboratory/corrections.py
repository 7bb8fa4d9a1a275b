"""`hutong laboratory corrections`: what people find wrong with their own records, and the laboratory's answers."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from cli.mesh.plan import system_of
from cli.mesh.target import Target, add_target, target_of
from services.common.errors import Code, ServiceError

if TYPE_CHECKING:
    from hutong.records.v1.correction_service_pb2 import CorrectionRequest

    from cli.commands.laboratory.ports import CorrectionQueue

CALLER = "hutong-laboratory"
_AWAY = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)

_DESCRIPTION = """\
列出本人对检测记录提出的纠错，并作出答复：已更正（先更正或撤回记录）、记录无误、转交他处。答复随即显示在本人的页面上。
Lists what people say is wrong with their own records, and answers it: corrected (after the record was amended or
retracted), it stands, or it was forwarded. The person reads the answer on their page.

退出状态 exit status: 0 完成 done; 2 命令有误或不能如此答复 wrong command, or it cannot be answered so;
4 无法连接 the store is unreachable"""

_KINDS = {
    1: "不是我的 not mine",
    2: "结果有误 wrong result",
    3: "时间有误 wrong time",
    4: "姓名或证件写错 misspelt",
    5: "结果迟迟未出 result late",
}
_ANSWERS = {1: "已更正 corrected by r{}", 2: "记录无误 stands", 3: "已转交 forwarded to {}"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command and its actions."""
    parser.description = _DESCRIPTION
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=argparse.ArgumentParser)
    listing = actions.add_parser("list", help="列出待答复的，最早的在前 / those that wait, oldest first")
    listing.add_argument("laboratory", metavar="LABORATORY", nargs="?", default="", help="仅此机构 / this one only")
    listing.add_argument("--all", action="store_true", help="连同已答复的 / those that were answered as well")
    listing.set_defaults(run=run, action=_list)
    answering = actions.add_parser("answer", help="答复一项 / answer one")
    answering.add_argument("request", metavar="REQUEST", help="纠错编号 / the correction request's id")
    how = answering.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--corrected",
        nargs="?",
        const=0,
        type=int,
        metavar="REVISION",
        help="已更正，缺省为记录的最新版本 / corrected, by default by the record's newest revision",
    )
    how.add_argument("--stands", action="store_true", help="记录无误 / the record is right")
    how.add_argument("--forwarded", metavar="RECEIVER", help="转交给谁 / who has to answer")
    answering.add_argument("--text", required=True, help="给本人的话，1至500字 / what the person is told")
    answering.set_defaults(run=run, action=_answer)
    for command in (listing, answering):
        command.add_argument("--region", required=True, help="记录所在地区 / the region of the records")
        add_target(command)


async def _list(args: argparse.Namespace, queue: "CorrectionQueue") -> None:
    from hutong.common.v1.subject_pb2 import Purpose
    from hutong.records.v1.correction_service_pb2 import ListCorrectionRequestsRequest

    request = ListCorrectionRequestsRequest(
        region=args.region,
        laboratory=args.laboratory,
        answered_too=args.all,
        purpose=Purpose.PURPOSE_RECORD_KEEPING,
    )
    count = 0
    while True:
        page = await queue.ListCorrectionRequests(request)
        for one in page.correction_requests:
            print(describe(one))
            count += 1
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    print(f"{count} 项纠错 / {count} correction requests")


async def _answer(args: argparse.Namespace, queue: "CorrectionQueue") -> None:
    from hutong.common.v1.subject_pb2 import Purpose
    from hutong.records.v1.correction_service_pb2 import AnswerCorrectionRequestRequest, CorrectionAnswer

    answer = CorrectionAnswer.CORRECTION_ANSWER_CORRECTED
    if args.stands:
        answer = CorrectionAnswer.CORRECTION_ANSWER_STANDS
    elif args.forwarded is not None:
        answer = CorrectionAnswer.CORRECTION_ANSWER_FORWARDED
    response = await queue.AnswerCorrectionRequest(
        AnswerCorrectionRequestRequest(
            region=args.region,
            correction_request_id=args.request,
            answer=answer,
            corrected_by=args.corrected or 0,
            forwarded_to=args.forwarded or "",
            text=args.text,
            purpose=Purpose.PURPOSE_RECORD_KEEPING,
        )
    )
    print(describe(response.correction_request))


def describe(request: "CorrectionRequest") -> str:
    """Returns one request for people: which record and revision, what is said of it and when, and the answer. Times are
    at +08:00. Nobody is named."""
    from services.common.instants import format_rfc3339, from_timestamp

    lines = [
        f"{request.correction_request_id}  {request.region}/{request.source_id}  r{request.revision}  "
        f"{request.laboratory}  {_KINDS.get(request.kind, str(request.kind))}",
        f"    {format_rfc3339(from_timestamp(request.requested_at))}  {request.text}".rstrip(),
    ]
    if request.later_revision:
        lines.append(f"    此后已有新版本 the record has revision r{request.later_revision} since")
    if request.answer:
        said = _ANSWERS.get(request.answer, "{}").format(request.corrected_by or request.forwarded_to)
        lines.append(f"    {format_rfc3339(from_timestamp(request.answered_at))}  {said}: {request.answer_text}")
    return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """Lists or answers; returns the exit status."""
    target = target_of(args, args.region, system_of(args.region))
    if target is None:
        return Exit.UNREACHABLE
    try:
        asyncio.run(_run(target, lambda queue: args.action(args, queue)))
    except ServiceError as error:
        complain(error.text)
        for violation in error.violations:
            complain(violation.text)
        return Exit.UNREACHABLE if error.code in _AWAY else Exit.USAGE
    return Exit.OK


async def _run(target: Target, action: "Callable[[CorrectionQueue], Awaitable[None]]") -> None:
    from cli.commands.laboratory.ports import CorrectionQueue

    async with target.channels(CALLER) as channels:
        await action(channels.remote(CorrectionQueue, target.address, service="records", peer=target.peer))
