"""Laboratories' figures kept up to date: what a change takes from them and adds, and how a day's are put down.

Nothing here says what a turnaround or a contradiction is: that is domain/quality.py. A change of a record is undone and
done: the record as it was before is counted into what is lost, the record as it is now into what is gained.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from services.common.instants import SECOND, Instant, calendar_day
from services.records.domain.quality import MEDIAN, P95, Figures, Key, Sample, Summary, Work

RULES = 2
"""The version of what is counted and how it is put down. Whoever changes that adds 1: counts of earlier rules are made
again, from the records."""

SPAN = 300
"""Seconds. A day's turnarounds are counted by span, exactly only within each: so a result changes a few hundred bytes
and not a day's histogram, and a quantile needs the one span in which it falls."""

T = TypeVar("T", int, str)

_NEVER = Instant(0)


def span_of(instant: Instant) -> int:
    """Returns the span in which a sample was taken. Spans do not cross midnight in UTC+8."""
    return instant // (SPAN * SECOND)


def start_of_span(span: int) -> Instant:
    """Returns its beginning."""
    return Instant(span * SPAN * SECOND)


class Tally(msgspec.Struct, array_like=True):
    """One laboratory's counts of one day, as stored: `turnarounds` are results by span of their turnaround, `since`
    waiting samples by the span in which they were taken, `discordant` pairs by the other's laboratory."""

    records: int = 0
    retracted: int = 0
    amended: int = 0
    reported: int = 0
    positive: int = 0
    waiting: int = 0
    turnarounds: dict[int, int] = {}
    since: dict[int, int] = {}
    discordant: dict[str, int] = {}

    def figures(self, overdue_before: Instant, overdue_in_span: int) -> Figures:
        """Returns the figures; each turnaround is told as the beginning of its span. Samples taken before an instant
        are overdue: those of earlier spans and, of the span in which it falls, so many."""
        boundary = span_of(overdue_before)
        return Figures(
            records=self.records,
            retracted=self.retracted,
            amended=self.amended,
            reported=self.reported,
            positive=self.positive,
            waiting=self.waiting,
            overdue=sum(n for span, n in self.since.items() if span < boundary)
            + (overdue_in_span if boundary in self.since else 0),
            turnarounds=Counter({span * SPAN: n for span, n in self.turnarounds.items()}),
            discordant=Counter(self.discordant),
        )


SpanKey = tuple[str, int, int]
"""A laboratory, a calendar day and a span of turnarounds."""

_tally = msgspec.msgpack.Decoder(Tally)
_span = msgspec.msgpack.Decoder(dict[int, int])


def read_tally(body: bytes) -> Tally:
    """Returns a tally as it was put down."""
    return _tally.decode(body)


def read_span(body: bytes) -> dict[int, int]:
    """Returns a span's turnarounds as they were put down: seconds from its beginning, counted."""
    return _span.decode(body) if body else {}


def quantile_spans(figures: Figures) -> set[int]:
    """Returns the spans in which the quantiles fall, of figures that tell turnarounds by span."""
    return {seconds // SPAN for share in (MEDIAN, P95) if (seconds := figures.turnaround(share)) is not None}


def refine(figures: Figures, spans: Mapping[int, Iterable[Mapping[int, int]]]) -> None:
    """Tells the turnarounds of some spans exactly, given in parts: seconds from the span's beginning, counted."""
    for span, parts in spans.items():
        del figures.turnarounds[span * SPAN]
        for part in parts:
            figures.turnarounds.update({span * SPAN + seconds: n for seconds, n in part.items()})


class Change:
    """The effect of some changes of records on the figures."""

    def __init__(self) -> None:
        self._gained = Summary(_NEVER, 0)
        self._lost = Summary(_NEVER, 0)
        self._since: dict[Key, Counter[int]] = {}
        self.waiting: set[Sample] = set()
        """Samples that wait now, and did not before."""
        self.ended: set[Sample] = set()
        """Samples that waited before, and do not now."""

    def add(self, before: Work | None, after: Work | None) -> None:
        """One record as it was before all of the changes, and as it is after them; None where it does not count."""
        if before is not None:
            self._lost.add(before)
        if after is not None:
            self._gained.add(after)
        waited = before.sample if before is not None and before.waiting else None
        waits = after.sample if after is not None and after.waiting else None
        if waited == waits:
            return
        if waited is not None:
            self.ended.add(waited)
            self._count_waiting(waited, -1)
        if waits is not None:
            self.waiting.add(waits)
            self._count_waiting(waits, 1)

    def add_person(self, day: int, before: Iterable[Work], after: Iterable[Work]) -> None:
        """All of one person's records as they were and as they are: the pairs of one day."""
        self._lost.add_person(day, day, before)
        self._gained.add_person(day, day, after)

    @property
    def keys(self) -> set[Key]:
        """Returns the laboratories and days whose figures change."""
        return self._gained.figures.keys() | self._lost.figures.keys()

    def turnarounds(self) -> dict[SpanKey, Counter[int]]:
        """Returns the changes of turnarounds: seconds from the beginning of their span, each by how much."""
        changed: dict[SpanKey, Counter[int]] = {}
        for summary, sign in ((self._gained, 1), (self._lost, -1)):
            for key, figures in summary.figures.items():
                for seconds, n in figures.turnarounds.items():
                    span, rest = divmod(seconds, SPAN)
                    changed.setdefault((*key, span), Counter())[rest] += sign * n
        return changed

    def tally(self, key: Key, body: bytes) -> bytes:
        """Returns a laboratory's tally of a day with the changes; empty when nothing is left in it."""
        tally = _tally.decode(body) if body else Tally()
        gained, lost = self._gained.figures.get(key, Figures()), self._lost.figures.get(key, Figures())
        for name in ("records", "retracted", "amended", "reported", "positive", "waiting"):
            setattr(tally, name, getattr(tally, name) + getattr(gained, name) - getattr(lost, name))
        for figures, sign in ((gained, 1), (lost, -1)):
            _move(tally.turnarounds, ((seconds // SPAN, sign * n) for seconds, n in figures.turnarounds.items()))
            _move(tally.discordant, ((other, sign * n) for other, n in figures.discordant.items()))
        _move(tally.since, self._since.get(key, Counter()).items())
        return msgspec.msgpack.encode(tally) if tally.records else b""

    def _count_waiting(self, sample: Sample, change: int) -> None:
        key = sample.laboratory, calendar_day(sample.placed_at)
        self._since.setdefault(key, Counter())[span_of(sample.placed_at)] += change


def turned(body: bytes, change: Counter[int]) -> bytes:
    """Returns a span's turnarounds with a change; empty when none is left."""
    counts = read_span(body)
    _move(counts, change.items())
    return msgspec.msgpack.encode(counts) if counts else b""


def _move(counts: dict[T, int], changes: Iterable[tuple[T, int]]) -> None:
    for key, change in changes:
        count = counts.get(key, 0) + change
        if count:
            counts[key] = count
        else:
            counts.pop(key, None)
