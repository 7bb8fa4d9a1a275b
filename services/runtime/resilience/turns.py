"""Heavy work goes in slices: callers take turns, and light work has at least half of the time."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from services.common.errors import Code, ServiceError, Text

LONGEST_PAUSE = 1.0
"""Seconds. A slice that took longer waited for something rather than worked."""
MOST_WAITING = 100
"""How many slices of one caller wait at the most: each belongs to a batch of its own."""


class Turns:
    """Admits slices of heavy work, `at_once` of them at a time.

    A caller that has many slices waits behind itself: callers give one each in turn. A slice in whose time there was
    light work is followed by a pause as long as it took, so that light work keeps half of its rate whatever is asked.
    """

    def __init__(self, at_once: int = 1, most_waiting: int = MOST_WAITING) -> None:
        self._free = at_once
        self._most_waiting = most_waiting
        # In the order of turns.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._light = 0
        self._light_seen = False

    @contextmanager
    def light(self) -> Iterator[None]:
        """Counts light work meanwhile. It never waits."""
        self._light += 1
        self._light_seen = True
        try:
            yield
        finally:
            self._light -= 1

    @asynccontextmanager
    async def heavy(self, caller: str) -> AsyncIterator[None]:
        """Waits for the caller's turn and holds it meanwhile. Raises ServiceError (RESOURCE_EXHAUSTED,
        TOO_MANY_WAITING) when too many slices of the caller wait already."""
        await self._begin(caller)
        started = time.monotonic()
        self._light_seen = self._light > 0
        try:
            yield
        finally:
            loop = asyncio.get_running_loop()
            if self._light_seen:
                loop.call_later(min(time.monotonic() - started, LONGEST_PAUSE), self._next)
            else:
                # Not at once: a slice that waits for nothing, as within one process, still lets others come in between.
                loop.call_soon(self._next)

    async def _begin(self, caller: str) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        queue = self._waiting.setdefault(caller, deque())
        if len(queue) >= self._most_waiting:
            raise ServiceError(
                Code.RESOURCE_EXHAUSTED,
                "TOO_MANY_WAITING",
                Text("等待应答的问题过多，请稍后再试", "Too many questions of this caller wait; try again later"),
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was given the turn in the moment in which it left.
                self._next()
            else:
                self._leave(caller, turn)
            raise

    def _leave(self, caller: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(caller)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[caller]

    def _next(self) -> None:
        """Gives what has come free to whose turn it is."""
        while self._waiting:
            caller = next(iter(self._waiting))
            queue = self._waiting.pop(caller)
            turn = queue.popleft()
            if queue:
                self._waiting[caller] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
