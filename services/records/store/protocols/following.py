"""The memory of a store about those that it follows."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.records.domain.replication import Cursor
from services.records.store.values.feed import Lag


class Cursors(Protocol):
    """The places of this store in the feeds that it follows."""

    async def cursors(self) -> Mapping[str, Cursor]:
        """Returns the cursors, by region."""


class LagLog(Protocol):
    """The notes of how far followed regions were known, for those who ask later."""

    async def note_lag(self, lag: Lag) -> None:
        """Notes how far a followed region was known."""

    async def lags(self) -> Sequence[Lag]:
        """Returns all that was noted, in order of time."""
