"""Up to when a store has everything: for who asks now, and for who asks how it was.

While a region is followed without delay, it is enough to know that; only when it falls behind, or comes back, is that
noted, durably. So "up to when did the nation have everything, at nine last Tuesday?" always has the same answer.
"""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Protocol

from services.common.errors import ServiceError
from services.common.instants import SECOND, Instant
from services.records.store.protocol import Lag, RecordStore
from services.runtime.clock import Clock

log = logging.getLogger("hutong.records.horizon")

BEHIND = 5 * SECOND
"""A region not heard of for longer has fallen behind, in microseconds; a healthy one is heard of every second."""

ALLOWANCE = 10 * SECOND
"""For who asks about an instant, a region followed without delay was known up to this long before, in microseconds:
`BEHIND`, and the time in which falling behind is noticed and noted."""

LOOK_SECONDS = 0.5


class Followed(Protocol):
    """A region that is followed, and the instant up to which it is known."""

    region: str
    as_of: Instant


class Horizon:
    """The horizon of one store; `run` keeps the notes."""

    def __init__(self, followers: Sequence[Followed], store: RecordStore, clock: Clock) -> None:
        self._followers = followers
        self._store = store
        self._clock = clock
        self._noted: dict[str, list[tuple[Instant, Instant | None]]] = {}
        self._unsaved: list[Lag] = []
        self._loading = asyncio.Lock()
        self._loaded = not followers

    def as_of(self) -> Instant:
        """The instant up to which nothing is missing now; take it before reading what it is said of."""
        return min((follower.as_of for follower in self._followers), default=self._clock())

    async def at(self, instant: Instant) -> Instant:
        """The instant up to which, as known at `instant`, nothing was missing. Raises Unavailable."""
        if not self._loaded:
            await self._load()
        known = [instant]
        for follower in self._followers:
            noted = self._noted.get(follower.region, ())
            place = bisect_right(noted, instant, key=lambda note: note[0])
            behind = noted[place - 1][1] if place else Instant(0)
            known.append(Instant(instant - ALLOWANCE) if behind is None else behind)
        return max(Instant(0), min(known))

    async def run(self) -> None:
        """Notes without end which region fell behind, and which came back."""
        while self._followers:
            try:
                if not self._loaded:
                    await self._load()
                self._look()
                while self._unsaved:
                    await self._store.note_lag(self._unsaved[0])
                    self._unsaved.pop(0)
            except ServiceError as error:
                log.warning("noting: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _load(self) -> None:
        async with self._loading:
            if self._loaded:
                return
            for lag in await self._store.lags():
                self._noted.setdefault(lag.region, []).append((lag.noted_at, lag.as_of))
            cursors = await self._store.cursors()
            # Whatever was so before this process began, it has heard of nobody yet.
            self._look({region: cursor.as_of for region, cursor in cursors.items() if not cursor.rereading})
            self._loaded = True

    def _look(self, known: Mapping[str, Instant] | None = None) -> None:
        now = self._clock()
        for follower in self._followers:
            as_of = follower.as_of if known is None else max(follower.as_of, known.get(follower.region, Instant(0)))
            said = None if now - as_of <= BEHIND else as_of
            noted = self._noted.setdefault(follower.region, [])
            if not noted or noted[-1][1] != said:
                # Told to those who ask before it is durable, so that nobody is told otherwise in between.
                noted.append((now, said))
                self._unsaved.append(Lag(follower.region, now, said))
