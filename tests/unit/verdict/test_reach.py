"""A verdict looks back as far as the version in force reaches, and each one that is to come."""

import random

import pytest

from services.common.instants import DAY, Instant
from services.verdict.domain.policy.reach import reach
from tests.testkit.builders import random_pasts


@pytest.mark.parametrize("seed", range(20))
def test_a_verdict_looks_back_as_far_as_any_version_from_then_on(seed: int) -> None:
    """A later version looks back from its own start, an earlier one no longer counts."""
    policies = random_pasts.policies(random.Random(seed))
    for region in policies.regions():
        spans = policies.spans(region)
        for number, (start, in_force) in enumerate(spans):
            end = spans[number + 1][0] if number + 1 < len(spans) else Instant(start + 900 * DAY)
            for at in (start, Instant((start + end) // 2), Instant(end - 1)):
                later = [begins - reach(version.policy) for begins, version in spans[number + 1 :]]
                assert min([at - reach(in_force.policy), *later]) == in_force.looks_back_to(at)


def test_a_longer_window_to_come_reaches_further() -> None:
    """Some of the random policies have one: the table above is not all of single versions."""
    sets = [random_pasts.policies(random.Random(seed)) for seed in range(20)]
    assert any(
        in_force.looks_back_to(start) < start - reach(in_force.policy)
        for policies in sets
        for region in policies.regions()
        for start, in_force in policies.spans(region)
    )
