"""The end of a feed, which is read once for all who follow it and whose messages are encoded once."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.runtime.feeds.commit_signal import CommitSignal
from services.runtime.rpc.shared_message import SharedMessage

KEPT_STEPS = 64
"""How many of the newest messages are kept for those who are not quite at the end."""

READER_SECONDS = 0.0001
"""What one more reader of a message costs this process. Nothing is told more often than that leaves half of the time
to others, so that a thousand readers do not hold up who writes."""
LONGEST_PAUSE = 0.1

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Step(Generic[P]):
    """Some changes, none for a sign of life: the positions before and after them, the message that tells them, and
    whether the feed was read to its end."""

    start: P
    end: P
    message: SharedMessage
    whole: bool


class Feed(Protocol[P]):
    """A feed whose positions are of type P."""

    @property
    def poll_seconds(self) -> float:
        """Returns how many seconds to wait before looking whether another process has committed."""

    @property
    def life_seconds(self) -> float:
        """Returns after how many seconds of silence a sign of life is given."""

    def number(self, position: P) -> int:
        """Returns the number that positions are ordered by."""

    async def read(self, after: P) -> Step[P]:
        """Returns the changes after a position, as many as one message holds. Raises ServiceError, FAILED_PRECONDITION
        for a position that is not of this feed."""

    async def read_up_to(self, after: P, last: P) -> Step[P]:
        """Returns the same, but none beyond a later position, and never says that it is whole. Raises ServiceError."""


class _Run(Generic[P]):
    """The steps that one reading of the end has taken, from when somebody follows until nobody does."""

    def __init__(self, end: P) -> None:
        self.end = end
        self.readers = 0
        self.failure: Exception | None = None
        self.count = 0
        """How many steps were taken; the newest are kept."""
        self._kept: deque[Step[P]] = deque(maxlen=KEPT_STEPS)
        self._news = asyncio.Event()

    def add(self, step: Step[P]) -> None:
        """Adds a step and wakes the readers."""
        self._kept.append(step)
        self.count += 1
        self.end = step.end
        self._wake()

    def fail(self, failure: Exception) -> None:
        """Ends the run for all its readers."""
        self.failure = failure
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def step(self, seen: int) -> Step[P] | None:
        """Returns the step after the first `seen`, when there is one; None when it is no longer kept. Raises what the
        run failed with."""
        while self.count <= seen:
            if self.failure is not None:
                raise self.failure
            await self._news.wait()
        place = seen - (self.count - len(self._kept))
        return self._kept[place] if place >= 0 else None


class Tail(Generic[P]):
    """Follows the end of a feed for any number of readers, while there are any.

    A reader who is behind reads by itself until it has come to the end; from then on it is told what all are told. One
    who falls behind by more than is kept reads by itself again: nothing is lost, doubled or heaped up for it.
    """

    def __init__(self, feed: Feed[P], signal: CommitSignal) -> None:
        self._feed = feed
        self._signal = signal
        self._run: _Run[P] | None = None
        self._reading: asyncio.Task[None] | None = None

    async def watch(self, position: P) -> AsyncGenerator[SharedMessage, None]:
        """Yields messages without end: one at once, then changes as they come, and a sign of life where there are none.
        Raises what the feed's reading raises."""
        while True:
            step = await self._feed.read(position)
            yield step.message
            moved = self._feed.number(step.end) != self._feed.number(position)
            position = step.end
            if step.whole:
                break
            if not moved:
                # Something is missing that is still to appear.
                await asyncio.sleep(self._feed.poll_seconds)
        async with self._joined(position) as run:
            seen = run.count
            while True:
                shared = await run.step(seen)
                seen += 1
                if shared is not None and self._at(position, shared.start):
                    yield shared.message
                    position = shared.end
                elif shared is None or self._feed.number(position) < self._feed.number(shared.end):
                    # It has fallen behind what is kept, or joined between two steps.
                    while self._feed.number(position) < self._feed.number(run.end):
                        own = await self._feed.read_up_to(position, run.end)
                        if self._at(position, own.end):
                            raise RuntimeError("a feed that was read to a position can no longer be read up to it")
                        position = own.end
                        yield own.message
                    seen = run.count

    def _at(self, position: P, start: P) -> bool:
        return self._feed.number(position) == self._feed.number(start)

    @asynccontextmanager
    async def _joined(self, position: P) -> AsyncIterator[_Run[P]]:
        run = self._run
        if run is None or run.failure is not None:
            run = self._run = _Run(position)
            # In a context of its own: it is nobody's call.
            self._reading = asyncio.get_running_loop().create_task(self._read_on(run), context=Context())
        run.readers += 1
        try:
            yield run
        finally:
            run.readers -= 1
            if not run.readers and run is self._run and self._reading is not None:
                self._reading.cancel()
                self._run = self._reading = None

    async def _read_on(self, run: _Run[P]) -> None:
        feed = self._feed
        told_at = time.monotonic()
        try:
            while True:
                next_commit = self._signal.next_commit()
                step = await feed.read(run.end)
                ahead = not self._at(run.end, step.end)
                quiet = time.monotonic() - told_at
                if ahead or quiet >= feed.life_seconds:
                    run.add(step)
                    told_at, quiet = time.monotonic(), 0.0
                    await asyncio.sleep(min(LONGEST_PAUSE, run.readers * READER_SECONDS))
                if step.whole:
                    await _within(next_commit, min(feed.poll_seconds, feed.life_seconds - quiet + 0.001))
                elif not ahead:
                    await asyncio.sleep(feed.poll_seconds)
        except Exception as failure:  # noqa: BLE001  # whatever it is, it is the readers'
            run.fail(failure)


async def _within(event: asyncio.Event, seconds: float) -> None:
    # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
