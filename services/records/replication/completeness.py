"""Tells up to when a store has everything: now, and as it was at an instant.

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
from services.records.store.protocols.following import Cursors, LagLog
from services.records.store.values.feed import Lag
from services.runtime.clock import Clock

log = logging.getLogger("hutong.records.completeness")

BEHIND = 2 * SECOND
"""A region not heard of for longer is behind: whoever asks here is told to ask it as well. A live one is heard of each
second. With the time an entry of the gateway's cache counts without news it stays within the bound on what is out of
date (docs/decisions/0009)."""

ALLOWANCE = 3 * SECOND
"""For who asks about an instant, a region followed without delay was known up to this long before, in microseconds:
`BEHIND`, and the time in which falling behind is noticed where nobody asks."""

LOOK_SECONDS = 0.5


class Followed(Protocol):
    """A region that is followed, and the instant up to which it is known."""

    @property
    def region(self) -> str:
        """Its code."""

    @property
    def as_of(self) -> Instant:
        """The instant up to which everything of it is here; 0 while that is not known."""


class FollowingLog(LagLog, Cursors, Protocol):
    """The store that keeps the notes."""


class Completeness:
    """Knows up to when one store has everything; `run` notes which regions are behind."""

    def __init__(self, followers: Sequence[Followed], store: FollowingLog, clock: Clock) -> None:
        self._followers = followers
        self._store = store
        self._clock = clock
        self._noted: dict[str, list[tuple[Instant, Instant | None]]] = {}
        self._unsaved: list[Lag] = []
        self._latest = Instant(0)
        self._loading = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._loaded = False

    def as_of(self) -> Instant:
        """Returns the instant up to which nothing is missing now; take it before reading what it is said of."""
        return min((follower.as_of for follower in self._followers), default=self._clock())

    def behind(self) -> dict[str, Instant]:
        """Returns the regions not heard of for over BEHIND, ascending, and up to when each is known: what was committed
        there since may be missing. Take them before reading what they are said of."""
        heard = self._clock() - BEHIND
        behind = {follower.region: follower.as_of for follower in self._followers if follower.as_of < heard}
        return dict(sorted(behind.items()))

    async def look(self) -> Instant:
        """Notes now which regions are behind; returns the instant of the latest note. All are durable then, for this
        process may end before it is asked again. Raises Unavailable."""
        if self._followers:
            await self._load()
            self._look()
            if self._unsaved:
                await self._save()
        return self._latest

    async def at(self, instant: Instant) -> tuple[Instant, dict[str, Instant]]:
        """Returns what was noted as known at `instant`: up to when nothing was missing, and which regions were behind,
        ascending, each with up to when it was known. Raises Unavailable."""
        if not self._followers:
            return instant, {}
        await self._load()
        known = [instant]
        behind: dict[str, Instant] = {}
        for follower in self._followers:
            noted = self._noted.get(follower.region, ())
            place = bisect_right(noted, instant, key=lambda note: note[0])
            as_of = noted[place - 1][1] if place else Instant(0)
            if as_of is not None:
                behind[follower.region] = as_of
            known.append(Instant(instant - ALLOWANCE) if as_of is None else as_of)
        return max(Instant(0), min(known)), dict(sorted(behind.items()))

    async def run(self) -> None:
        """Notes without end which region falls behind, and which comes back."""
        while self._followers:
            try:
                await self.look()
            except ServiceError as error:
                log.warning("noting: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _save(self) -> None:
        async with self._saving:
            while self._unsaved:
                await self._store.note_lag(self._unsaved[0])
                self._unsaved.pop(0)

    async def _load(self) -> None:
        if self._loaded:
            return
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
            behind_since = None if now - as_of <= BEHIND else as_of
            noted = self._noted.setdefault(follower.region, [])
            # While it is behind the first note stands: it was known at least as far.
            if not noted or (noted[-1][1] is None) != (behind_since is None):
                # Told to those who ask before it is durable, so that nobody is told otherwise in between.
                noted.append((now, behind_since))
                self._latest = max(self._latest, now)
                self._unsaved.append(Lag(follower.region, now, behind_since))
