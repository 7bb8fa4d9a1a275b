"""What both stores do when they read records by their place in time."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

PlacedRecord = Sequence[bytes]
"""One record: those of its revisions that were known, serialised, oldest first."""

_identity = itemgetter(0, 1, 2, 3)


def records_of(rows: Iterable[Sequence[object]]) -> Iterator[tuple[tuple[object, ...], list[bytes]]]:
    """Records put together of rows (placed_at, person_key, region, source_id, last revision, body), which stand in
    order of record and revision; each with the first five, by which the next page is found."""
    for _, group in groupby(rows, key=_identity):
        held = list(group)
        bodies: list[bytes] = [row[5] for row in held]  # type: ignore[misc]  # as the docstring says
        yield tuple(held[0][:5]), bodies
