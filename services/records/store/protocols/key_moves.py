"""Moving person keys to another version of the mesh's secret."""

from collections.abc import Sequence
from typing import Protocol

from services.records.domain.revisions import RecordId
from services.runtime.storage.key_moves import KeyMoves


class RecordKeyMoves(KeyMoves, Protocol):
    """A store of records whose keys can be moved."""

    async def holders(self, ids: Sequence[RecordId]) -> Sequence[bytes]:
        """Returns the keys, as they stand there, of those whose these records are; one without a holder has none."""
