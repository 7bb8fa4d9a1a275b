"""The quality of a laboratory's work: what one record tells of it, and the figures of many.

The definitions are those of protos/hutong/records/v1/laboratory_quality_service.proto.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from hutong.records.v1.record_pb2 import RecordKind, RevisionAction, TestRecord, TestResult, Tube

from services.common.instants import HOUR, SECOND, Instant, calendar_day, from_timestamp
from services.records.domain.content import placed_at

# Looked up once: an enum's wrapper finds its numbers by name at every access.
_SAMPLING, _RESULT = RecordKind.RECORD_KIND_SAMPLING, RecordKind.RECORD_KIND_RESULT
_NEGATIVE, _POSITIVE = TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE
_AMENDED, _RETRACTED = RevisionAction.REVISION_ACTION_AMENDED, RevisionAction.REVISION_ACTION_RETRACTED
_CONTESTED = RevisionAction.REVISION_ACTION_CONTESTED
_SINGLE = Tube.TUBE_SINGLE

MEDIAN, P95 = 0.5, 0.95


class Sample(NamedTuple):
    """A sample without a result, for whoever calls its laboratory; samples stand in this order, oldest first."""

    placed_at: Instant
    region: str
    source_id: str
    laboratory: str


def overdue_before(known_at: Instant, hours: int) -> Instant:
    """Samples taken before this instant have waited for their result for longer than so many hours."""
    return Instant(known_at - hours * HOUR)


@dataclass(frozen=True, slots=True)
class Work:
    """The work that one record, as known at an instant, tells of its laboratory.

    `day` is the calendar day in UTC+8; `turnaround` is in microseconds and None where it cannot be told.
    """

    region: str
    source_id: str
    person_key: bytes
    laboratory: str
    placed_at: Instant
    day: int
    retracted: bool
    amended: bool
    waiting: bool
    result: int
    pooled: bool
    turnaround: int | None

    @property
    def says_positive(self) -> bool:
        """Tells if it says of the person alone that they are positive: a positive pool does not."""
        return self.result == _POSITIVE and not self.pooled and not self.retracted

    @property
    def says_negative(self) -> bool:
        """Tells if it says that the person is negative, as a negative pool does of each of its members."""
        return self.result == _NEGATIVE and not self.retracted

    def overdue(self, known_at: Instant, hours: int) -> bool:
        """Tells if it has waited for its result for longer than so many hours."""
        return self.waiting and self.placed_at < overdue_before(known_at, hours)

    @property
    def sample(self) -> Sample:
        """Returns what is told of it while it waits."""
        return Sample(self.placed_at, self.region, self.source_id, self.laboratory)


def _amended(revisions: Sequence[TestRecord]) -> bool:
    """Tells if what was said of the sample was ever replaced. What stands while a conflict waits replaces nothing, nor
    does the settlement that brings back what it contradicted."""
    said = [revision for revision in revisions if revision.action != _CONTESTED]
    return any(
        after.action == _AMENDED
        and not (before.content.kind == _SAMPLING and after.content.kind == _RESULT)
        and after.content != before.content
        for before, after in pairwise(said)
    )


def work(revisions: Sequence[TestRecord]) -> Work | None:
    """Returns what a record tells, given those of its revisions that were known, oldest first. None for a copy."""
    current = revisions[-1]
    content = current.content
    if content.HasField("origin"):
        return None
    place = placed_at(content)
    reported = content.kind == _RESULT
    retracted = current.action == _RETRACTED
    timed = reported and not retracted and content.HasField("sampled_at")
    return Work(
        region=current.region,
        source_id=current.source_id,
        person_key=current.person_key,
        laboratory=content.laboratory,
        placed_at=place,
        day=calendar_day(place),
        retracted=retracted,
        amended=len(revisions) > 1 and _amended(revisions),
        waiting=not reported and not retracted,
        result=content.result,
        pooled=content.tube != _SINGLE,
        turnaround=from_timestamp(content.reported_at) - place if timed else None,
    )


def rank(values: Counter[int], share: float) -> int:
    """Returns the least value that at least this share of the counted values do not exceed (nearest rank).

    Raises ValueError when nothing was counted.
    """
    wanted = ceil(values.total() * share)
    for value in sorted(values):
        wanted -= values[value]
        if wanted <= 0:
            return value
    raise ValueError("nothing was counted")


@dataclass(slots=True)
class Figures:
    """One laboratory's figures for one day. Turnarounds are kept in whole seconds, counted, so that quantiles are exact
    and a day's samples need no room of their own; `discordant` counts pairs by the other's laboratory."""

    records: int = 0
    retracted: int = 0
    amended: int = 0
    reported: int = 0
    positive: int = 0
    waiting: int = 0
    overdue: int = 0
    turnarounds: Counter[int] = field(default_factory=Counter)
    discordant: Counter[str] = field(default_factory=Counter)

    def add(self, done: Work, known_at: Instant, overdue_hours: int) -> None:
        """Counts one record."""
        self.records += 1
        self.retracted += done.retracted
        self.amended += done.amended
        if done.retracted:
            return
        self.waiting += done.waiting
        self.overdue += done.overdue(known_at, overdue_hours)
        self.reported += not done.waiting
        self.positive += done.result == _POSITIVE
        if done.turnaround is not None:
            self.turnarounds[done.turnaround // SECOND] += 1

    def turnaround(self, share: float) -> int | None:
        """Returns the seconds within which this share of the results came; None when no turnaround is known."""
        return rank(self.turnarounds, share) if self.turnarounds else None


def together(figures: Iterable[Figures]) -> Figures:
    """Returns the figures of several days or laboratories as one."""
    whole = Figures()
    for one in figures:
        whole.records += one.records
        whole.retracted += one.retracted
        whole.amended += one.amended
        whole.reported += one.reported
        whole.positive += one.positive
        whole.waiting += one.waiting
        whole.overdue += one.overdue
        whole.turnarounds.update(one.turnarounds)
        whole.discordant.update(one.discordant)
    return whole


def ratio(part: int, whole: int) -> float:
    """Returns a share of 1; 0 of nothing."""
    return part / whole if whole else 0.0


Key = tuple[str, int]
"""A laboratory and a calendar day."""


class Summary:
    """The figures of all laboratories on some days. `positive_people` are those of whom a discordant pair can be."""

    def __init__(self, known_at: Instant, overdue_hours: int) -> None:
        self.known_at = known_at
        self.overdue_hours = overdue_hours
        self.figures: dict[Key, Figures] = {}
        self.positive_people: set[bytes] = set()

    def add(self, done: Work) -> None:
        """Counts one record."""
        self._of(done.laboratory, done.day).add(done, self.known_at, self.overdue_hours)
        if done.says_positive:
            self.positive_people.add(done.person_key)

    def add_person(self, first: int, last: int, records: Iterable[Work]) -> None:
        """Counts the discordant pairs of one person, of whom all records are given, on the days from first to last."""
        known = [done for done in records if first <= done.day <= last]
        negatives = [done for done in known if done.says_negative]
        for one in filter(lambda done: done.says_positive, known):
            for other in negatives:
                if one.day == other.day:
                    self._of(one.laboratory, one.day).discordant[other.laboratory] += 1
                    if one.laboratory != other.laboratory:
                        self._of(other.laboratory, one.day).discordant[one.laboratory] += 1

    def of_laboratory(self, laboratory: str) -> list[tuple[Key, Figures]]:
        """Returns one laboratory's figures, by day."""
        return sorted((item for item in self.figures.items() if item[0][0] == laboratory), key=lambda item: item[0])

    def _of(self, laboratory: str, day: int) -> Figures:
        return self.figures.setdefault((laboratory, day), Figures())
