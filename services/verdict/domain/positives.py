"""Step 1, what counts against a person, whatever the scope: open positives, and the retest a positive pool leaves owed.

A positive of a single tube outranks newer negatives until it is cleared, usually by two negatives of single tubes
sampled at least 24 hours apart. A positive pool does not make its members positive; each owes a single test.
INCONCLUSIVE neither helps nor harms: it clears nothing and settles no retest.
"""

from collections.abc import Sequence

from msgspec import Struct

from services.verdict.domain.model import Result, Test, Tube

NEGATIVE, POSITIVE, SINGLE = Result.NEGATIVE, Result.POSITIVE, Tube.SINGLE


class ClearanceRule(Struct, frozen=True):
    """So many negatives of these tubes, sampled after the positive, each at least `apart` microseconds after the last
    that counted."""

    negatives: int
    apart: int
    tubes: frozenset[int]


def any_positive(tests: Sequence[Test]) -> bool:
    """Whether there is a positive of any tube; without one the rest of this module has nothing to find."""
    return POSITIVE in [test.result for test in tests]


def clearing(positive: Test, tests: Sequence[Test], rule: ClearanceRule) -> tuple[Test, ...]:
    """The negatives that count towards clearing it, walking forward from the positive, oldest first."""
    counted: list[Test] = []
    for test in reversed(tests):
        if test.result != NEGATIVE or test.truth.tube not in rule.tubes or test.placed_at <= positive.placed_at:
            continue
        if not counted or test.placed_at - counted[-1].placed_at >= rule.apart:
            counted.append(test)
    return tuple(counted)


def open_positives(tests: Sequence[Test], rule: ClearanceRule) -> tuple[Test, ...]:
    """The positives of single tubes that are not cleared, newest first. `tests` are newest first."""
    return tuple(
        test
        for test in tests
        if test.result == POSITIVE and test.truth.tube == SINGLE and len(clearing(test, tests, rule)) < rule.negatives
    )


def retests_owed(tests: Sequence[Test]) -> tuple[Test, ...]:
    """The positive pools with no later-sampled result of a single tube, newest first."""
    return tuple(
        pool
        for pool in tests
        if pool.result == POSITIVE and pool.truth.tube != SINGLE and not any(_settles(test, pool) for test in tests)
    )


def _settles(test: Test, pool: Test) -> bool:
    return (
        test.truth.tube == SINGLE
        and (test.result == NEGATIVE or test.result == POSITIVE)
        and test.placed_at > pool.placed_at
    )
