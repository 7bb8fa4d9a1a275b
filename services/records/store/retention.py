"""The numbers of what is purged, as both stores treat them."""

from collections.abc import Sequence


def merged_ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Returns numbers as ranges, first and last, in order."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
