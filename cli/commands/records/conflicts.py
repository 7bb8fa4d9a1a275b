"""`hutong records conflicts`: lists what could not be taken into a store, and settles it."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from cli.mesh.plan import OPERATOR
from cli.mesh.target import Target, add_target, target_of
from services.common.errors import Code, ServiceError

if TYPE_CHECKING:
    from hutong.records.v1.conflict_service_pb2 import Conflict
    from hutong.records.v1.record_pb2 import RecordContent, TestRecord

    from cli.commands.records.ports import ConflictedStore

CALLER = "hutong-records"

_DESCRIPTION = """\
列出一个记录库中未能入库、与已有内容冲突的提交，并作出处理：保留原内容，或采用所报内容。所报为另一人的，该编号即归其所有，
原记录撤回。
Lists what a store was offered and could not take because it says otherwise already, and settles it: what is stored
stays, or what was offered is taken, as an amendment; where it is another person's, the record becomes theirs and what
was stored is retracted.

退出状态 exit status: 0 完成 done; 2 命令有误或不能如此处理 wrong command, or it cannot be settled so;
4 无法连接 the store is unreachable"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command and its actions."""
    parser.description = _DESCRIPTION
    _add_where(parser)
    _add_all(parser)
    parser.set_defaults(run=run, action=_list)
    actions = parser.add_subparsers(metavar="ACTION", parser_class=argparse.ArgumentParser)
    listing = actions.add_parser(
        "list", help="列出冲突，最早的在前；缺省 / list conflicts, oldest first; what is done without an action"
    )
    _add_all(listing, default=argparse.SUPPRESS)
    settling = actions.add_parser("settle", help="处理一个冲突 / settle a conflict")
    settling.add_argument("conflict", metavar="CONFLICT", help="冲突编号 / the conflict's id")
    how = settling.add_mutually_exclusive_group(required=True)
    how.add_argument("--keep", action="store_true", help="保留原内容 / what is stored stays")
    how.add_argument("--take", action="store_true", help="采用所报内容 / what was offered is taken")
    settling.add_argument("--cause", required=True, help="原因，1至500字，不含个人信息 / why; no personal data")
    settling.set_defaults(action=_settle)
    for command in (listing, settling):
        # Given before the action or after it: a default here would hide what was given before.
        _add_where(command, again=True)


def _add_all(parser: argparse.ArgumentParser, default: object = False) -> None:
    parser.add_argument(
        "--all", action="store_true", default=default, help="连同已处理的 / those that were settled as well"
    )


def _add_where(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    parser.add_argument(
        "--store",
        default=argparse.SUPPRESS if again else "nation",
        help="地区代码或 nation / a region's code, or nation",
    )
    add_target(parser, again=again)


async def _list(args: argparse.Namespace, store: "ConflictedStore") -> None:
    from hutong.common.v1.subject_pb2 import Purpose
    from hutong.records.v1.conflict_service_pb2 import ListConflictsRequest

    request = ListConflictsRequest(purpose=Purpose.PURPOSE_RECORD_KEEPING, settled_too=args.all)
    count = 0
    while True:
        page = await store.ListConflicts(request)
        for conflict in page.conflicts:
            print(describe(conflict, await _stored(store, conflict)))
        count += len(page.conflicts)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    print(f"{count} 个冲突 / {count} conflicts")


async def _settle(args: argparse.Namespace, store: "ConflictedStore") -> None:
    from hutong.common.v1.subject_pb2 import Purpose
    from hutong.records.v1.conflict_service_pb2 import SettleConflictRequest, Settlement

    how = Settlement.SETTLEMENT_OFFERED_TAKEN if args.take else Settlement.SETTLEMENT_STORED_KEPT
    response = await store.SettleConflict(
        SettleConflictRequest(
            conflict_id=args.conflict, settlement=how, cause=args.cause, purpose=Purpose.PURPOSE_RECORD_KEEPING
        )
    )
    print(describe(response.conflict, await _stored(store, response.conflict)))


async def _stored(store: "ConflictedStore", conflict: "Conflict") -> "TestRecord | None":
    """Returns the record that the store has under the id now; None when it was purged."""
    from hutong.common.v1.subject_pb2 import Purpose
    from hutong.records.v1.record_read_service_pb2 import GetRecordHistoryRequest

    request = GetRecordHistoryRequest(
        region=conflict.region, source_id=conflict.source_id, purpose=Purpose.PURPOSE_RECORD_KEEPING
    )
    try:
        revisions: Sequence[TestRecord] = (await store.GetRecordHistory(request)).revisions
    except ServiceError as error:
        if error.code is Code.NOT_FOUND:
            return None
        raise
    return revisions[-1] if revisions else None


def describe(conflict: "Conflict", stored: "TestRecord | None") -> str:
    """One conflict for people: which record, what is stored now beside what was offered, when and by whom. Nobody is
    named by more than a key. Times are at +08:00."""
    from hutong.records.v1.conflict_service_pb2 import Settlement

    from services.common.instants import format_rfc3339, from_timestamp

    first, last = from_timestamp(conflict.first_offered_at), from_timestamp(conflict.last_offered_at)
    lines = [
        f"{conflict.conflict_id}  {conflict.region}/{conflict.source_id}  r{conflict.revision}  {conflict.reason}",
        f"    已存 stored:  {_standing(stored)}",
        f"    所报 offered: {_content(conflict.offered)}  {_person(conflict.person_key)}",
        f"    {conflict.offered_by} ×{conflict.times}  {format_rfc3339(first)} … {format_rfc3339(last)}",
    ]
    if conflict.settlement:
        kept = conflict.settlement == Settlement.SETTLEMENT_STORED_KEPT
        how = "保留原内容 kept" if kept else "已修订 taken"
        lines.append(f"    {how}: {conflict.cause} ({conflict.settled_by})")
    return "\n".join(lines)


def _standing(stored: "TestRecord | None") -> str:
    from hutong.records.v1.record_pb2 import RevisionAction

    if stored is None:
        return "—"
    said = f"r{stored.revision}  {_content(stored.content)}  {_person(stored.person_key)}"
    if stored.action == RevisionAction.REVISION_ACTION_RETRACTED:
        said += f"  已撤回 retracted: {stored.cause}"
    return said


def _person(key: bytes) -> str:
    return f"人员 person {key.hex()}"


def _content(content: "RecordContent") -> str:
    from hutong.records.v1.record_pb2 import RecordKind, TestResult

    from services.common.instants import format_rfc3339, from_timestamp

    said = [TestResult.Name(content.result) if content.result else RecordKind.Name(content.kind)]
    for name in ("sampled_at", "reported_at"):
        if content.HasField(name):
            said.append(f"{name} {format_rfc3339(from_timestamp(getattr(content, name)))}")
    return "  ".join([*said, content.laboratory])


def run(args: argparse.Namespace) -> int:
    """Lists or settles; returns the exit status."""
    target = target_of(args, args.store, OPERATOR)
    if target is None:
        return Exit.UNREACHABLE
    try:
        asyncio.run(_run(args, target))
    except ServiceError as error:
        complain(error.text)
        for violation in error.violations:
            complain(violation.text)
        away = error.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
        return Exit.UNREACHABLE if away else Exit.USAGE
    return Exit.OK


async def _run(args: argparse.Namespace, target: Target) -> None:
    from cli.commands.records.ports import ConflictedStore

    async with target.channels(CALLER) as channels:
        port = channels.remote(ConflictedStore, target.address, service="records", peer=target.peer)
        await args.action(args, port)
