"""Reads from a replica where that is as good as reading the original, and honest about it where it is not.

A replica lags. What it gives is used when it has everything that the original's feed had when this process last looked,
which is at most a second ago, or has itself seen since: then it is true as of that look. So nobody who was told of a
change by this process is given what was before it. When the replica is behind, the original is read; when the original
cannot be reached, what the replica has, as of its own last commit, or of the last look when it has all of that.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Protocol, TypeVar

from services.common.errors import Unavailable
from services.common.instants import SECOND, Instant
from services.records.domain.selection import Selection
from services.records.store.errors import unavailable
from services.records.store.protocols.feed_log import FeedLog
from services.records.store.protocols.reads import RecordReads
from services.records.store.seen_feed import SeenFeed
from services.records.store.values.records import People
from services.runtime.clock import Clock

T = TypeVar("T")

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 1.0
"""How long the original may take to answer; a wire that is down says nothing. Where it did not answer, it is not asked
again for LOOK_SECONDS, so that one reader waits, and not each in turn."""
REPLICA_PATIENCE_SECONDS = 0.4
"""How long the replica may take. Lookup gives a source a second in all, in which the original has to answer as well."""


class Original(RecordReads, FeedLog, Protocol):
    """The store that a replica copies."""

    @property
    def seen(self) -> SeenFeed:
        """Returns how far this process has seen its feed come."""


class ReplicaReads:
    """RecordReads of a replica, beside its original."""

    def __init__(self, original: Original, replica: RecordReads, clock: Clock) -> None:
        self._original = original
        self._replica = replica
        self._clock = clock
        self._looked = Instant(0)
        self._looked_commits = 0
        self._settled = Instant(0)
        self._missed = Instant(0)
        self._missed_commits = 0
        self._away = False
        self._tried = Instant(0)
        self._trying: asyncio.Task[People] | None = None
        self._asking: set[asyncio.Task[object]] = set()
        self._looking = asyncio.Lock()

    async def people(
        self,
        person_keys: Sequence[bytes],
        known_at: Instant,
        *,
        original: bool = False,
        selection: Selection | None = None,
    ) -> People:
        """Returns what RecordReads.people does."""
        if original:
            return await self._original.people(person_keys, known_at, selection=selection)
        seen = self._original.seen
        try:
            sequence, looked = await self._look()
        except Unavailable:
            people = await self._replica.people(person_keys, known_at, selection=selection)
            if people.as_of is None or people.sequence < seen.sequence:
                return people
            return people._replace(as_of=max(people.as_of, self._looked))
        replicated = await self._of_replica(person_keys, known_at, selection)
        if replicated is not None and replicated.sequence >= max(sequence, seen.sequence):
            return replicated._replace(as_of=looked)
        try:
            return await self._original.people(person_keys, known_at, selection=selection)
        except Unavailable:
            if replicated is None:
                raise
            return replicated

    async def settle(self, at: Instant, now: Instant) -> None:
        """Returns when RecordReads.settle does. Whoever says at which instant he reads gets what the original had by
        then: one look more."""
        await self._original.settle(at, now)
        self._settled = self._clock()

    async def _of_replica(
        self, person_keys: Sequence[bytes], known_at: Instant, selection: Selection | None
    ) -> People | None:
        """Returns what the replica gives in time; None while it does not. Once it has not, no reader waits for it until
        it has given a sign of life."""
        if self._away:
            self._try()
            return None
        asking = self._replica.people(person_keys, known_at, selection=selection)
        try:
            return await self._in_time(asking, REPLICA_PATIENCE_SECONDS)
        except Unavailable:
            self._away, self._tried = True, self._clock()
            return None

    def _try(self) -> None:
        """Asks the replica for a sign of life, at most once in LOOK_SECONDS; nobody waits for it."""
        if self._trying is None and not self._lately(self._tried):
            self._tried = self._clock()
            self._trying = asyncio.create_task(self._replica.people((), Instant(0)))
            self._trying.add_done_callback(self._tried_once)

    def _tried_once(self, task: asyncio.Task[People]) -> None:
        self._trying = None
        self._away = task.cancelled() or task.exception() is not None

    async def _look(self) -> tuple[int, Instant]:
        """Returns how far the original's feed has come, and the instant as of which that is true. Raises Unavailable.

        Whoever wrote reads what was written: a commit of this process asks for another look.
        """
        seen = self._original.seen
        async with self._looking:
            now, commits = self._clock(), seen.commits
            fresh = self._lately(self._looked) and self._looked > self._settled and commits == self._looked_commits
            if not fresh:
                if self._lately(self._missed) and commits == self._missed_commits:
                    raise unavailable()
                try:
                    await self._in_time(self._original.head(), PATIENCE_SECONDS)
                except Unavailable:
                    self._missed, self._missed_commits = self._clock(), commits
                    raise
                self._looked, self._looked_commits = now, commits
            return seen.sequence, self._looked

    async def _in_time(self, asking: Coroutine[None, None, T], seconds: float) -> T:
        """Returns what is asked, unless it takes too long: then it ends by itself, for who gives up a query on a wire
        that is down waits for that as well. Raises Unavailable."""
        task = asyncio.create_task(asking)
        self._asking.add(task)
        task.add_done_callback(self._asked)
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise unavailable()
        return task.result()

    def _asked(self, task: "asyncio.Task[T]") -> None:
        self._asking.discard(task)
        if not task.cancelled():
            # Heard, also where nobody waits for it any more.
            task.exception()

    def _lately(self, at: Instant) -> bool:
        return self._clock() - at <= LOOK_SECONDS * SECOND
