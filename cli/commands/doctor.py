"""`hutong doctor`: asks everybody on a mesh whether they are who they should be, and whether they agree."""

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cli.exits import Exit, complain
from services.common.errors import Text

if TYPE_CHECKING:
    from cli.diagnosis.asking import Addresses
    from cli.diagnosis.judgement import Finding
    from services.common.mesh_directory import MeshDirectory
    from services.common.mesh_secret import MeshSecret

_DESCRIPTION = """\
询问互通网的每个服务：能否连上、是不是该是的那个库、密钥是否相同、名单是否一致、时钟是否准确、政策是否齐全、证书是否将到期、版本与表结构是否一致。
不改变任何东西，也不读取任何人的数据。

Asks every service of a mesh: is it reachable, is it the store that is meant, are secrets the same, do the lists of
members agree, are clocks right, is there a policy for everybody, are certificates renewed, and are
versions and schemas the same? Changes nothing, and reads nobody's data.

退出状态 exit status:
  0  一切正常 nothing is wrong
  2  命令或名单有误 the command line or the list is wrong
  5  有问题需要处理 something waits for an operator"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = _DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(".hutong"),
        help="`hutong up` 的数据目录 / data of the running `hutong up`",
    )
    parser.add_argument(
        "--directory", type=Path, metavar="FILE", help="名单文件，代替 --data / the list of members, instead of --data"
    )
    parser.add_argument("--lookup", default="", metavar="HOST:PORT", help="与 --directory 同用 / with --directory")
    parser.add_argument("--verdict", default="", metavar="HOST:PORT", help="与 --directory 同用 / with --directory")
    parser.add_argument(
        "--gateway", default="", metavar="URL", help="网关的运维端口 / of its operations port: http://gateway:9090"
    )
    parser.add_argument(
        "--tls", type=Path, metavar="FOLDER", help="与 --directory 同用：证书目录 / with --directory: certificates"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Asks, judges, and prints a line for each thing that is wrong."""
    from cli.diagnosis.asking import ask_all
    from cli.diagnosis.judgement import findings, versions

    try:
        members, addresses, secret = _meant(args)
    except (OSError, ValueError) as error:
        complain(Text(f"无法开始：{error}", f"cannot begin: {error}"))
        return Exit.USAGE
    facts = asyncio.run(ask_all(members, addresses))
    wrong = findings(members, facts, secret)
    asked = len(facts.stores) + sum(one is not None for one in (facts.lookup, facts.verdict, facts.gateway))
    for finding in wrong:
        _print(finding)
    if wrong:
        return Exit.WAITING
    version = "".join(f" ({one})" for one in versions(facts))
    print(f"{asked} 个服务，一切正常 / {asked} services, nothing is wrong{version}")
    return Exit.OK


def _meant(args: argparse.Namespace) -> "tuple[MeshDirectory, Addresses, MeshSecret | None]":
    """Returns the list that should hold, where the others are, and the secret where it is known. Raises
    OSError and ValueError."""
    from cli.diagnosis.asking import Addresses
    from cli.mesh.data import SECRET_FILE
    from cli.mesh.endpoints import read_endpoints
    from cli.mesh.plan import GATEWAY, LOOKUP, PRINCIPALS
    from cli.mesh.target import certificate_of, files_of
    from services.common.mesh_secret import parse_mesh_secret
    from services.runtime.settings.directory import read_directory

    secret = os.environ.get("HUTONG_MESH_SECRET", "")
    if secret_file := os.environ.get("HUTONG_MESH_SECRET_FILE", ""):
        secret = Path(secret_file).read_text(encoding="utf-8")
    if args.directory is not None:
        members = read_directory(str(args.directory))
        files = None if args.tls is None else certificate_of(args.tls)
        addresses = Addresses(args.lookup, args.verdict, args.gateway, files, files)
        return members, addresses, parse_mesh_secret(secret) if secret else None
    endpoints = read_endpoints(args.data)
    if endpoints is None:
        raise ValueError(f"{args.data}: 没有运行的互通网 / no mesh is running from there; name a --directory")
    members = read_directory(str(args.data / "directory.yaml"))
    secret = (args.data / SECRET_FILE).read_text(encoding="ascii").strip()
    addresses = Addresses(
        endpoints.lookup,
        endpoints.verdict,
        endpoints.operations,
        files_of(endpoints, PRINCIPALS[LOOKUP]),
        files_of(endpoints, PRINCIPALS[GATEWAY]),
    )
    return members, addresses, parse_mesh_secret(secret)


def _print(finding: "Finding") -> None:
    print(f"{finding.subject}\t{finding.reason}\t{finding.text.zh} / {finding.text.en}")
