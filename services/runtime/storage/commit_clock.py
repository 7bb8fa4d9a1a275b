"""The instants that commits bear, so that what was known at an instant stays what it was.

A commit gets its instant before it is durable, and can be read only after. Between the two, a reader who is told "now"
would later find, as known at that very instant, what he could not see. So a reader says at which instant he reads:
commits under way that bear an earlier one are waited for, and those that begin later bear a later one. This holds among
the writers and readers of one process. Over one PostgreSQL, what another replica is committing at that moment is not
waited for: there the bound is the time between a commit's stamp and its end, some milliseconds.
"""

import asyncio
from concurrent.futures import Future
from threading import Lock

from services.common.instants import SECOND, Instant
from services.runtime.clock import Clock

MOST_AHEAD = SECOND
"""How far ahead of this store's clock a reader may push the instants of later commits, in microseconds."""


class CommitClock:
    """Shared by the reads, on the event loop, and the writes, in whatever thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._floor = Instant(0)
        self._under_way: dict[int, tuple[Instant, Future[None]]] = {}
        self._next = 0

    def begin(self, clock: Clock) -> tuple[int, Instant]:
        """The instant of a commit that is about to be made, no earlier than this, and its token for `end`."""
        with self._lock:
            stamp = Instant(max(clock(), self._floor + 1))
            self._next += 1
            self._under_way[self._next] = (stamp, Future())
            return self._next, stamp

    def end(self, token: int) -> None:
        """The commit can be read, or never will be."""
        with self._lock:
            _, done = self._under_way.pop(token)
        done.set_result(None)

    async def settle(self, at: Instant, now: Instant) -> None:
        """Returns when all that bears `at` or an earlier instant can be read, and nothing more will bear one; beyond a
        second after `now`, the store's clock, it promises nothing."""
        with self._lock:
            self._floor = Instant(max(self._floor, min(at, now + MOST_AHEAD)))
            waiting = [done for stamp, done in self._under_way.values() if stamp <= at]
        for done in waiting:
            await asyncio.shield(asyncio.wrap_future(done))
