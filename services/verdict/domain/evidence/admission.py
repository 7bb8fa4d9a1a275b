"""Step 0, admission: what is retracted, void by its laboratory's standing, or sampled later than the instant judged is
out. A result reported later counts as a sampling record."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from services.common.instants import Instant
from services.verdict.domain.evidence.identity import MergedTest, merge_records
from services.verdict.domain.evidence.values import Kind, Laboratory, Record, Result, Test
from services.verdict.domain.freshness import NextChange

RETRACTED = "RETRACTED"
LABORATORY_SUSPENDED = "LABORATORY_SUSPENDED"
LABORATORY_NOT_ACCREDITED = "LABORATORY_NOT_ACCREDITED"
SAMPLED_LATER = "SAMPLED_LATER"
UNDATED = "UNDATED"

RESULT, AWAITED = Kind.RESULT, Result.AWAITED


class Refusal(Struct, frozen=True, gc=False):
    """A record that is not admitted, and the code of the reason."""

    code: str
    record: Record


class Admitted(Struct, frozen=True, gc=False):
    """The admitted tests, newest first; what was refused, by region and id; every laboratory whose in_force was looked
    at, ascending."""

    tests: tuple[Test, ...]
    refused: tuple[Refusal, ...]
    laboratories: tuple[str, ...]


def admit(
    records: Iterable[Record],
    laboratories: Mapping[str, Laboratory],
    at: Instant,
    known_at: Instant,
    next_change: NextChange,
) -> Admitted:
    """Returns what may be judged at `at`, the laboratories in_force as known at `known_at`."""
    tests: list[Test] = []
    refused: list[Refusal] = []
    looked_at: set[str] = set()
    for merged in merge_records(records):
        content = merged.content
        if content is None or content.retracted:
            refused += [Refusal(RETRACTED, record) for record in merged.records]
            continue
        kept = merged.records
        if len(kept) > 1 and any(record.retracted for record in kept):
            refused += [Refusal(RETRACTED, record) for record in kept if record.retracted]
            kept = tuple(record for record in kept if not record.retracted)
        taken_at = content.reported_at if content.sampled_at is None else content.sampled_at
        if taken_at is None:
            refused += [Refusal(UNDATED, record) for record in kept]
            continue
        looked_at.add(content.laboratory)
        laboratory = laboratories.get(content.laboratory)
        if laboratory is not None and (code := void_reason(laboratory, taken_at, known_at, next_change)):
            refused += [Refusal(code, record) for record in kept]
            continue
        if taken_at > at:
            next_change.note(taken_at)
            refused += [Refusal(SAMPLED_LATER, record) for record in kept]
            continue
        tests.append(_as_it_stood(merged, content, kept, taken_at, at, next_change))
    if len(tests) > 1:
        tests.sort(key=_newest_first)
    if len(refused) > 1:
        refused.sort(key=_by_record)
    return Admitted(tuple(tests), tuple(refused), tuple(sorted(looked_at)))


def _as_it_stood(
    merged: MergedTest,
    content: Record,
    kept: tuple[Record, ...],
    taken_at: Instant,
    at: Instant,
    next_change: NextChange,
) -> Test:
    reported_at = content.reported_at if content.kind == RESULT else None
    reported = reported_at is not None and reported_at <= at
    if not reported:
        next_change.note(reported_at)
    return Test(
        identity=merged.identity,
        origin_region=merged.origin_region,
        content=content,
        records=kept,
        taken_at=taken_at,
        result=content.result if reported else AWAITED,
        reported_at=reported_at if reported else None,
        reports_at=None if reported else reported_at,
    )


def _newest_first(test: Test) -> tuple[int, tuple[str, str]]:
    return (-test.taken_at, test.identity)


def _by_record(refusal: Refusal) -> tuple[str, str]:
    return (refusal.record.region, refusal.record.source_id)


def void_reason(laboratory: Laboratory, taken_at: Instant, known_at: Instant, next_change: NextChange) -> str:
    """Returns why the laboratory's standing, as known at `known_at`, voids a test taken then; empty when it does
    not."""
    code = ""
    for suspension in laboratory.suspensions:
        if not suspension.sampled.contains(taken_at):
            continue
        # News with a date after known_at, such as that of a clock that runs ahead, will be known by then.
        next_change.note(suspension.recorded_at if _later(suspension.recorded_at, known_at) else None)
        next_change.note(suspension.lifted_at if _later(suspension.lifted_at, known_at) else None)
        lifted = suspension.lifted_at is not None and suspension.lifted_at <= known_at
        if not _later(suspension.recorded_at, known_at) and not lifted:
            code = LABORATORY_SUSPENDED
    if code:
        return code
    if laboratory.accredited and not any(interval.contains(taken_at) for interval in laboratory.accredited):
        return LABORATORY_NOT_ACCREDITED
    return ""


def _later(instant: Instant | None, than: Instant) -> bool:
    return instant is not None and instant > than
