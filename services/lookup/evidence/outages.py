"""Notes of the sources that could not be asked, so that a question asked again as known then finds the same silent.

Each batch of live questions gets an instant of its own, and with it which sources are down at that instant; whatever is
noted later bears a later one. A source that is found down, or back, is noted once. One that did not answer a single
batch, without being down, is noted for that batch's instant alone. An answer waits until what it rests on is durable.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Protocol

from services.common.errors import ServiceError
from services.common.instants import Instant
from services.lookup.domain.outages import ALL_SOURCES, RENEWAL, OutageNote, SourceState, down_at
from services.runtime.clock import Clock

log = logging.getLogger("hutong.lookup.outages")

CLOSING_SECONDS = 1.0
"""How long what is not durable yet may take when the process ends."""


class OutageLog(Protocol):
    """Keeps the notes: see HolderStore."""

    async def note(self, notes: Sequence[OutageNote]) -> None:
        """Appends notes. Raises Unavailable."""

    async def notes_at(self, instants: Sequence[Instant]) -> Sequence[Sequence[OutageNote]]:
        """Returns what tells which sources were down, for each instant. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class BatchInstant:
    """An instant that no other batch has, and the sources that are down at it."""

    at: Instant
    down: Collection[str]


class Outages:
    """Knows which sources this process holds to be down, and what was noted of them. On one event loop."""

    def __init__(self, notes: OutageLog, replica: str, clock: Clock) -> None:
        """`replica` names this process among those that share the notes, the same after a restart."""
        self._notes = notes
        self._replica = replica
        self._clock = clock
        self._latest = Instant(0)
        self._down: dict[str, Instant] = {}
        # What the process before this one left behind is over: this one holds nobody to be down.
        self._unsaved = [OutageNote(self._next(clock()), ALL_SOURCES, replica, SourceState.UP)]
        self._saving: asyncio.Task[None] | None = None

    def next_instant(self, least: Instant) -> BatchInstant:
        """Returns the instant of a batch, no earlier than `least`, nor than anything noted."""
        at = self._next(least)
        for source, noted_at in self._down.items():
            if at >= noted_at + RENEWAL:
                self._note(source, SourceState.DOWN, at)
        return BatchInstant(at, tuple(self._down))

    def went_down(self, source: str) -> None:
        """Notes that from now on nobody waits for the source."""
        self._note(source, SourceState.DOWN, self._next(self._clock()))

    def came_back(self, source: str) -> None:
        """Notes that the source is asked again from now on."""
        self._note(source, SourceState.UP, self._next(self._clock()))

    def missed(self, instant: BatchInstant, sources: Collection[str]) -> None:
        """Notes that these sources, not down at the batch's instant, did not answer it."""
        self._unsaved += [OutageNote(instant.at, source, self._replica, SourceState.MISSED) for source in sources]

    async def down_at(self, instants: Sequence[Instant]) -> Sequence[Collection[str]]:
        """Returns, for each instant, the sources noted as down at it, or as having missed the questions of it, by this
        process or another over the same store. Nothing noted later bears such an instant or an earlier one. Raises
        Unavailable."""
        self._latest = max(self._latest, min(max(instants), self._clock()))
        notes = await self._notes.notes_at(instants)
        return [down_at(of_instant, instant) for of_instant, instant in zip(notes, instants, strict=True)]

    async def saved(self, deadline: float) -> None:
        """Returns when all that was noted is durable. Should the store fail, or an instant of the monotonic clock be
        passed, it returns all the same: an answer now is worth more than the same answer later."""
        if not self._unsaved:
            return
        if self._saving is None:
            # In a context of its own: the notes are of everybody's calls, and must outlive this one.
            self._saving = asyncio.get_running_loop().create_task(self._save(), context=Context())
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await asyncio.shield(self._saving)
        except TimeoutError:
            log.warning("an answer was given before it was noted which sources it lacks")

    async def close(self) -> None:
        """Writes what is left."""
        await self.saved(time.monotonic() + CLOSING_SECONDS)
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)

    def _next(self, least: Instant) -> Instant:
        self._latest = Instant(max(least, self._latest + 1))
        return self._latest

    def _note(self, source: str, state: SourceState, at: Instant) -> None:
        if state == SourceState.DOWN:
            self._down[source] = at
        else:
            self._down.pop(source, None)
        self._unsaved.append(OutageNote(at, source, self._replica, state))

    async def _save(self) -> None:
        try:
            while self._unsaved:
                saving = list(self._unsaved)
                await self._notes.note(saving)
                del self._unsaved[: len(saving)]
        except ServiceError as error:
            # Tried again by the next question.
            log.warning("noting outages: %s", error)
        finally:
            self._saving = None
