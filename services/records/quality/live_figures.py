"""Reads the laboratories' figures of now from the counts."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from hutong.records.v1.record_pb2 import TestRecord

from services.common.instants import Instant, calendar_day, start_of_day
from services.records.domain.quality import Figures, Key, Sample, Summary, overdue_before, together, work
from services.records.domain.tally import SpanKey, quantile_spans, read_span, read_tally, refine, span_of, start_of_span
from services.records.store.protocols.figures import FigureReads
from services.records.store.values.records import LATEST

G = TypeVar("G")

AT_ONCE = 64
"""Tallies read before others have their turn."""


async def summary(
    reads: FigureReads, first: int, last: int, known_at: Instant, overdue_hours: int, laboratory: str = ""
) -> Summary:
    """Returns all laboratories' figures, or one's, of the calendar days from first to last."""
    whole = Summary(known_at, overdue_hours)
    whole.figures = await _figures(reads, first, last, known_at, overdue_hours, laboratory)
    await _refine(reads, {key: (figures, [key]) for key, figures in whole.figures.items()})
    return whole


async def grouped(
    reads: FigureReads,
    first: int,
    last: int,
    known_at: Instant,
    overdue_hours: int,
    group: Callable[[Mapping[Key, Figures]], Mapping[G, Sequence[Key]]],
) -> dict[G, Figures]:
    """Returns all laboratories' figures of the calendar days from first to last, put together as `group` says."""
    figures = await _figures(reads, first, last, known_at, overdue_hours)
    groups = {name: (together(figures[key] for key in keys), keys) for name, keys in group(figures).items()}
    await _refine(reads, groups)
    return {name: whole for name, (whole, _) in groups.items()}


async def _figures(
    reads: FigureReads, first: int, last: int, known_at: Instant, overdue_hours: int, laboratory: str = ""
) -> dict[Key, Figures]:
    """Returns figures in which each turnaround is told as the beginning of its span."""
    if laboratory:
        held = await reads.tallies([(laboratory, day) for day in range(first, last + 1)])
    else:
        held = await reads.tallies_between(first, last)
    before = overdue_before(known_at, overdue_hours)
    boundary: Mapping[str, int] = {}
    if first <= calendar_day(before) <= last:
        # Of all spans, in one alone some samples are overdue and others not.
        boundary = await reads.waiting_by_laboratory(start_of_span(span_of(before)), before)
    figures: dict[Key, Figures] = {}
    for number, (key, body) in enumerate(held.items(), 1):
        figures[key] = read_tally(body).figures(before, boundary.get(key[0], 0))
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    return figures


async def _refine(reads: FigureReads, groups: Mapping[G, tuple[Figures, Sequence[Key]]]) -> None:
    """Tells the quantiles exactly: of each group, the turnarounds of the spans in which its quantiles fall."""
    wanted: dict[G, list[SpanKey]] = {
        name: [(*key, span) for span in sorted(quantile_spans(figures)) for key in keys]
        for name, (figures, keys) in groups.items()
    }
    bodies = await reads.spans(sorted({key for keys in wanted.values() for key in keys}))
    for number, (name, keys) in enumerate(wanted.items(), 1):
        parts: dict[int, list[dict[int, int]]] = {}
        for key in keys:
            parts.setdefault(key[2], []).append(read_span(bodies.get(key, b"")))
        refine(groups[name][0], parts)
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)


async def overdue(
    reads: FigureReads, first: int, last: int, before: Instant, laboratory: str, after: Sample, most: int
) -> list[Sample]:
    """Returns the oldest samples, at most `most`, that wait and were taken on these days and before an instant: of a
    laboratory or, where that is empty, of all; beyond `after`."""
    # No region is empty, so this stands before every sample of that instant.
    start = Sample(start_of_day(first), "", "", "")
    end = Instant(min(before, start_of_day(last + 1)))
    return list(await reads.waiting(laboratory, max(start, after), end, most))


async def still_waiting(reads: FigureReads, samples: Sequence[Sample]) -> list[Sample]:
    """Returns those that wait as they did, by their records as they are now: for counts that are behind."""
    keys = {key[1:]: key for key in await reads.record_keys([sample[1:3] for sample in samples])}
    records = await reads.revisions(list(keys.values()), LATEST)
    waiting = set()
    for revisions in records.values():
        done = work([TestRecord.FromString(body) for _, body in revisions])
        if done is not None and done.waiting:
            waiting.add(done.sample)
    return [sample for sample in samples if sample in waiting]
