"""`hutong conform`: plays published cases against a mesh."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cli.exits import Exit, complain
from services.common.errors import Text

if TYPE_CHECKING:
    from cli.conformance.case_files import Role
    from cli.conformance.outcomes import Report
    from cli.conformance.playing import Targets

VERIFY = "verify"

_DESCRIPTION = """\
按公布的用例核对：以地区、检测机构、查验场所或核验方的身份对一个互通网提问，逐项给出结果。
用例自带人员与编号，可对同一目标反复运行；`hutong up` 即沙箱。

Plays published cases as a region, laboratory, venue or verifier against a mesh and says of each whether the answer was
the expected one. Each run has people and ids of its own, so it can be run again at the same target; the sandbox is
`hutong up`.

  hutong conform 127.0.0.1:8097 --as region --region 430000
  hutong conform http://127.0.0.1:8080 --as venue --region 430000 --records 127.0.0.1:8097
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
    parser.add_argument(
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

    if len(args.target) != 1 or not args.role or args.region not in divisions():
        complain(Text("须有一个目标、--as 与存在的地区", "one TARGET, --as, and a region that exists"))
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
    from importlib.metadata import version
    from uuid import uuid4

    from cli.conformance.case_files import read_cases
    from cli.conformance.outcomes import Report, as_text
    from cli.conformance.playing import play
    from cli.conformance.run_values import RunValues
    from services.common.instants import format_rfc3339
    from services.runtime.clock import system_clock

    run_id, now = uuid4().hex[:12], system_clock()
    targets = _targets(args)
    try:
        cases = read_cases(cast("Role", args.role))
        values = RunValues(run_id, args.region, args.laboratory or f"{args.region}-sample", now)
        outcomes = await play(cases, targets, values, lambda one: print(".", end="", file=sys.stderr, flush=True))
    finally:
        await targets.close()
    print(file=sys.stderr)
    if not outcomes:
        raise ValueError(f"--as {args.role} has no cases over {targets.over()}")
    report = Report(
        target=args.target[0],
        cases=cases.role,
        cases_version=cases.version,
        cases_digest=cases.digest,
        run_id=run_id,
        at=format_rfc3339(now),
        software=version("hutong"),
        outcomes=outcomes,
    )
    print(as_text(report))
    return report


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
