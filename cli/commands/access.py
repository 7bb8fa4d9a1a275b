"""`hutong access check|explain`: who may call what, according to a table."""

import argparse
from pathlib import Path

from cli.exits import Exit, complain
from services.common.errors import Text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check = commands.add_parser("check", help="检查访问表 / look over a table: each method of each contract is in it")
    check.set_defaults(run=run_check)
    explain = commands.add_parser("explain", help="某调用方可以做什么 / what a caller may do")
    explain.add_argument("principal", help="如 region/430000/system / such as region/430000/system")
    explain.set_defaults(run=run_explain)
    for command in (check, explain):
        command.add_argument("--table", type=Path, help="访问表，缺省为自带的 / the table, by default the one shipped")


def run_check(args: argparse.Namespace) -> int:
    """Reads the table and lists what is wrong with it."""
    from services.runtime.access.contracts import wrong_with
    from services.runtime.access.table import DEFAULT, AccessError, read_table

    try:
        wrong = wrong_with(read_table(args.table or DEFAULT))
    except AccessError as error:
        wrong = [str(error)]
    for line in wrong:
        complain(Text("访问表有误", line))
    if wrong:
        return Exit.USAGE
    print("访问表无误 / nothing is wrong with the table")
    return Exit.OK


def run_explain(args: argparse.Namespace) -> int:
    """Prints a line for each method the caller may call: method, purposes, regions."""
    from services.runtime.access.table import DEFAULT, AccessError, read_table
    from services.runtime.tls.identity import SCHEME, WrongPrincipalError, parse, principal

    try:
        table = read_table(args.table or DEFAULT)
        name = parse(args.principal) if args.principal.startswith(SCHEME) else principal(args.principal)
    except (AccessError, WrongPrincipalError) as error:
        complain(Text("不能解释", str(error)))
        return Exit.USAGE
    lines = list(table.explain(name))
    for line in lines or [f"{name}: 一概拒绝 / denied everything"]:
        print(line)
    return Exit.OK
