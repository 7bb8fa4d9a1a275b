"""The laboratories' figures, computed from the store when they are asked for."""

import asyncio
import heapq
from collections.abc import AsyncGenerator
from contextlib import aclosing

from hutong.records.v1.record_pb2 import TestRecord

from services.common.instants import Instant, start_of_day
from services.records.domain.quality import Summary, Work, work
from services.records.store.protocol import RecordStore

KEPT = 8
"""Summaries kept for those who turn pages."""

AT_ONCE = 2
"""One for the metrics, one for whoever asks."""

PEOPLE_AT_ONCE = 500


def _sample(done: Work) -> tuple[Instant, str, str]:
    return done.placed_at, done.region, done.source_id


class Quality:
    """Answers AT_ONCE questions at a time: whoever asks much keeps others who ask waiting, and nobody else."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._kept: dict[tuple[int, int, Instant, int], Summary] = {}
        self._asking = asyncio.Semaphore(AT_ONCE)

    async def summary(self, first: int, last: int, known_at: Instant, overdue_hours: int) -> Summary:
        """All laboratories' figures for the calendar days from first to last."""
        question = first, last, known_at, overdue_hours
        async with self._asking:
            summary = self._kept.pop(question, None)
            if summary is None:
                summary = await self._compute(first, last, known_at, overdue_hours)
            self._kept[question] = summary
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return summary

    async def overdue(
        self,
        first: int,
        last: int,
        known_at: Instant,
        hours: int,
        laboratory: str,
        after: tuple[int, str, str],
        most: int,
    ) -> list[Work]:
        """The oldest samples, at most `most` of them, whose result is overdue: of a laboratory, or of all; beyond
        `after`, a place in time and a record's id."""
        oldest: list[Work] = []
        async with self._asking, aclosing(self._work(first, last, known_at)) as batches:
            async for batch in batches:
                oldest += [
                    done
                    for done in batch
                    if done.overdue(known_at, hours) and laboratory in ("", done.laboratory) and _sample(done) > after
                ]
                oldest = heapq.nsmallest(most, oldest, key=_sample)
        return oldest

    async def _compute(self, first: int, last: int, known_at: Instant, overdue_hours: int) -> Summary:
        summary = Summary(known_at, overdue_hours)
        async with aclosing(self._work(first, last, known_at)) as batches:
            async for batch in batches:
                for done in batch:
                    summary.add(done)
        accused = sorted(summary.accused)
        for start in range(0, len(accused), PEOPLE_AT_ONCE):
            people = await self._store.people(accused[start : start + PEOPLE_AT_ONCE], known_at)
            for records in people.records.values():
                found = [work([TestRecord.FromString(record.body)]) for record in records]
                summary.add_person(first, last, [done for done in found if done is not None])
            await asyncio.sleep(0)
        summary.accused.clear()
        return summary

    async def _work(self, first: int, last: int, known_at: Instant) -> AsyncGenerator[list[Work], None]:
        parse = TestRecord.FromString
        async with aclosing(self._store.placed(start_of_day(first), start_of_day(last + 1), known_at)) as batches:
            async for batch in batches:
                found = [work([parse(body) for body in bodies]) for bodies in batch]
                yield [done for done in found if done is not None]
