"""Random people and random policies by the hundred thousand: what a test draws when hypothesis would be too slow."""

import random
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec

from services.common.instants import HOUR, Instant, format_rfc3339
from services.verdict.domain.evidence.values import (
    Interval,
    Laboratory,
    Origin,
    Record,
    Result,
    Suspension,
)
from services.verdict.domain.policy.compiled import CompiledNotice, CompiledPolicy, compile_notice, compile_policy
from services.verdict.domain.policy.contents import NoticeFile, PolicyFile
from services.verdict.domain.policy.policy_set import PolicySet
from tests.testkit.clocks import NOON

HERE, ELSEWHERE = "110000", ("430000", "310000", "440000")
LABORATORIES = ("lab-a", "lab-b", "lab-c")
NEGATIVE, POSITIVE, INCONCLUSIVE = Result.NEGATIVE, Result.POSITIVE, Result.INCONCLUSIVE
TUBES = ("single", "pool_5", "pool_10")
_TUBE = (1, 1, 1, 5, 10)
_WORDS = {"zh": "文", "en": "text"}


def policies(rng: random.Random) -> PolicySet:
    """One to three versions of a region's policy, and the notice: one has begun, others begin about now or later."""
    starts = sorted({-2000, *(rng.randrange(-60, 200) for _ in range(rng.randrange(3)))})
    versions: list[CompiledPolicy] = [_policy(rng, start) for start in starts]
    notices: list[CompiledNotice] = []
    if rng.random() < 0.7:
        notice = {"region": "nation", "effective_from": _start(-1000), "title": _WORDS, "text": _WORDS}
        notices.append(compile_notice(msgspec.convert(notice, NoticeFile)))
    return PolicySet(versions, notices)


def _start(hours: int) -> str:
    return format_rfc3339(Instant(NOON + hours * HOUR))


def _window(rng: random.Random) -> dict[str, object]:
    return {
        "hours": rng.choice([24, 48, 72, 168, 240]),
        "from": rng.choice(["sampled", "reported"]),
        "edge": rng.choice(["inclusive", "exclusive"]),
    }


def _plain_window(rng: random.Random) -> dict[str, object]:
    window = _window(rng)
    del window["from"]
    return window


def _clause(rng: random.Random, number: int) -> dict[str, object]:
    clause: dict[str, object] = {
        "id": f"c{number}",
        "text": _WORDS,
        "evidence": "result",
        "origins": rng.choice([["local"], ["anywhere"], ["430000", "local"]]),
        "window": _window(rng),
    }
    if rng.random() < 0.2:
        clause["tubes"] = [rng.choice(TUBES)]
    if rng.random() < 0.2:
        clause["channels"] = ["laboratory", "certificate"]
    if rng.random() < 0.3:
        clause["count"] = {"tests": rng.choice([2, 3]), "apart_hours": rng.choice([0, 8])}
    elif rng.random() < 0.2:
        clause["evidence"] = "sampling_record"
        clause["window"] = {**_window(rng), "from": "sampled"}
    return clause


def _policy(rng: random.Random, start: int) -> CompiledPolicy:
    days: dict[str, object] = {"kept": rng.choice(["own", "anywhere"])}
    if rng.random() < 0.4:
        days["night_report_until"] = "06:00"
    if rng.random() < 0.3:
        days["held_day"] = 3
    colours = ("recognised", "not_recognised", "pending", "positive", "retest_required", "undetermined")
    document: dict[str, object] = {
        "region": HERE,
        "effective_from": _start(start),
        "title": _WORDS,
        "clauses": [_clause(rng, number) for number in range(rng.randrange(1, 4))],
        "notice": {"mode": rng.choice(["enforce", "report"]), "window": _plain_window(rng)},
        "days_since_test": days,
        "clearance": {
            "negatives": rng.choice([1, 2, 3]),
            "apart_hours": rng.choice([0, 12, 24, 48]),
            "tubes": rng.choice([["single"], ["single"], ["single", "pool_10"]]),
        },
        "pending": _plain_window(rng),
        "colours": {name: rng.choice(["green", "yellow", "red"]) for name in colours},
    }
    return compile_policy(msgspec.convert(document, PolicyFile))


def laboratories(rng: random.Random) -> dict[str, Laboratory]:
    """Standings of some: suspended for a while, or accredited for a while."""
    standings = {}
    for name in LABORATORIES[: rng.randrange(4)]:
        start = Instant(NOON - rng.randrange(0, 9000) * HOUR)
        interval = Interval(start, Instant(start + rng.randrange(1, 3000) * HOUR))
        suspended = (Suspension(interval, Instant(NOON - 9000 * HOUR)),) if rng.random() < 0.7 else ()
        accredited = (Interval(Instant(NOON - 9500 * HOUR), None),) if rng.random() < 0.3 else ()
        standings[name] = Laboratory(name, accredited, suspended)
    return standings


def past(rng: random.Random) -> list[Record]:
    """A person's records: few or many, lately or long ago, single tubes and pools, positives that were cleared or not,
    retracted ones, copies that agree with their originals and copies that do not."""
    records: list[Record] = []
    step = rng.choice([8.0, 24.0, 48.0, 300.0])
    newest = rng.choice([0.0, 0.0, 30.0, 200.0, 2000.0])
    positives = rng.choice([0.0, 0.0, 0.03, 0.2])
    single_only = rng.random() < 0.4
    for number in range(rng.choice([0, 1, 3, 8, 20, 40])):
        ago = newest + step * number * rng.uniform(0.5, 1.5)
        records.append(_record(rng, number, ago, positives, single_only=single_only))
    if rng.random() < 0.3:
        records += _positive_with_negatives(rng)
    for number in range(rng.choice([0, 0, 0, 1, 4])):
        if records:
            records.append(_copy(rng, number, rng.choice(records)))
    return records


def _record(rng: random.Random, number: int, ago: float, positives: float, *, single_only: bool) -> Record:
    sampled = NOON - round(ago * HOUR) - rng.randrange(HOUR)
    reported = min(NOON + 2 * HOUR, sampled + rng.choice([HOUR, 10 * HOUR, 40 * HOUR, 900 * HOUR]))
    awaited = rng.random() < 0.08
    result = rng.choices([NEGATIVE, POSITIVE, INCONCLUSIVE], [1 - positives, positives, 0.03])[0]
    return Record(
        region=rng.choice([HERE, HERE, *ELSEWHERE]),
        source_id=f"s{number}",
        kind=1 if awaited else 2,
        tube=1 if single_only else rng.choice(_TUBE),
        channel=rng.choice([1, 1, 2, 4]),
        laboratory=rng.choice(LABORATORIES),
        result=0 if awaited else result,
        sampled_at=None if not awaited and rng.random() < 0.06 else Instant(sampled),
        reported_at=None if awaited else Instant(reported),
        retracted=rng.random() < 0.05,
    )


def _positive_with_negatives(rng: random.Random) -> list[Record]:
    """One positive of some time ago, and singles after it, enough or not."""
    ago = rng.choice([20.0, 150.0, 1000.0, 8000.0])
    positive = msgspec.structs.replace(
        _record(rng, 900, ago, 1.0, single_only=rng.random() < 0.7), result=POSITIVE, kind=2, retracted=False
    )
    if positive.reported_at is None:
        positive = msgspec.structs.replace(positive, reported_at=Instant((positive.sampled_at or NOON) + HOUR))
    return [positive] + [
        _record(rng, 901 + number, max(0.0, ago - 20.0 * (number + 1)), 0.0, single_only=rng.random() < 0.8)
        for number in range(rng.randrange(5))
    ]


def _copy(rng: random.Random, number: int, original: Record) -> Record:
    origin = Origin(original.region, original.source_id if rng.random() < 0.9 else "", rng.choice([0, 1, 2]))
    copy = msgspec.structs.replace(
        original,
        region=rng.choice([HERE, *ELSEWHERE]),
        source_id=f"copy{number}",
        channel=4,
        origin=origin,
        retracted=rng.random() < 0.1,
    )
    if rng.random() < 0.3:
        # The original was amended since, and the copy has not followed.
        other = _record(rng, number, rng.choice([5.0, 60.0, 500.0]), 0.1, single_only=True)
        copy = msgspec.structs.replace(
            copy, kind=other.kind, result=other.result, sampled_at=other.sampled_at, reported_at=other.reported_at
        )
    return copy


class Past(NamedTuple):
    """One record's revisions, oldest first, each known from an instant on, a later one each."""

    revisions: Sequence[Record]

    @property
    def last(self) -> Record:
        """The record as it is."""
        return self.revisions[-1]

    def known_at(self, instant: Instant) -> Record | None:
        """Returns the record as it was known at an instant; None where it was not."""
        known = [one for one in self.revisions if one.recorded_at is not None and one.recorded_at <= instant]
        return known[-1] if known else None


def histories(rng: random.Random, records: Sequence[Record]) -> list[Past]:
    """The records with what they were before: a few were amended, once or more, some lately, some after long."""
    return [_history(rng, record) for record in records]


def _history(rng: random.Random, record: Record) -> Past:
    arrived = max(record.sampled_at or 0, record.reported_at or 0)
    if record.kind == 2 and rng.random() < 0.1:
        arrived += rng.randrange(2000) * HOUR
    arrived = min(arrived, NOON)
    known = [Instant(arrived)]
    while rng.random() < 0.15 and known[-1] < NOON:
        known.append(Instant(min(NOON, known[-1] + 1 + rng.choice([HOUR, 50 * HOUR, 3000 * HOUR]))))
    revisions = []
    for number, instant in enumerate(known, 1):
        revision = record
        if number < len(known):
            ago = (NOON - (record.sampled_at or record.reported_at or NOON)) / HOUR
            other = _record(rng, 0, max(0.0, ago + rng.choice([0.0, 5.0, 100.0])), 0.2, single_only=False)
            revision = msgspec.structs.replace(
                other, region=record.region, source_id=record.source_id, origin=record.origin, retracted=False
            )
        revisions.append(msgspec.structs.replace(revision, revision=number, recorded_at=instant))
    return Past(revisions)


T = TypeVar("T")


def split(rng: random.Random, records: Sequence[T]) -> dict[bytes, list[T]]:
    """The records by the key of the document they are under: of one, or of two linked ones."""
    keys = [b"1" * 16] if rng.random() < 0.8 else [b"1" * 16, b"2" * 16]
    people: dict[bytes, list[T]] = {key: [] for key in keys}
    for record in records:
        people[rng.choice(keys)].append(record)
    return people
