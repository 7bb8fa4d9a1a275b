"""`hutong policy check`: what is wrong with policies."""

import argparse
from pathlib import Path

from cli.commands.policy.paths import add_paths, fail
from services.runtime.clock import system_clock
from services.verdict.policy.tools.check import check, comparisons, files, forbidden_edits
from services.verdict.policy.tools.findings import Severity
from services.verdict.policy.yaml_document import PolicyFileError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    add_paths(parser)
    parser.add_argument(
        "--in-use",
        metavar="DIR",
        type=Path,
        help="现用的政策目录：其中已生效的不得改动 / the policies now in use: a policy in force there is never edited",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="另与前一版本和区域伙伴比较：谁得谁失 / also compare with the predecessor and the bloc's partners: what "
        "changes, for whom",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the findings. 0 without errors, 1 with, 2 when a file cannot be read."""
    try:
        findings = check(args.paths)
        # Of what cannot be read nothing more can be said.
        if args.in_use is not None and not any(finding.code == "SCHEMA" for finding in findings):
            findings += forbidden_edits(args.paths, args.in_use, system_clock())
        if args.compare and not any(finding.severity is Severity.ERROR for finding in findings):
            findings += comparisons(args.paths)
        looked_at = len(files(args.paths))
    except (PolicyFileError, OSError) as error:
        return fail(error)
    for finding in findings:
        print(finding)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = sum(finding.severity is Severity.WARNING for finding in findings)
    print(
        f"{looked_at} 份政策，{errors} 处错误，{warnings} 处警告"
        f" / {looked_at} policies, {errors} errors, {warnings} warnings"
    )
    return 1 if errors else 0
