"""Counts the store's own feed, so that laboratories' figures are there when they are asked for."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from hutong.records.v1.record_pb2 import TestRecord

from services.common.errors import ServiceError
from services.common.instants import Instant
from services.records.domain.quality import Work, work
from services.records.domain.tally import RULES, Change, turned
from services.records.metrics import COUNTED
from services.records.replication.change_feed import unbroken
from services.records.store.protocols.feed_log import FeedLog
from services.records.store.protocols.figures import FigureReads, FigureStore
from services.records.store.protocols.reads import Settling
from services.records.store.values.figures import (
    CountedChanges,
    CountProgress,
    NumberedRevisions,
    PositiveDay,
    RecordKey,
)
from services.runtime.clock import Clock

log = logging.getLogger("hutong.records.figures")

AT_ONCE = 64
"""Changes counted before others have their turn: about a millisecond's worth."""

READ = 256
"""Changes read at once."""

MOST = 5_000
"""Changes counted in one transaction: the more, the fewer times a laboratory's day is written."""

REST = 10.0
"""Seconds without a question after which what has come meanwhile is counted all the same."""

SHARE, BUSY_SHARE = 0.5, 0.02
"""At most this share of the time goes into counting; the second while more than BUSY changes come in a second."""

BUSY = 2_000.0

PATIENCE = 2.0
"""Seconds for which a question waits until everything is counted that was there when it was asked."""

NEAR = 50_000
"""Where more than this is left to count of a store that was never counted to its end, a question does not wait."""

_TURN_SECONDS = 0.05


class Asked(NamedTuple):
    """When a question was asked, and where the feed ended then."""

    at: Instant
    sequence: int

    def as_of(self, progress: CountProgress) -> Instant:
        """Returns up to when everything is counted: the present, or less where counting is behind."""
        return max(self.at, progress.as_of) if progress.sequence >= self.sequence else progress.as_of


class CountedFeed(FeedLog, Settling, Protocol):
    """The feed that is counted."""


class FigureCounter:
    """Counts one store's feed; `run` in the background, and on behalf of whoever asks."""

    def __init__(self, name: str, store: CountedFeed, figures: FigureStore, clock: Clock) -> None:
        self._name = name
        self._store = store
        self.figures = figures
        self._clock = clock
        self._one = asyncio.Lock()

    async def run(self) -> None:
        """Counts without end; a store that cannot be asked is asked again."""
        rest, head, looked = 1.0, -1, time.monotonic()
        while True:
            await asyncio.sleep(rest)
            began = time.monotonic()
            try:
                progress = await self.step()
            except ServiceError as error:
                log.warning("counting figures: %s", error, extra={"store": self._name})
                rest = REST
                continue
            except Exception:
                # A task that ended would mean figures that silently stand still.
                log.exception("counting figures", extra={"store": self._name})
                rest = REST
                continue
            now = time.monotonic()
            COUNTED.labels(self._name).set(progress.sequence)
            busy = head < 0 or progress.head - head > BUSY * (now - looked)
            head, looked = progress.head, now
            behind = progress.sequence < progress.head
            rest = (now - began) * (1 / (BUSY_SHARE if busy else SHARE) - 1) if behind else REST

    async def caught_up(self) -> Asked | None:
        """Counts on, for PATIENCE at most, until all is counted that was committed when this was asked.

        Returns None where the counts were never complete, so that they can tell nothing. Raises Unavailable.
        """
        now = self._clock()
        await self._store.settle(now, now)
        asked = Asked(now, (await self._store.head()).sequence)
        until = time.monotonic() + PATIENCE
        here = -1
        while True:
            progress = await self.step()
            usable = progress.rules == RULES and progress.complete
            if usable and progress.sequence >= asked.sequence:
                return asked
            hopeless = not progress.complete and asked.sequence - progress.sequence > NEAR
            if hopeless or progress.rules > RULES or time.monotonic() > until:
                # Without a mark of what is counted nobody can say of when it is.
                return asked if usable and progress.as_of else None
            if progress.sequence == here:
                # Another process figures, or something before what is seen is still being committed.
                await asyncio.sleep(_TURN_SECONDS)
            here = progress.sequence

    async def step(self, most: int = MOST) -> CountProgress:
        """Counts at most so many changes, unless another process does; returns how far the feed is counted then."""
        async with self._one:
            async with self.figures.reading() as figures:
                progress = await figures.progress()
            if progress.rules > RULES:
                # Of a later release, which counts here as well.
                return progress
            if progress.rules == RULES and progress.complete and progress.sequence == progress.head:
                return progress
            async with self.figures.turn() as mine:
                if not mine:
                    return progress
                if progress.rules < RULES:
                    await self.figures.begin(RULES)
                async with self.figures.reading() as figures:
                    progress = await figures.progress()
                    counted = await self._count(figures, progress, most)
                advances = counted.sequence > progress.sequence or counted.complete > progress.complete
                if not (advances and await self.figures.count(counted)):
                    return progress
                return progress._replace(sequence=counted.sequence, complete=counted.complete)

    async def _count(self, figures: FigureReads, progress: CountProgress, most: int) -> CountedChanges:
        since = progress.sequence
        touched, here = await _touched(figures, since, most)
        further = [key for key, revisions in touched.items() if revisions[0].revision > 1]
        known = await figures.revisions(further, here) if further else {}
        change = Change()
        counting: set[PositiveDay] = set()
        positive: set[PositiveDay] = set()
        for number, (key, revisions) in enumerate(touched.items()):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            if key in known:
                before, after = _states(known[key], since)
            else:
                before, after = None, work(revisions)
            change.add(before, after)
            for state in (before, after):
                if state is not None and (state.says_positive or state.says_negative):
                    counting.add((state.person_key, state.day))
            if after is not None and after.says_positive:
                positive.add((after.person_key, after.day))
        await _count_pairs(figures, change, positive.union(await figures.positive_days(sorted(counting))), since, here)
        return await _written(figures, change, sorted(positive), progress, here)


async def _touched(figures: FigureReads, since: int, most: int) -> tuple[dict[RecordKey, list[TestRecord]], int]:
    """Returns the records that changed, each with its new revisions, and up to which number of the feed."""
    touched: dict[RecordKey, list[TestRecord]] = {}
    here = since
    while here - since < most:
        rows, end = unbroken(await figures.changes(here, min(READ, since + most - here)), here)
        if end == here:
            break
        here = end
        for number, row in enumerate(rows, 1):
            if not row.is_laboratory:
                record = TestRecord.FromString(row.body)
                key = record.person_key, record.region, record.source_id
                touched.setdefault(key, []).append(record)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
    return touched, here


def _states(revisions: NumberedRevisions, since: int) -> tuple[Work | None, Work | None]:
    """Returns a record as it was at a number of the feed, and as it is."""
    messages = [TestRecord.FromString(body) for _, body in revisions]
    earlier = [message for message, (sequence, _) in zip(messages, revisions, strict=True) if sequence <= since]
    return work(earlier) if earlier else None, work(messages)


async def _count_pairs(
    figures: FigureReads, change: Change, positive_days: Iterable[PositiveDay], since: int, here: int
) -> None:
    """Counts the contradictions again of everyone who has, or had, a positive result that day."""
    days: dict[bytes, set[int]] = {}
    for person_key, day in positive_days:
        days.setdefault(person_key, set()).add(day)
    people = sorted(days)
    for start in range(0, len(people), AT_ONCE):
        for person_key, records in (await figures.people(people[start : start + AT_ONCE], here)).items():
            states = [_states(revisions, since) for revisions in records]
            before = [state for state, _ in states if state is not None]
            after = [state for _, state in states if state is not None]
            for day in days[person_key]:
                change.add_person(day, before, after)
        await asyncio.sleep(0)


async def _written(
    figures: FigureReads, change: Change, positive: Sequence[PositiveDay], progress: CountProgress, here: int
) -> CountedChanges:
    keys = sorted(change.keys)
    held = await figures.tallies(keys)
    tallies = {key: change.tally(key, held.get(key, b"")) for key in keys}
    await asyncio.sleep(0)
    turnarounds = change.turnarounds()
    spans = await figures.spans(sorted(turnarounds))
    return CountedChanges(
        rules=RULES,
        since=progress.sequence,
        sequence=here,
        complete=progress.complete or here >= progress.head,
        purged=await figures.purged(progress.sequence, here),
        tallies=tallies,
        spans={key: turned(spans.get(key, b""), changed) for key, changed in turnarounds.items()},
        ended=sorted(change.ended),
        waiting=sorted(change.waiting),
        positive_days=positive,
    )
