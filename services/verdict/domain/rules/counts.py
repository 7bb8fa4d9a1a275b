"""Counts, such as "three days, two tests" (三天两检).

A count holds while its tests, each sampled at least `apart` after the one before, are all inside the window. It ends
when the first of them leaves the window; of all the ways to choose the tests, the one that lasts longest decides.
"""

from bisect import bisect_left
from collections.abc import Sequence

from services.common.instants import Instant
from services.verdict.domain.evidence.values import Test

InWindow = tuple[Instant, Test]
"""A test inside the window, with the end of its window."""


def longest_lasting(in_window: Sequence[InWindow], needed: int, apart: int) -> tuple[Instant, tuple[Test, ...]] | None:
    """Returns the longest-lasting choice of `needed` tests, each at least `apart` microseconds after the one before by
    sampling time, newest first, and when it ends; None when there is no such choice."""
    if len(in_window) < needed:
        return None
    by_end = sorted(in_window, key=_latest_end_first)

    def chain(size: int) -> tuple[Test, ...]:
        return apart_by([test for _, test in by_end[:size]], apart)

    # One test more never makes the longest chain shorter, so the fewest that will do are found by halving.
    sizes = range(needed, len(by_end) + 1)
    position = bisect_left(sizes, True, key=lambda size: len(chain(size)) >= needed)
    if position == len(sizes):
        return None
    # The newest of a chain of apart_by tests are themselves a chain; none of them ends before the last one added.
    size = sizes[position]
    return by_end[size - 1][0], chain(size)[:needed]


def apart_by(tests: Sequence[Test], apart: int) -> tuple[Test, ...]:
    """Returns as many of the tests as can be taken with each at least `apart` after the one before, newest first.
    Taking the newest at every step never leaves fewer for the rest."""
    chosen: list[Test] = []
    for test in sorted(tests, key=_newest_first):
        if not chosen or chosen[-1].taken_at - test.taken_at >= apart:
            chosen.append(test)
    return tuple(chosen)


def _latest_end_first(item: InWindow) -> tuple[int, int, tuple[str, str]]:
    end, test = item
    return (-end, -test.taken_at, test.identity)


def _newest_first(test: Test) -> tuple[int, tuple[str, str]]:
    return (-test.taken_at, test.identity)
