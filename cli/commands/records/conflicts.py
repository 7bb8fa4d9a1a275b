"""`hutong records conflicts`: lists what could not be taken into a store, and settles it."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from cli.mesh.endpoints import read_endpoints
from cli.mesh.plan import OPERATOR
from cli.mesh.target import Target, add_target, target_of
from services.common.errors import Code, ServiceError, Text
from services.common.regions import NATION

if TYPE_CHECKING:
    from hutong.records.v1.conflict_service_pb2 import Conflict
    from hutong.records.v1.record_pb2 import RecordContent, TestRecord

    from cli.commands.records.ports import ConflictedStore

CALLER = "hutong-records"
_AWAY = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)

_DESCRIPTION = """\
列出各记录库中未能入库、与已有内容冲突的提交，并作出处理：保留原内容，或采用所报内容。同一人的两份陈述，处理之前以较重者为准。
所报为另一人的，该编号即归其所有，原记录撤回。
Lists what stores were offered and could not take because they say otherwise already, and settles it: what was stored
stays, or what was offered is taken, as an amendment. Of two statements about one person's sample the graver stands
until then. Where what was offered is another person's, the record becomes theirs and what was stored is retracted.

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
        default=argparse.SUPPRESS if again else None,
        help="地区代码或 nation，缺省为全部 / a region's code, or nation; by default every store",
    )
    add_target(parser, again=again)


def _targets(args: argparse.Namespace) -> dict[str, Target]:
    """Returns the stores to ask, by name: the one that was named, or all of the mesh; none, after saying why."""
    names = [args.store or NATION]
    if args.store is None and args.to is None and (endpoints := read_endpoints(args.data)) is not None:
        names = sorted(endpoints.records, key=lambda name: (name != NATION, name))
    targets: dict[str, Target] = {}
    for name in names:
        target = target_of(args, name, OPERATOR)
        if target is None:
            return {}
        targets[name] = target
    return targets


async def _list(args: argparse.Namespace, stores: "dict[str, ConflictedStore]") -> bool:
    """Prints the conflicts of every store; returns whether all of them answered."""
    count, complete = 0, True
    for name, store in stores.items():
        try:
            async for conflict in _conflicts(store, settled_too=args.all):
                print(describe(conflict, await _stored(store, conflict), name if len(stores) > 1 else ""))
                count += 1
        except ServiceError as error:
            if len(stores) == 1 or error.code not in _AWAY:
                raise
            complain(Text(f"{name}：{error.text.zh}", f"{name}: {error.text.en}"))
            complete = False
    print(f"{count} 个冲突 / {count} conflicts")
    return complete


async def _conflicts(store: "ConflictedStore", *, settled_too: bool) -> "AsyncIterator[Conflict]":
    from hutong.common.v1.subject_pb2 import Purpose
    from hutong.records.v1.conflict_service_pb2 import ListConflictsRequest

    request = ListConflictsRequest(purpose=Purpose.PURPOSE_RECORD_KEEPING, settled_too=settled_too)
    while True:
        page = await store.ListConflicts(request)
        for conflict in page.conflicts:
            yield conflict
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return


async def _settle(args: argparse.Namespace, stores: "dict[str, ConflictedStore]") -> bool:
    """Settles the conflict in the store that has it."""
    from hutong.common.v1.identity_pb2 import StoreIdentity
    from hutong.common.v1.subject_pb2 import Purpose
    from hutong.records.v1.conflict_service_pb2 import SettleConflictRequest, Settlement

    from services.common.identities import RECORDS

    how = Settlement.SETTLEMENT_OFFERED_TAKEN if args.take else Settlement.SETTLEMENT_STORED_KEPT
    request = SettleConflictRequest(
        conflict_id=args.conflict, settlement=how, cause=args.cause, purpose=Purpose.PURPOSE_RECORD_KEEPING
    )
    missing: ServiceError | None = None
    for name, store in stores.items():
        if args.to is None or args.store is not None:
            # Whose store an address alone is, is not known.
            request.store.CopyFrom(StoreIdentity(kind=RECORDS, region=name))
        try:
            conflict = (await store.SettleConflict(request)).conflict
        except ServiceError as error:
            if error.reason != "CONFLICT_NOT_FOUND":
                raise
            missing = error
            continue
        print(describe(conflict, await _stored(store, conflict)))
        return True
    if missing is not None:
        raise missing
    return True


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


def describe(conflict: "Conflict", stored: "TestRecord | None", store: str = "") -> str:
    """Returns one conflict for people: in which store, which record, what is stored now beside what was offered, when
    and by whom. Nobody is named by more than a key. Times are at +08:00."""
    from hutong.records.v1.conflict_service_pb2 import Settlement

    from services.common.instants import format_rfc3339, from_timestamp

    first, last = from_timestamp(conflict.first_offered_at), from_timestamp(conflict.last_offered_at)
    lines = [
        f"{conflict.conflict_id}  {conflict.region}/{conflict.source_id}  r{conflict.revision}  {conflict.reason}"
        + (f"  记录库 store {store}" if store else ""),
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
    if stored.action == RevisionAction.REVISION_ACTION_CONTESTED:
        said += "  较重，处理之前以此为准 the graver: stands until it is settled"
    if stored.written_by:
        said += f"  写入者 written by {stored.written_by}"
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
    targets = _targets(args)
    if not targets:
        return Exit.UNREACHABLE
    try:
        complete = asyncio.run(_run(args, targets))
    except ServiceError as error:
        complain(error.text)
        for violation in error.violations:
            complain(violation.text)
        return Exit.UNREACHABLE if error.code in _AWAY else Exit.USAGE
    return Exit.OK if complete else Exit.UNREACHABLE


async def _run(args: argparse.Namespace, targets: Mapping[str, Target]) -> bool:
    from cli.commands.records.ports import ConflictedStore

    # Whoever asks is one, so one certificate goes with all calls.
    async with next(iter(targets.values())).channels(CALLER) as channels:
        stores = {
            name: channels.remote(ConflictedStore, target.address, service="records", peer=target.peer)
            for name, target in targets.items()
        }
        complete: bool = await args.action(args, stores)
        return complete
