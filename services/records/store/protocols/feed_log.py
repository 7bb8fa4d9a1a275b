"""The change feed as it is stored."""

from collections.abc import Sequence
from typing import Protocol

from services.records.store.values.feed import ChangeRow, Head


class FeedLog(Protocol):
    """Numbered changes, in order and without gaps."""

    @property
    def poll_seconds(self) -> float:
        """Returns how many seconds to wait before looking whether another process has committed."""

    async def head(self) -> Head:
        """Returns the end of the feed."""

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """Returns the changes numbered above `after` and up to `after + most`, in order, purged ranges whole, of one
        snapshot."""

    async def mark(self, sequence: int) -> bytes:
        """Returns the mark of the commit that used a number; empty for 0, and for commits older than marks."""
