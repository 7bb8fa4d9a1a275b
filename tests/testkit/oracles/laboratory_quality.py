"""The laboratories' figures by brute force, from the log of what was accepted: slow, with no code of the service."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import combinations

from hutong.records.v1.record_pb2 import RecordContent

SAMPLING, RESULT = 1, 2
NEGATIVE, POSITIVE = 1, 2


@dataclass(frozen=True)
class Entry:
    """One accepted step: `recorded` is the instant of its commit, in microseconds."""

    recorded: int
    source_id: str
    person: bytes
    content: RecordContent
    retracted: bool = False
    contested: bool = False
    """It stands only until somebody has settled which of two statements is right."""


def _moment(content: RecordContent, field: str) -> datetime | None:
    if not content.HasField(field):  # type: ignore[arg-type]
        return None
    moment: datetime = getattr(content, field).ToDatetime(UTC)
    return moment


def _place(entry: Entry) -> datetime:
    place = _moment(entry.content, "sampled_at") or _moment(entry.content, "reported_at")
    assert place is not None
    return place


def _day(entry: Entry) -> str:
    return _place(entry).astimezone(timezone(timedelta(hours=8))).date().isoformat()


def _quantile(values: list[int], share: Fraction) -> int:
    return min(value for value in values if Fraction(sum(v <= value for v in values), len(values)) >= share)


def current(log: list[Entry], known_at: int) -> list[list[Entry]]:
    """Every record that is no copy, with its revisions as known."""
    ids = dict.fromkeys(entry.source_id for entry in log)
    histories = [[e for e in log if e.source_id == i and e.recorded <= known_at] for i in ids]
    return [history for history in histories if history and not history[-1].content.HasField("origin")]


def overdue(log: list[Entry], known_at: int, hours: int) -> list[str]:
    """The ids of overdue samples, oldest first."""
    waiting = [h[-1] for h in current(log, known_at) if h[-1].content.kind == SAMPLING and not h[-1].retracted]
    now = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=known_at)
    late = [entry for entry in waiting if _place(entry) + timedelta(hours=hours) < now]
    return [entry.source_id for entry in sorted(late, key=lambda entry: (_place(entry), entry.source_id))]


def _amended(history: list[Entry]) -> bool:
    settled = [entry for entry in history if not entry.contested]
    for number in range(1, len(settled)):
        before, after = settled[number - 1], settled[number]
        got_result = before.content.kind == SAMPLING and after.content.kind == RESULT
        if not after.retracted and not got_result and after.content != before.content:
            return True
    return False


def figures(log: list[Entry], known_at: int, hours: int) -> dict[tuple[str, str], dict[str, object]]:
    """By laboratory and day; what is 0 or absent is left out."""
    records = current(log, known_at)
    late = set(overdue(log, known_at, hours))
    answer: dict[tuple[str, str], dict[str, object]] = {}
    for key in {(history[-1].content.laboratory, _day(history[-1])) for history in records}:
        mine = [h for h in records if (h[-1].content.laboratory, _day(h[-1])) == key]
        valid = [h[-1] for h in mine if not h[-1].retracted]
        reported = [entry for entry in valid if entry.content.kind == RESULT]
        took = [
            int((_moment(entry.content, "reported_at") - sampled).total_seconds())  # type: ignore[operator]
            for entry in reported
            if (sampled := _moment(entry.content, "sampled_at")) is not None
        ]
        positive = sum(entry.content.result == POSITIVE for entry in reported)
        retracted, amended = len(mine) - len(valid), sum(map(_amended, mine))
        pairs = _pairs([h[-1] for h in records], *key)
        made: dict[str, object] = {
            "records": len(mine),
            "retracted": retracted,
            "amended": amended,
            "reported": len(reported),
            "positive": positive,
            "waiting": len(valid) - len(reported),
            "overdue": sum(entry.source_id in late for entry in valid),
            "timed": len(took),
            "retraction_rate": retracted / len(mine),
            "amendment_rate": amended / len(mine),
            "positive_rate": positive / len(reported) if reported else 0.0,
            "discordant_pairs": sum(pairs.values()),
            "discordant_with": dict(pairs),
        }
        if took:
            made["turnaround_median_seconds"] = _quantile(took, Fraction(1, 2))
            made["turnaround_p95_seconds"] = _quantile(took, Fraction(95, 100))
        answer[key] = {name: value for name, value in made.items() if value or name.startswith("turnaround")}
    return answer


def _pairs(entries: list[Entry], laboratory: str, day: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for one, other in combinations(entries, 2):
        outcomes = {one.content.result, other.content.result}
        pool = any(e.content.result == POSITIVE and e.content.tube != 1 for e in (one, other))
        laboratories = one.content.laboratory, other.content.laboratory
        if (
            one.person == other.person
            and _day(one) == _day(other) == day
            and not one.retracted
            and not other.retracted
            and outcomes == {NEGATIVE, POSITIVE}
            and not pool
            and laboratory in laboratories
        ):
            found[laboratories[laboratories[0] == laboratory]] += 1
    return found
