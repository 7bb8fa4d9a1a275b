"""The reading of records by their place in time, as both stores do it."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from services.records.store.values.records import RevisionBodies


class Place(NamedTuple):
    """The place of a record in the order of time; the next page begins after it. `revision` is its last."""

    placed_at: int
    person_key: bytes
    region: str
    source_id: str
    revision: int


class PlacedRevision(NamedTuple):
    """One revision of a record, beside the place of that record."""

    place: Place
    body: bytes


def records_of(rows: Iterable[PlacedRevision]) -> Iterator[tuple[Place, RevisionBodies]]:
    """Yields records put together of their revisions, which stand in order of record and revision."""
    for place, revisions in groupby(rows, key=attrgetter("place")):
        yield place, [revision.body for revision in revisions]
