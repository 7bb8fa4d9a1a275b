"""`hutong certs dev`: an authority and certificates for a mesh on this machine."""

import argparse
from pathlib import Path

from cli.exits import Exit, complain
from services.common.errors import Text

_SERVICES = ("mesh/gateway", "mesh/verdict", "mesh/lookup", "nation/records", "operator/me", "supervisor/me")
_OF_A_REGION = ("records", "system", "laboratory/sample")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    development = commands.add_parser(
        "dev",
        help="为开发签发证书：各服务与各地区 / certificates for development: every service, every region",
        description="在目录中建立证书机构并签发短期证书，再次运行即续期。不可用于生产。\n"
        "Makes authorities and certificates in a folder; a second run renews them. Never for production.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    development.add_argument("folder", type=Path, help="目录 / the folder")
    development.add_argument(
        "--regions", default="", metavar="CODES", help="地区代码，逗号分隔 / region codes, comma-separated"
    )
    development.add_argument("--days", type=float, default=30.0, help="有效天数，缺省 30 / days valid, by default 30")
    development.set_defaults(run=run_dev)


def run_dev(args: argparse.Namespace) -> int:
    """Writes the certificates and says where each lies."""
    from cli.certificates.authority import utc_now
    from cli.certificates.development import write_certificates
    from services.common.regions import divisions
    from services.runtime.tls.identity import principal

    regions = [code.strip() for code in args.regions.split(",") if code.strip()]
    unknown = [code for code in regions if code not in divisions()]
    if unknown or args.days <= 0:
        complain(Text(f"没有这个地区或天数不对：{unknown}", f"No such region, or no such number of days: {unknown}"))
        return Exit.USAGE
    names = [principal(path) for path in _SERVICES]
    names += [principal(f"region/{region}/{part}") for region in regions for part in _OF_A_REGION]
    for name, folder in zip(names, write_certificates(args.folder, names, now=utc_now(), days=args.days), strict=True):
        print(f"{name}  {folder}/tls.crt")
    print(f"信任 / trust: {args.folder}/trust")
    return Exit.OK
