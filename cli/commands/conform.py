"""`hutong conform`: plays published cases against a mesh, or checks a region that implements the contracts itself."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cli.exits import Exit, complain
from services.common.errors import Text

if TYPE_CHECKING:
    from cli.conformance.case_files import Role
    from cli.conformance.outcomes import CaseOutcome, Report
    from cli.conformance.playing import Targets
    from services.common.instants import Instant

VERIFY = "verify"

_DESCRIPTION = """\
按公布的用例核对：以地区、检测机构、查验场所或核验方的身份对一个互通网提问，逐项给出结果；
或核对自行实现 RecordReadService 与 ChangeFeedService 的地区系统（只读，不写入）。
用例自带人员与编号，可对同一目标反复运行；`hutong up` 即沙箱。

Plays published cases as a region, laboratory, venue or verifier against a mesh and says of each whether the answer was
the expected one. Each run has people and ids of its own, so it can be run again at the same target; the sandbox is
`hutong up`. Or checks a region that implements RecordReadService and ChangeFeedService itself, and writes nothing.

  hutong conform 127.0.0.1:8097 --as region --region 430000
  hutong conform http://127.0.0.1:8080 --as venue --region 430000 --records 127.0.0.1:8097
  hutong conform 127.0.0.1:9000 --implements region --region 430000
  hutong conform verify REPORT.json

退出状态 exit status:
  0  全部通过 every case passed
  2  命令或文件有误 the command line, or a file it names, cannot be used
  6  有用例未过，或签名不符 a case failed, or the signature of a report is not right"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "target",
        nargs="+",
        metavar="TARGET",
        help="host:port（gRPC）或 http(s)://…；或 verify FILE / host:port for gRPC, or a URL; or verify FILE",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--implements", choices=["region"], help="目标自行实现什么 / what the target implements itself")
    kind.add_argument(
        "--as", dest="role", choices=["region", "laboratory", "venue", "verifier"], help="扮演谁 / whom to play"
    )
    parser.add_argument("--region", default="430000", help="地区代码 / the region's GB/T 2260 code; 430000 by default")
    parser.add_argument("--laboratory", help="检测机构编号 / the laboratory's id; REGION-sample by default")
    parser.add_argument(
        "--records", metavar="HOST:PORT", help="venue：为用例人员登记结果的记录库 / where cases' people are tested"
    )
    parser.add_argument(
        "--tls", type=Path, metavar="FOLDER", help="证书目录 / a folder with tls.crt, tls.key and trust"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="网关令牌所在的文件 / a file with the bearer token for a gateway",
    )
    parser.add_argument(
        "--drain-pid",
        type=int,
        metavar="PID",
        help="与 --implements 同用：最后向其发送 SIGTERM 以核对排空 / with --implements: a process to drain at the end",
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="JUnit XML 报告 / the report as JUnit XML")
    parser.add_argument("--json", type=Path, metavar="FILE", help="签名的 JSON 报告 / the report as signed JSON")
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="与 --json 同用：Ed25519 私钥，没有则生成 / Ed25519, made where absent"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Plays the cases, or verifies a report; returns the exit status."""
    if args.target[0] == VERIFY:
        return _verify(args.target[1:])
    from services.common.regions import divisions
    from services.runtime.tls.trust import TlsError

    if len(args.target) != 1 or not (args.role or args.implements) or args.region not in divisions():
        complain(Text("须有一个目标、--as 或 --implements、存在的地区", "one TARGET, --as or --implements, a region"))
        return Exit.USAGE
    if (args.json is None) != (args.key is None):
        complain(Text("--json 与 --key 须同时给出", "--json and --key go together"))
        return Exit.USAGE
    from cli.conformance.signing import SigningError, read_or_make_key, sign

    try:
        # Before anything is asked: a run whose report cannot be signed would be for nothing.
        key = None if args.key is None else read_or_make_key(args.key)
        report = asyncio.run(_play(args))
        if args.junit is not None:
            from cli.conformance.outcomes import as_junit

            args.junit.write_bytes(as_junit(report))
        if key is not None:
            args.json.write_bytes(sign(report, key))
    except (SigningError, TlsError, OSError, ValueError) as error:
        complain(Text(f"无法进行：{error}", f"cannot go on: {error}"))
        return Exit.USAGE
    return Exit.REFUSED if report.failed else Exit.OK


def _verify(paths: list[str]) -> int:
    from cli.conformance.outcomes import as_text
    from cli.conformance.signing import SigningError, verify

    if len(paths) != 1:
        complain(Text("须给出一个报告文件", "name one report"))
        return Exit.USAGE
    try:
        signed = verify(Path(paths[0]).read_bytes())
    except OSError as error:
        complain(Text(f"无法读取：{error}", f"cannot read: {error}"))
        return Exit.USAGE
    except SigningError as error:
        complain(Text(f"不可信：{error}", f"not believed: {error}"))
        return Exit.REFUSED
    print(f"{signed.report.target}  {signed.report.at}  {signed.report.software}")
    print(as_text(signed.report))
    print(f"签名属于公钥 / signed by the public key {signed.public_key}")
    return Exit.OK


async def _play(args: argparse.Namespace) -> "Report":
    from uuid import uuid4

    from cli.conformance.outcomes import Report, as_text
    from services.common.instants import format_rfc3339
    from services.common.release import RELEASE
    from services.runtime.clock import system_clock

    run_id, now = uuid4().hex[:12], system_clock()
    if args.implements:
        cases, cases_version, digest, outcomes = await _check(args)
    else:
        cases, cases_version, digest, outcomes = await _play_role(args, run_id, now)
    print(file=sys.stderr)
    report = Report(
        target=args.target[0],
        cases=cases,
        cases_version=cases_version,
        cases_digest=digest,
        run_id=run_id,
        at=format_rfc3339(now),
        software=RELEASE,
        outcomes=outcomes,
    )
    print(as_text(report))
    return report


def _tell(outcome: "CaseOutcome") -> None:
    print(".", end="", file=sys.stderr, flush=True)


async def _play_role(
    args: argparse.Namespace, run_id: str, now: "Instant"
) -> "tuple[str, int, str, list[CaseOutcome]]":
    """Returns the cases that were played, their version and digest, and the outcomes. Raises ValueError for a role that
    has none over this transport."""
    from cli.conformance.case_files import read_cases
    from cli.conformance.playing import play
    from cli.conformance.run_values import RunValues

    targets = _targets(args)
    try:
        cases = read_cases(cast("Role", args.role))
        values = RunValues(run_id, args.region, args.laboratory or f"{args.region}-sample", now)
        outcomes = await play(cases, targets, values, _tell)
    finally:
        await targets.close()
    if not outcomes:
        raise ValueError(f"--as {args.role} has no cases over {targets.over()}")
    return cases.role, cases.version, cases.digest, outcomes


async def _check(args: argparse.Namespace) -> "tuple[str, int, str, list[CaseOutcome]]":
    """Returns the same of a region that implements the contracts itself."""
    import os
    import signal

    from cli.conformance.calling import GrpcTarget
    from cli.conformance.region.checks import VERSION, check_region
    from cli.conformance.region.under_test import RegionUnderTest
    from cli.mesh.target import certificate_of
    from services.runtime.tls.identity import store_of

    async def drain() -> None:
        os.kill(args.drain_pid, signal.SIGTERM)

    files = None if args.tls is None else certificate_of(args.tls)
    target = GrpcTarget(args.target[0], store_of(args.region), "conform-region", files)
    try:
        region = RegionUnderTest(target, args.region, None if args.drain_pid is None else drain)
        return f"implements-{args.implements}", VERSION, "", await check_region(region, _tell)
    finally:
        await target.close()


def _targets(args: argparse.Namespace) -> "Targets":
    """Returns whom to ask. Raises TlsError, OSError."""
    from cli.conformance.calling import GrpcTarget, HttpTarget
    from cli.conformance.playing import Targets
    from cli.mesh.target import certificate_of
    from services.runtime.tls.identity import principal, store_of

    files = None if args.tls is None else certificate_of(args.tls)
    token = "" if args.token_file is None else args.token_file.read_text(encoding="ascii").strip()
    caller, target = f"conform-{args.role}", args.target[0]
    store = store_of(args.region)
    if args.role in ("region", "laboratory"):
        own = GrpcTarget(target, store, caller, files)
        return Targets(own, own)
    records = None if args.records is None else GrpcTarget(args.records, store, caller, files)
    if target.startswith(("http://", "https://")):
        return Targets(HttpTarget(target, token), records)
    peer = principal("mesh/gateway" if args.role == "venue" else "mesh/verdict")
    return Targets(GrpcTarget(target, peer, caller, files, token), records)
