"""What a store that follows others remembers of them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.records.domain.replication import Cursor
from services.records.store.values.feed import Lag


class Cursors(Protocol):
    """Where this store stands in the feeds that it follows."""

    async def cursors(self) -> Mapping[str, Cursor]:
        """Returns the cursors, by region."""


class LagLog(Protocol):
    """How far followed regions were known, for those who ask later."""

    async def note_lag(self, lag: Lag) -> None:
        """Notes how far a followed region was known."""

    async def lags(self) -> Sequence[Lag]:
        """Returns all that was noted, in order of time."""
