"""Reading one record's past."""

from collections.abc import Sequence
from typing import Protocol

from services.records.domain.revisions import RecordId


class RecordHistories(Protocol):
    """The revisions of single records."""

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """Returns a record's revisions, serialised, oldest first, of the person whose it is; none when there is no
        such record."""

    async def former(self, record_id: RecordId) -> Sequence[bytes]:
        """Returns the last revision, serialised, of each person who had this id before; nearly always of nobody."""
