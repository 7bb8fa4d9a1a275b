"""Copies that wait to be compared with their originals."""

from collections.abc import Sequence
from typing import Protocol

from services.records.store.values.feed import DueCopy


class CopyQueue(Protocol):
    """The copies that are due, in the store that drives them."""

    async def due_copies(self, regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        """Returns copies kept in these regions that are to be compared with their originals, oldest change first."""

    async def copies_done(self, done: Sequence[DueCopy]) -> None:
        """Forgets copies that were compared; what became due again meanwhile stays due."""
