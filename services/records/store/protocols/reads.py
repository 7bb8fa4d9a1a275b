"""Reading people's records: the one thing that a replica may do in place of the original; and everybody in turn."""

from collections.abc import Sequence
from typing import Protocol

from services.common.instants import Instant
from services.records.domain.selection import Selection
from services.records.store.protocols.laboratories import LaboratoryLog
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


class PersonRoll(Protocol):
    """The people of whom a store keeps records, in the order of their keys."""

    async def person_keys(self, after: bytes, most: int) -> Sequence[bytes]:
        """Returns the next `most` keys above `after`, ascending; fewer at the end, all from b"" on."""


class WholeStore(RecordReads, LaboratoryLog, PersonRoll, Protocol):
    """All that is read of a store in order to go through everybody in it."""

    async def close(self) -> None:
        """Lets go of the store."""
