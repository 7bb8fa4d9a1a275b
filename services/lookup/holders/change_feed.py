"""The feed of holders' changes."""

from collections.abc import Sequence
from typing import NamedTuple

from services.common.errors import FailedPrecondition
from services.common.instants import Instant
from services.lookup.domain.holders import HolderEvent
from services.lookup.store.protocol import HolderStore
from services.runtime.clock import Clock, system_clock

MOST_EVENTS = 500

FROM_NOW_ON = -1
"""The position of a reader that has no use for the past."""


class FeedBatch(NamedTuple):
    """Events in order, the position after them, and up to when all was told; None while more may follow at once."""

    events: Sequence[HolderEvent]
    position: int
    as_of: Instant | None


class HolderFeed:
    """Reads the log of a store in order."""

    def __init__(self, store: HolderStore, clock: Clock = system_clock) -> None:
        self._store = store
        self._clock = clock

    async def read(self, sequence: int) -> FeedBatch:
        """Returns the events after a sequence (-1: none, and the position of now).

        Raises FailedPrecondition (FEED_REBUILT) for a position beyond the log's end, Unavailable (STORE_UNAVAILABLE).
        """
        # Taken first: what was committed by then is in the log that is read afterwards.
        as_of = self._clock()
        if sequence == FROM_NOW_ON:
            return FeedBatch((), await self._store.last(), as_of)
        events = await self._store.changes(sequence, MOST_EVENTS)
        if not events and sequence > await self._store.last():
            raise FailedPrecondition(
                "FEED_REBUILT",
                "位置超出变更日志的末尾，请从头读取",
                "The position lies beyond the end of the log; read again from the start",
            )
        position = events[-1].sequence if events else sequence
        return FeedBatch(events, position, as_of if len(events) < MOST_EVENTS else None)

    async def read_up_to(self, sequence: int, last: int) -> FeedBatch:
        """Returns the same, but no event beyond `last`; up to when all was told is not said."""
        events = [event for event in await self._store.changes(sequence, MOST_EVENTS) if event.sequence <= last]
        return FeedBatch(events, events[-1].sequence if events else sequence, None)
