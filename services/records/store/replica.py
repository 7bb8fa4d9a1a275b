"""Reads from a replica where that is as good as reading the original, and honest about it where it is not.

A replica lags. What it gives is used when it has everything that the original's feed had when this process last looked,
which is at most a second ago, or has itself told of since: then it is true as of that look. So nobody who was told of a
change by this process is given what was before it. When the replica is behind, the original is read; when the original
cannot be reached, what the replica has, as of its own last commit, or of the last look when it has all of that.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from services.common.errors import Unavailable
from services.common.instants import SECOND, Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.replication import Cursor
from services.records.domain.revisions import RecordId
from services.records.store.by_time import PlacedRecord
from services.records.store.protocols.figures import CountStore
from services.records.store.protocols.records import (
    ChangeRow,
    DueCopy,
    Head,
    LaboratoryRow,
    Lag,
    People,
    RecordStore,
    unavailable,
)
from services.records.store.unit_of_work import Decide, Touch
from services.runtime.clock import Clock

T = TypeVar("T")

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 1.0
"""How long either may take to answer while there is the other; a wire that is down says nothing. Who did not answer is
not asked again for LOOK_SECONDS, so that one reader waits, and not each in turn."""


class ReplicatedStore:
    """A RecordStore whose people are read from a replica. Everything else goes to the original."""

    def __init__(self, original: RecordStore, replica: RecordStore, clock: Clock) -> None:
        self._original = original
        self._replica = replica
        self._clock = clock
        self._told = 0
        self._looked = Instant(0)
        self._needed = Instant(0)
        self._missed = Instant(0)
        self._lame = Instant(0)
        self._asking: set[asyncio.Task[Any]] = set()
        self._looking = asyncio.Lock()
        self.poll_seconds = original.poll_seconds

    async def people(self, person_keys: Sequence[bytes], known_at: Instant, *, original: bool = False) -> People:
        """See RecordStore."""
        if original:
            return await self._original.people(person_keys, known_at)
        try:
            told, looked = await self._look()
        except Unavailable:
            found = await self._replica.people(person_keys, known_at)
            if found.as_of is None or found.sequence < self._told:
                return found
            return found._replace(as_of=max(found.as_of, self._looked))
        level = await self._of_replica(person_keys, known_at)
        if level is not None and level.sequence >= max(told, self._told):
            return level._replace(as_of=looked)
        try:
            return await self._original.people(person_keys, known_at)
        except Unavailable:
            if level is None:
                raise
            return level

    async def _of_replica(self, person_keys: Sequence[bytes], known_at: Instant) -> People | None:
        """What the replica gives in time; None while it does not."""
        if self._lately(self._lame):
            return None
        try:
            return await self._in_time(self._replica.people(person_keys, known_at))
        except Unavailable:
            self._lame = self._clock()
            return None

    async def _look(self) -> tuple[int, Instant]:
        async with self._looking:
            now = self._clock()
            if not self._lately(self._looked) or self._looked <= self._needed:
                if self._lately(self._missed):
                    raise unavailable()
                try:
                    self._tell((await self._in_time(self._original.head())).sequence)
                except Unavailable:
                    self._missed = self._clock()
                    raise
                self._looked = now
            return self._told, self._looked

    async def _in_time(self, asking: Coroutine[None, None, T]) -> T:
        """What is asked, unless it takes too long: then it ends by itself, for who gives up a query on a wire that is
        down waits for that as well. Raises Unavailable."""
        task = asyncio.create_task(asking)
        self._asking.add(task)
        task.add_done_callback(self._asked)
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not task.done():
            raise unavailable()
        return task.result()

    def _asked(self, task: asyncio.Task[Any]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            # Heard, also where nobody waits for it any more.
            task.exception()

    def _lately(self, at: Instant) -> bool:
        return self._clock() - at <= LOOK_SECONDS * SECOND

    def _tell(self, sequence: int) -> None:
        self._told = max(self._told, sequence)

    async def head(self) -> Head:
        """See RecordStore."""
        found = await self._original.head()
        self._tell(found.sequence)
        return found

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See RecordStore."""
        found = await self._original.changes(after, most)
        if found:
            self._tell(found[-1].sequence)
        return found

    async def commit(self, touch: Touch, decide: Decide, clock: Clock) -> bytes:
        """See RecordStore."""
        answer = await self._original.commit(touch, decide, clock)
        # Whoever wrote reads what was written.
        self._needed = self._clock()
        self._missed = Instant(0)
        return answer

    async def settle(self, at: Instant, now: Instant) -> None:
        """See RecordStore. Whoever says at which instant he reads gets what the original had by then: one look more."""
        await self._original.settle(at, now)
        self._needed = self._clock()

    @property
    def counts(self) -> CountStore:
        """See RecordStore."""
        return self._original.counts

    @property
    def drives_copies(self) -> bool:
        """See RecordStore."""
        return self._original.drives_copies

    @drives_copies.setter
    def drives_copies(self, drives: bool) -> None:
        self._original.drives_copies = drives

    async def mark(self, sequence: int) -> bytes:
        """See RecordStore."""
        return await self._original.mark(sequence)

    async def due_copies(self, regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        """See RecordStore."""
        return await self._original.due_copies(regions, most)

    async def copies_done(self, done: Sequence[DueCopy]) -> None:
        """See RecordStore."""
        await self._original.copies_done(done)

    async def conflicts(self, after: int, most: int, settled_too: bool) -> Sequence[StoredConflict]:
        """See RecordStore."""
        return await self._original.conflicts(after, most, settled_too)

    async def note_lag(self, lag: Lag) -> None:
        """See RecordStore."""
        await self._original.note_lag(lag)

    async def lags(self) -> Sequence[Lag]:
        """See RecordStore."""
        return await self._original.lags()

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordStore."""
        return await self._original.history(record_id)

    async def former(self, record_id: RecordId) -> Sequence[bytes]:
        """See RecordStore."""
        return await self._original.former(record_id)

    async def laboratories(self, after: int) -> Sequence[LaboratoryRow]:
        """See RecordStore."""
        return await self._original.laboratories(after)

    def placed(self, first: Instant, end: Instant, known_at: Instant) -> AsyncGenerator[Sequence[PlacedRecord], None]:
        """See RecordStore."""
        return self._original.placed(first, end, known_at)

    async def cursors(self) -> Mapping[str, Cursor]:
        """See RecordStore."""
        return await self._original.cursors()

    async def batches(self, session: str) -> int:
        """See RecordStore."""
        return await self._original.batches(session)

    async def forget_answers(self, before: Instant) -> int:
        """See RecordStore."""
        return await self._original.forget_answers(before)

    async def ping(self) -> None:
        """See RecordStore."""
        await self._original.ping()

    async def close(self) -> None:
        """See RecordStore."""
        await self._replica.close()
        await self._original.close()
