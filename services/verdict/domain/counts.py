"""Counts, such as "three days, two tests" (三天两检).

A count holds while its tests, each sampled at least `apart` after the one before, are all inside the window. It ends
when the first of them leaves the window; of all the ways to choose the tests, the one that lasts longest decides.
"""

from bisect import bisect_left
from collections.abc import Sequence

from services.common.instants import Instant
from services.verdict.domain.model import Test

InWindow = tuple[Instant, Test]
"""A test inside the window, with the end of its window."""


def lasting(in_window: Sequence[InWindow], needed: int, apart: int) -> tuple[Instant, tuple[Test, ...]] | None:
    """The longest-lasting choice of `needed` tests, each at least `apart` microseconds after the one before by sampling
    time, newest first, and when it ends; None when there is no such choice."""
    if len(in_window) < needed:
        return None
    by_end = sorted(in_window, key=_latest_end_first)

    def chain(size: int) -> tuple[Test, ...]:
        return spaced([test for _, test in by_end[:size]], apart)

    # One test more never makes the longest chain shorter, so the fewest that will do are found by halving.
    sizes = range(needed, len(by_end) + 1)
    position = bisect_left(sizes, True, key=lambda size: len(chain(size)) >= needed)
    if position == len(sizes):
        return None
    # The newest of a chain of spaced tests are themselves a chain; none of them ends before the last one added.
    size = sizes[position]
    return by_end[size - 1][0], chain(size)[:needed]


def spaced(tests: Sequence[Test], apart: int) -> tuple[Test, ...]:
    """As many of the tests as can be taken with each at least `apart` after the one before, newest first. Taking the
    newest at every step never leaves fewer for the rest."""
    taken: list[Test] = []
    for test in sorted(tests, key=_newest_first):
        if not taken or taken[-1].placed_at - test.placed_at >= apart:
            taken.append(test)
    return tuple(taken)


def _latest_end_first(item: InWindow) -> tuple[int, int, tuple[str, str]]:
    end, test = item
    return (-end, -test.placed_at, test.identity)


def _newest_first(test: Test) -> tuple[int, tuple[str, str]]:
    return (-test.placed_at, test.identity)
