"""Reading people's records: the one thing that a replica may do in place of the original."""

from collections.abc import Sequence
from typing import Protocol

from services.common.instants import Instant
from services.records.domain.selection import Selection
from services.records.store.values.records import People


class Settling(Protocol):
    """The instants at which a store commits."""

    async def settle(self, at: Instant, now: Instant) -> None:
        """Returns when no commit can any more be stamped at or before `at`; what is read then stays true of it."""


class RecordReads(Settling, Protocol):
    """People's records as known at an instant."""

    async def people(
        self,
        person_keys: Sequence[bytes],
        known_at: Instant,
        *,
        original: bool = False,
        selection: Selection | None = None,
    ) -> People:
        """Returns these people's records as they had arrived at an instant, all or a selection of them.

        `original`: never from a replica.
        """
