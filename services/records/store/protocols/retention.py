"""The end of a record's time in a store."""

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
