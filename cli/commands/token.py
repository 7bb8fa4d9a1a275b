"""`hutong token`: a token of the development issuer, for whoever sits at the machine."""

import argparse
from pathlib import Path
from typing import Any

from cli.exits import Exit, complain
from services.common.errors import Text

ROLES = ("holder", "guardian", "venue", "laboratory", "supervisor", "operator")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "打印开发用令牌；只有用同一数据目录运行的 `hutong up` 才认。\n"
        "Prints a token for development; only a `hutong up` with the same data believes it.\n\n"
        "退出状态 exit status: 0 已打印 printed; 2 命令有误 wrong command"
    )
    parser.add_argument("role", choices=ROLES, help="角色 / the role")
    parser.add_argument("--type", default="RESIDENT_ID", help="证件类型 / the kind of the holder's document")
    parser.add_argument("--number", help="证件号码 / the number of the holder's document")
    parser.add_argument(
        "--dependant",
        action="append",
        default=[],
        metavar="NUMBER",
        help="被监护人的居民身份证号 / a dependant's resident id",
    )
    parser.add_argument("--name", default="me", help="场所、机构、监督或运维人员的名字 / the name of who is no holder")
    parser.add_argument("--full-name", metavar="NAME", help="持有人姓名 / the holder's name as written (claim name)")
    parser.add_argument("--family-name", metavar="NAME", help="持有人的姓，拉丁字母 / the surname in Latin letters")
    parser.add_argument("--given-name", metavar="NAME", help="持有人的名，拉丁字母 / the given name in Latin letters")
    parser.add_argument("--birthdate", metavar="DATE", help="持有人的生日 / the date of birth, YYYY-MM-DD")
    parser.add_argument("--region", help="场所或机构所在地区 / the region of a venue or laboratory")
    parser.add_argument("--seconds", type=float, default=3600.0, help="有效秒数 / how long it is valid")
    parser.add_argument("--data", type=Path, default=Path(".hutong"), help="数据目录 / data of `hutong up`")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the token."""
    from gateway.identity.development import DevelopmentIssuer

    claims: dict[str, Any] = {"role": args.role, "sub": args.name}
    if args.role in ("holder", "guardian"):
        if args.number is None:
            return _usage("--number")
        claims["document"] = {"type": args.type, "number": args.number}
        stated = {
            "name": args.full_name,
            "family_name": args.family_name,
            "given_name": args.given_name,
            "birthdate": args.birthdate,
        }
        claims |= {claim: value for claim, value in stated.items() if value}
        claims["dependants"] = [{"type": "RESIDENT_ID", "number": number} for number in args.dependant]
    elif args.role in ("venue", "laboratory"):
        if args.region is None:
            return _usage("--region")
        claims["region"] = args.region
    if not args.data.is_dir():
        complain(Text(f"没有数据目录 {args.data}", f"There is no data directory {args.data}"))
        return Exit.USAGE
    try:
        issuer = DevelopmentIssuer(args.data / "development")
    except (OSError, ValueError) as error:
        complain(Text(f"签发密钥不可用：{error}", f"the issuer's key cannot be used: {error}"))
        return Exit.USAGE
    print(issuer.token(claims, seconds=args.seconds))
    return Exit.OK


def _usage(option: str) -> int:
    complain(Text(f"该角色须给出 {option}", f"This role needs {option}"))
    return Exit.USAGE
