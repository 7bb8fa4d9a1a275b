"""Telling apart what programs wrote that knew of no selections."""

from typing import Protocol


class Weighing(Protocol):
    """The revisions of which is not stored what a selection of records looks at; they are always given."""

    async def weigh(self, most: int) -> int:
        """Stores that of up to `most` of them, in one commit. Returns of how many: 0 when none is left."""
