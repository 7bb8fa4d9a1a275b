"""The feed of holders' changes: woken by this process's commits, and by looking for those of others."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from services.common.errors import FailedPrecondition
from services.common.instants import Instant
from services.lookup.domain.holders import HolderEvent
from services.lookup.store.protocol import HolderStore
from services.runtime.clock import Clock, system_clock

MOST_EVENTS = 500
LOOK_SECONDS = 0.25
"""How soon a commit of another process is seen at the latest."""
SIGN_OF_LIFE_SECONDS = 0.5
"""Silence after which the next look is answered even if it finds nothing; so a sign comes well within a second."""


class FeedBatch(NamedTuple):
    """Events in order, the position after them, and up to when all was told; None while more is known to follow."""

    events: Sequence[HolderEvent]
    position: int
    as_of: Instant | None


class HolderFeed:
    """The log of a store, followed by any number of watchers."""

    def __init__(self, store: HolderStore, clock: Clock = system_clock) -> None:
        self._store = store
        self._clock = clock
        self._committed = asyncio.Event()

    def committed(self) -> None:
        """Something was committed in this process: wakes every watcher."""
        self._committed.set()
        self._committed = asyncio.Event()

    async def watch(self, sequence: int) -> AsyncIterator[FeedBatch]:
        """Batches of events after a sequence (-1: from now on) with the position after them; empty at first when there
        is nothing yet, and then as a sign of life. Never ends.

        Raises FailedPrecondition (FEED_REBUILT) for a position beyond the log's end, Unavailable (STORE_UNAVAILABLE).
        """
        last = await self._store.last()
        if sequence > last:
            raise FailedPrecondition(
                "FEED_REBUILT",
                "位置超出变更日志的末尾，请从头读取",
                "The position lies beyond the end of the log; read again from the start",
            )
        position = last if sequence < 0 else sequence
        spoken = float("-inf")
        while True:
            # Taken before reading: what is committed meanwhile sets it.
            committed = self._committed
            as_of = self._clock()
            events = await self._store.changes(position, MOST_EVENTS)
            if events:
                position = events[-1].sequence
            if events or time.monotonic() - spoken >= SIGN_OF_LIFE_SECONDS:
                spoken = time.monotonic()
                yield FeedBatch(events, position, as_of if len(events) < MOST_EVENTS else None)
            if len(events) < MOST_EVENTS:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await committed.wait()
                except TimeoutError:
                    pass
