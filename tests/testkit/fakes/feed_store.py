"""A store of changes that become visible out of order."""

from collections.abc import Sequence

from services.records.store.values.feed import ChangeRow, Head


class FakeStore:
    """A store whose changes become visible out of order, as on a database of several machines."""

    poll_seconds = 0.01

    def __init__(self, visible: set[int], end: int) -> None:
        self.visible = visible
        self.end = end

    async def head(self) -> Head:
        """The end of the feed."""
        return Head("f", self.end, await self.mark(self.end))

    async def mark(self, sequence: int) -> bytes:
        """Names the commit of a number."""
        return b"m%d" % sequence

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """The changes that are visible."""
        return [ChangeRow(n, False, b"") for n in sorted(self.visible) if after < n <= after + most]
