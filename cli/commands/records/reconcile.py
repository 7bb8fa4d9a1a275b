"""`hutong records reconcile`: shows how it stands with the regions that are followed, and confirms a new feed."""

import argparse
import asyncio
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from cli.mesh.plan import OPERATOR
from cli.mesh.target import Target, add_target, target_of
from services.common.errors import Code, ServiceError, Text
from services.common.regions import NATION

if TYPE_CHECKING:
    from hutong.records.v1.following_service_pb2 import FollowedRegion

    from cli.commands.records.ports import FollowingStore

CALLER = "hutong-records"

_DESCRIPTION = """\
列出国家库所跟随的各地区：跟到哪里，是否正在比对，为何拒绝。一个地区的库若新建（变更流改变），在确认之前不取其任何内容，
国家库中它的记录继续有效；确认后自头读取，并把它失去的交还给它。见 docs/runbook/restoring-a-region.md。
Lists the regions that the nation's store follows: how far, whether it is being compared, why it is refused. Where a
region's store was made anew (its feed is another), nothing of it is taken until that is confirmed, and what the nation
has of it stays in force; then it is read from its start, and given back what it lost.

退出状态 exit status: 0 完成，无需确认 done, nothing to confirm; 2 命令有误 wrong command;
4 无法连接 unreachable; 5 有待确认 something waits for confirmation"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = _DESCRIPTION
    parser.add_argument("--region", help="只看该地区 / this region alone")
    parser.add_argument(
        "--confirm", action="store_true", help="确认该地区的库是新建的 / the region's store was indeed made anew"
    )
    parser.add_argument("--cause", help="与 --confirm 同用：原因，1至500字 / with --confirm: why")
    add_target(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Lists or confirms; returns the exit status."""
    if args.confirm and not (args.region and args.cause):
        complain(Text("--confirm 须与 --region、--cause 同用", "--confirm goes with --region and --cause"))
        return Exit.USAGE
    target = target_of(args, NATION, OPERATOR)
    if target is None:
        return Exit.UNREACHABLE
    try:
        return asyncio.run(_run(args, target))
    except ServiceError as error:
        complain(error.text)
        away = error.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
        return Exit.UNREACHABLE if away else Exit.USAGE


async def _run(args: argparse.Namespace, target: Target) -> int:
    from hutong.records.v1.following_service_pb2 import ListFollowedRegionsRequest

    from cli.commands.records.ports import FollowingStore

    async with target.channels(CALLER) as channels:
        store = channels.remote(FollowingStore, target.address, service="records", peer=target.peer)
        regions = list((await store.ListFollowedRegions(ListFollowedRegionsRequest())).regions)
        if args.region:
            regions = [region for region in regions if region.region == args.region]
            if not regions:
                complain(Text(f"本库不跟随 {args.region}", f"this store does not follow {args.region}"))
                return Exit.USAGE
        if args.confirm:
            return await _confirm(args, store, regions[0])
        for region in regions:
            print(describe(region))
        return Exit.WAITING if any(region.met_feed_id for region in regions) else Exit.OK


async def _confirm(args: argparse.Namespace, store: "FollowingStore", region: "FollowedRegion") -> int:
    from hutong.common.v1.identity_pb2 import StoreIdentity
    from hutong.common.v1.subject_pb2 import Purpose
    from hutong.records.v1.following_service_pb2 import AcceptFeedRequest

    from services.common.identities import RECORDS

    if not region.met_feed_id:
        print(describe(region))
        complain(Text("没有什么需要确认", "there is nothing to confirm"))
        return Exit.USAGE
    await store.AcceptFeed(
        AcceptFeedRequest(
            region=region.region,
            feed_id=region.met_feed_id,
            cause=args.cause,
            purpose=Purpose.PURPOSE_RECORD_KEEPING,
            store=StoreIdentity(kind=RECORDS, region=NATION),
        )
    )
    print(f"{region.region}: 变更流 feed {region.feed_id} → {region.met_feed_id}")
    return Exit.OK


def describe(region: "FollowedRegion") -> str:
    """Returns how it stands with one region, for people. Times are at +08:00."""
    from hutong.records.v1.following_service_pb2 import FollowedState

    from services.common.instants import format_rfc3339, from_timestamp

    words = {
        FollowedState.FOLLOWED_STATE_FOLLOWED: "跟随中 followed",
        FollowedState.FOLLOWED_STATE_UNREACHABLE: "无法连接 unreachable",
        FollowedState.FOLLOWED_STATE_REFUSED: "拒绝 refused",
        FollowedState.FOLLOWED_STATE_COMPARED: "比对中 being compared",
    }
    as_of = format_rfc3339(from_timestamp(region.as_of)) if region.HasField("as_of") else "—"
    state = words.get(region.state, "?")
    lines = [f"{region.region}  {state}  {as_of}  {region.feed_id or '—'}/{region.sequence}"]
    if region.reason:
        lines.append(f"    {region.reason}: {region.message.zh} / {region.message.en}")
    return "\n".join(lines)
