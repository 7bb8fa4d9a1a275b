"""`hutong policy`: check, test and explain policies."""

import argparse
import sys
from pathlib import Path
from typing import Any

from services.common.instants import Instant, parse_rfc3339
from services.common.regions import divisions
from services.runtime.clock import system_clock
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.policy.policy_set import NoPolicyInForce, OverlappingPolicies, PolicySet
from services.verdict.policy.files import CASES_SUFFIX, DEFAULT_DIRECTORY, load_directory, read_policy
from services.verdict.policy.tools.cases import run_cases
from services.verdict.policy.tools.check import check, files, forbidden_edits, notices
from services.verdict.policy.tools.explain import explain
from services.verdict.policy.tools.findings import Severity
from services.verdict.policy.yaml_document import PolicyFileError


def add_parser(subparsers: Any) -> None:
    """Adds `policy` and its sub-commands to the command line."""
    policy = subparsers.add_parser("policy", help="检查、测试、解释政策 check, test and explain policies")
    commands = policy.add_subparsers(metavar="COMMAND", required=True)

    checking = commands.add_parser(
        "check", help="schema, overlaps, unreachable clauses, and whether a policy is stricter than the national notice"
    )
    _add_paths(checking)
    checking.add_argument(
        "--in-use", metavar="DIR", type=Path, help="the policies now in use: a policy in force there is never edited"
    )
    checking.set_defaults(run=run_check)

    testing = commands.add_parser("test", help="run the cases beside the policies")
    _add_paths(testing)
    testing.set_defaults(run=run_test)

    explaining = commands.add_parser("explain", help="the policy in force, in words")
    explaining.add_argument("region", metavar="REGION", help="GB/T 2260 code, such as 110000")
    explaining.add_argument("--at", metavar="INSTANT", type=_instant, help="RFC 3339 with offset; now by default")
    explaining.add_argument("--policies", metavar="DIR", type=Path, default=DEFAULT_DIRECTORY)
    explaining.set_defaults(run=run_explain)


def _add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", type=Path, help="files or directories; by default those of the software"
    )


def _instant(text: str) -> Instant:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _fail(error: Exception) -> int:
    print(f"hutong policy: {error}", file=sys.stderr)
    return 2


def run_check(args: argparse.Namespace) -> int:
    """Prints the findings. 0 without errors, 1 with, 2 when a file cannot be read."""
    try:
        findings = check(args.paths)
        # Of what cannot be read nothing more can be said.
        if args.in_use is not None and not any(finding.code == "SCHEMA" for finding in findings):
            findings += forbidden_edits(args.paths, args.in_use, system_clock())
        looked_at = len(files(args.paths))
    except (PolicyFileError, OSError) as error:
        return _fail(error)
    for finding in findings:
        print(finding)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = len(findings) - errors
    print(
        f"{looked_at} 份政策，{errors} 处错误，{warnings} 处警告"
        f" / {looked_at} policies, {errors} errors, {warnings} warnings"
    )
    return 1 if errors else 0


def run_test(args: argparse.Namespace) -> int:
    """Runs the cases beside the policies. 0 when all pass, 1 when one fails, 2 when a file cannot be used."""
    try:
        paths = files(args.paths)
        loaded = [read_policy(path) for path in paths]
        policies = PolicySet(
            [item.policy for item in loaded if isinstance(item.policy, CompiledPolicy)],
            notices(item.policy for item in loaded),
        )
        beside = [path.with_name(path.stem + CASES_SUFFIX) for path in paths]
        outcomes = [outcome for path in beside if path.exists() for outcome in run_cases(path, policies)]
    except (PolicyFileError, OverlappingPolicies, NoPolicyInForce, OSError) as error:
        return _fail(error)
    failed = [outcome for outcome in outcomes if outcome.differences]
    for outcome in failed:
        print(f"{outcome.where}: {outcome.name}")
        for difference in outcome.differences:
            print(f"    {difference}")
    print(
        f"{len(outcomes)} 个用例，{len(failed)} 个未通过 / {len(outcomes)} cases, {len(failed)} failed",
    )
    return 1 if failed else 0


def run_explain(args: argparse.Namespace) -> int:
    """Prints the policy in force. 0, or 2 when there is none or the files cannot be used."""
    if args.region not in divisions():
        return _fail(ValueError(f"no such division: {args.region}; one is 110000"))
    at = system_clock() if args.at is None else args.at
    try:
        print(explain(load_directory(args.policies), args.region, at))
    except (PolicyFileError, NoPolicyInForce, OSError) as error:
        return _fail(error)
    return 0
