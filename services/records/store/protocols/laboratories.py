"""Reading laboratories."""

from collections.abc import Sequence
from typing import Protocol

from services.records.store.values.records import LaboratoryRow


class LaboratoryLog(Protocol):
    """The revisions of all laboratories."""

    async def laboratories(self, after: int) -> Sequence[LaboratoryRow]:
        """Returns the revisions of laboratories numbered above `after`, in order."""
