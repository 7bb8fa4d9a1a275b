"""What ends a record's time in a store."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from services.common.instants import Instant


class Purged(NamedTuple):
    """One batch of a purge: how many records were deleted, and where in the feed to go on; None at its end."""

    records: int
    position: int | None


class RecordPurge(Protocol):
    """What ends a record's time in a store. Apart from RecordStore: services do not purge, operators do."""

    async def purge(self, before: Instant, position: int, most: int) -> Purged:
        """Looks at `most` revisions from a position in the feed on (0 at first), and deletes the whole records of those
        whose newest revision was committed before an instant, in one transaction. Their numbers are kept as purged, and
        so is the instant, where it is the greatest so far: no state of the store lacks the one without the other."""

    async def close(self) -> None:
        """Lets go of the database."""


def merged_ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Numbers as ranges, first and last, in order."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
