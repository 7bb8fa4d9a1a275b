"""`hutong policy explain`: the policy in force, in words."""

import argparse
from pathlib import Path

from cli.commands.policy.paths import fail
from services.common.instants import Instant, parse_rfc3339
from services.common.regions import divisions
from services.runtime.clock import system_clock
from services.verdict.domain.policy.policy_set import NoPolicyInForce
from services.verdict.policy.files import DEFAULT_DIRECTORY, load_directory
from services.verdict.policy.tools.explain import explain
from services.verdict.policy.yaml_document import PolicyFileError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.add_argument("region", metavar="REGION", help="地区代码，如 110000 / GB/T 2260 code, such as 110000")
    parser.add_argument(
        "--at",
        metavar="INSTANT",
        type=_instant,
        help="RFC 3339 时刻，缺省为现在 / RFC 3339 with offset; now by default",
    )
    parser.add_argument("--policies", metavar="DIR", type=Path, default=DEFAULT_DIRECTORY)
    parser.set_defaults(run=run)


def _instant(text: str) -> Instant:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def run(args: argparse.Namespace) -> int:
    """Prints the policy in force. 0, or 2 when there is none or the files cannot be used."""
    if args.region not in divisions():
        return fail(ValueError(f"no such division: {args.region}; one is 110000"))
    at = system_clock() if args.at is None else args.at
    try:
        print(explain(load_directory(args.policies), args.region, at))
    except (PolicyFileError, NoPolicyInForce, OSError) as error:
        return fail(error)
    return 0
