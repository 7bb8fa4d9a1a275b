"""Step 1, what counts against a person, whatever the scope: open positives, and the retest a positive pool leaves owed.

A positive of a single tube outranks newer negatives until it is cleared, usually by two negatives of single tubes
sampled at least 24 hours apart. A positive pool does not make its members positive; each owes a single test.
INCONCLUSIVE neither helps nor harms: it clears nothing and settles no retest.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from msgspec import Struct

from services.verdict.domain.evidence.values import Result, Test, Tube

NEGATIVE, POSITIVE, SINGLE = Result.NEGATIVE, Result.POSITIVE, Tube.SINGLE


class ClearanceRule(Struct, frozen=True):
    """The rule that clears a positive: so many negatives of these tubes, sampled after it, each at least `apart` µs
    after the last that counted."""

    negatives: int
    apart: int
    tubes: frozenset[int]


def any_positive(tests: Sequence[Test]) -> bool:
    """Says whether there is a positive of any tube; without one the rest of this module has nothing to find."""
    return POSITIVE in [test.result for test in tests]


class Clearance:
    """The progress of positives towards clearance. The negatives are walked once, backwards, for all positives:
    from each the walk goes on alike, whichever positive it began at."""

    __slots__ = ("_counts", "_sampled")

    def __init__(self, tests: Sequence[Test], rule: ClearanceRule) -> None:
        """`tests` are newest first."""
        sampled = [
            test.taken_at for test in reversed(tests) if test.result == NEGATIVE and test.content.tube in rule.tubes
        ]
        # The negatives that count in a walk that begins at each of them, itself included; past the last, none.
        counts = [0] * (len(sampled) + 1)
        for position in range(len(sampled) - 1, -1, -1):
            onward = bisect_left(sampled, sampled[position] + rule.apart, position + 1)
            counts[position] = 1 + counts[onward]
        self._sampled = sampled
        self._counts = counts

    def towards(self, positive: Test) -> int:
        """Returns how many negatives count towards clearing it, walking forward from the positive."""
        return self._counts[bisect_right(self._sampled, positive.taken_at)]


def open_positives(tests: Sequence[Test], rule: ClearanceRule) -> tuple[tuple[Test, int], ...]:
    """Returns the positives of single tubes that are not cleared, newest first, each with how many negatives count
    towards its clearance. `tests` are newest first."""
    clearance = Clearance(tests, rule)
    return tuple(
        (test, have)
        for test in tests
        if test.result == POSITIVE
        and test.content.tube == SINGLE
        and (have := clearance.towards(test)) < rule.negatives
    )


def retests_owed(tests: Sequence[Test]) -> tuple[Test, ...]:
    """Returns the positive pools with no later-sampled result of a single tube, newest first. `tests` are newest
    first."""
    settled = next((test.taken_at for test in tests if _settles(test)), None)
    return tuple(
        pool
        for pool in tests
        if pool.result == POSITIVE and pool.content.tube != SINGLE and (settled is None or settled <= pool.taken_at)
    )


def _settles(test: Test) -> bool:
    return test.content.tube == SINGLE and (test.result == NEGATIVE or test.result == POSITIVE)
