"""`hutong policy test`: runs the cases beside the policies."""

import argparse

from cli.commands.policy.paths import add_paths, fail
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.policy.policy_set import NoPolicyInForce, OverlappingPolicies, PolicySet
from services.verdict.policy.files import CASES_SUFFIX, read_policy
from services.verdict.policy.tools.cases import run_cases
from services.verdict.policy.tools.check import files, notices
from services.verdict.policy.yaml_document import PolicyFileError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    add_paths(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
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
        return fail(error)
    failed = [outcome for outcome in outcomes if outcome.differences]
    for outcome in failed:
        print(f"{outcome.where}: {outcome.name}")
        for difference in outcome.differences:
            print(f"    {difference}")
    print(
        f"{len(outcomes)} 个用例，{len(failed)} 个未通过 / {len(outcomes)} cases, {len(failed)} failed",
    )
    return 1 if failed else 0
