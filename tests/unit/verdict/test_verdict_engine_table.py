"""The table of engine cases: evidence, instants, and the verdict each must get."""

from pathlib import Path

import pytest

from services.verdict.domain.policy.policy_set import PolicySet
from services.verdict.policy.files import (
    CASES_SUFFIX,
    DEFAULT_DIRECTORY,
    assemble,
    load_directory,
    policy_paths,
    read_policy,
)
from services.verdict.policy.tools.cases import Outcome, run_cases

ENGINE = Path(__file__).parents[2] / "golden" / "engine"
FINE_PRINT = ENGINE / "fine_print"


def _outcomes(paths: list[Path], policies: PolicySet) -> list[Outcome]:
    return [outcome for path in sorted(paths) for outcome in run_cases(path, policies)]


FINE = _outcomes(list(FINE_PRINT.glob("*.yaml")), load_directory(FINE_PRINT / "policies"))
OWN = load_directory(DEFAULT_DIRECTORY)
SYSTEMS = _outcomes(list(ENGINE.glob("*.yaml")), OWN)
LIFTED_DIRECTORY = DEFAULT_DIRECTORY.with_name("lifted")
LIFTED = _outcomes(
    list(LIFTED_DIRECTORY.rglob(f"*{CASES_SUFFIX}")),
    assemble(read_policy(path) for folder in (DEFAULT_DIRECTORY, LIFTED_DIRECTORY) for path in policy_paths(folder)),
)
BESIDE = _outcomes(list(DEFAULT_DIRECTORY.rglob(f"*{CASES_SUFFIX}")), OWN)


@pytest.mark.parametrize("outcome", FINE, ids=lambda outcome: outcome.name)
def test_fine_print(outcome: Outcome):
    """Every line of the design's fine print, under policies made for it."""
    assert outcome.differences == (), outcome.where


@pytest.mark.parametrize("outcome", SYSTEMS, ids=lambda outcome: outcome.name)
def test_systems_of_the_founding_text(outcome: Outcome):
    """Every system of the founding text, under the policies that come with the software."""
    assert outcome.differences == (), outcome.where


@pytest.mark.parametrize("outcome", BESIDE, ids=lambda outcome: f"{Path(outcome.where).parent.name} {outcome.name}")
def test_cases_beside_the_policies(outcome: Outcome):
    """What each policy's author expects of it."""
    assert outcome.differences == (), outcome.where


@pytest.mark.parametrize("outcome", LIFTED, ids=lambda outcome: outcome.name)
def test_the_notice_that_ended_checks(outcome: Outcome):
    """What the notice of 2022-12-07 makes of the policies that come with the software."""
    assert outcome.differences == (), outcome.where


def test_each_table_has_cases():
    """A table that was moved away must not pass for want of cases."""
    assert all((FINE, SYSTEMS, BESIDE, LIFTED))
