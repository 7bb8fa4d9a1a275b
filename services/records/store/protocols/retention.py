"""Keeping a store in order: a purge, and the weighing of what programs wrote that knew of no selections."""

from typing import Protocol

from services.common.instants import Instant
from services.records.store.values.records import Purged


class RecordPurge(Protocol):
    """Deletes old records. Services do not purge, operators do."""

    async def purge(self, before: Instant, position: int, most: int) -> Purged:
        """Looks at `most` revisions from a position in the feed on (0 at first), and deletes the whole records of those
        whose newest revision was committed before an instant, in one transaction. Their numbers are kept as purged, and
        so is the instant, where it is the greatest so far: no state of the store lacks the one without the other."""

    async def close(self) -> None:
        """Lets go of the database."""


class Weighing(Protocol):
    """The revisions of which is not stored what a selection of records looks at; they are always given."""

    async def weigh(self, most: int) -> int:
        """Stores that of up to `most` of them, in one commit. Returns of how many: 0 when none is left."""
