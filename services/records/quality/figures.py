"""Tells the laboratories' figures: of now from the reads, where there are any, and as known at an instant from the
records. Both follow the rules of domain/quality.py.
"""

import asyncio
import heapq
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol, TypeVar

from hutong.records.v1.record_pb2 import TestRecord

from services.common.instants import Instant, start_of_day
from services.records.domain.quality import Figures, Key, Sample, Summary, Work, overdue_before, together, work
from services.records.quality import live_figures
from services.records.quality.figure_counter import FigureCounter
from services.records.store.protocols.figures import RecordsByTime
from services.records.store.protocols.reads import RecordReads

KEPT = 8
"""Summaries kept for those who turn pages."""

AT_ONCE = 2
"""One for the metrics, one for whoever asks."""

PEOPLE_AT_ONCE = 500

G = TypeVar("G")


class Overdue(NamedTuple):
    """Overdue samples, oldest first, and up to when what had arrived was looked at."""

    samples: Sequence[Sample]
    as_of: Instant


class RecordSource(RecordReads, RecordsByTime, Protocol):
    """The store as it is asked where figures are not counted."""


class LaboratoryFigures:
    """Answers AT_ONCE questions at a time from the reads, and as many from the records: whoever asks much keeps others
    who ask the same way waiting, and nobody else."""

    def __init__(self, store: RecordSource, counter: FigureCounter) -> None:
        self._store = store
        self._counter = counter
        self._kept: dict[tuple[int, int, Instant, int], Summary] = {}
        self._asking = asyncio.Semaphore(AT_ONCE)
        self._asking_now = asyncio.Semaphore(AT_ONCE)

    async def summary(self, first: int, last: int, known_at: Instant, overdue_hours: int) -> Summary:
        """Returns all laboratories' figures for the calendar days from first to last, as known at an instant."""
        question = first, last, known_at, overdue_hours
        async with self._asking:
            summary = self._kept.get(question)
            if summary is None:
                summary = await self._compute(first, last, known_at, overdue_hours)
            self._keep(question, summary)
        return summary

    async def live(self, first: int, last: int, now: Instant, overdue_hours: int, laboratory: str = "") -> Summary:
        """Returns the same as known now or, where counting is behind, a little before: the summary says when. Of one
        laboratory, or of all."""
        asked = await self._counter.caught_up()
        if asked is None:
            return await self.summary(first, last, now, overdue_hours)
        async with self._asking_now, self._counter.figures.reading() as reads:
            known_at = asked.as_of(await reads.progress())
            summary = await live_figures.summary(reads, first, last, known_at, overdue_hours, laboratory)
        if not laboratory:
            self._keep((first, last, known_at, overdue_hours), summary)
        return summary

    async def grouped(
        self,
        first: int,
        last: int,
        now: Instant,
        overdue_hours: int,
        group: Callable[[Mapping[Key, Figures]], Mapping[G, Sequence[Key]]],
    ) -> dict[G, Figures]:
        """Returns the same, put together as `group` says."""
        asked = await self._counter.caught_up()
        if asked is None:
            figures = (await self.summary(first, last, now, overdue_hours)).figures
            return {name: together(figures[key] for key in keys) for name, keys in group(figures).items()}
        async with self._asking_now, self._counter.figures.reading() as reads:
            known_at = asked.as_of(await reads.progress())
            return await live_figures.grouped(reads, first, last, known_at, overdue_hours, group)

    async def overdue(
        self, first: int, last: int, known_at: Instant, hours: int, laboratory: str, after: Sample, most: int
    ) -> list[Sample]:
        """Returns the oldest samples, at most `most` of them, whose result is overdue, as known at an instant: of a
        laboratory, or of all; beyond `after`."""
        oldest: list[Sample] = []
        async with self._asking, aclosing(self._work(first, last, known_at)) as batches:
            async for batch in batches:
                overdue = (
                    done.sample
                    for done in batch
                    if done.overdue(known_at, hours) and laboratory in ("", done.laboratory)
                )
                oldest = heapq.nsmallest(most, [*oldest, *(sample for sample in overdue if sample[:3] > after[:3])])
        return oldest

    async def overdue_now(
        self, first: int, last: int, known_at: Instant, hours: int, laboratory: str, after: Sample, most: int
    ) -> Overdue:
        """Returns those that had waited for so long at `known_at`, and wait now."""
        asked = await self._counter.caught_up()
        if asked is None:
            return Overdue(await self.overdue(first, last, known_at, hours, laboratory, after, most), known_at)
        before = overdue_before(known_at, hours)
        async with self._counter.figures.reading() as reads:
            progress = await reads.progress()
            behind = progress.sequence < asked.sequence
            waiting: list[Sample] = []
            while len(waiting) < most:
                page = await live_figures.overdue(reads, first, last, before, laboratory, after, most)
                waiting += await live_figures.still_waiting(reads, page) if behind else page
                if len(page) < most:
                    break
                after = page[-1]
        return Overdue(waiting[:most], asked.as_of(progress))

    def _keep(self, question: tuple[int, int, Instant, int], summary: Summary) -> None:
        self._kept.pop(question, None)
        self._kept[question] = summary
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    async def _compute(self, first: int, last: int, known_at: Instant, overdue_hours: int) -> Summary:
        summary = Summary(known_at, overdue_hours)
        async with aclosing(self._work(first, last, known_at)) as batches:
            async for batch in batches:
                for done in batch:
                    summary.add(done)
        positive_people = sorted(summary.positive_people)
        for start in range(0, len(positive_people), PEOPLE_AT_ONCE):
            people = await self._store.people(positive_people[start : start + PEOPLE_AT_ONCE], known_at)
            for records in people.records.values():
                works = [work([TestRecord.FromString(record.body)]) for record in records]
                summary.add_person(first, last, [done for done in works if done is not None])
            await asyncio.sleep(0)
        summary.positive_people.clear()
        return summary

    async def _work(self, first: int, last: int, known_at: Instant) -> AsyncGenerator[list[Work], None]:
        parse = TestRecord.FromString
        async with aclosing(self._store.by_time(start_of_day(first), start_of_day(last + 1), known_at)) as batches:
            async for batch in batches:
                works = [work([parse(body) for body in bodies]) for bodies in batch]
                yield [done for done in works if done is not None]
