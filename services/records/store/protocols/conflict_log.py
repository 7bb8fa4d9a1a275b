"""Conflicts that wait for somebody to settle them."""

from collections.abc import Sequence
from typing import Protocol

from services.records.domain.conflicts import StoredConflict


class ConflictLog(Protocol):
    """The conflicts that were kept."""

    async def conflicts(self, after: int, most: int, settled_too: bool) -> Sequence[StoredConflict]:
        """Returns conflicts numbered above `after`, in order."""
