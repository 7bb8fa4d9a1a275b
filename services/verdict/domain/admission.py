"""Step 0, admission: what is retracted, void by its laboratory's standing, or sampled later than the instant judged is
out. A result reported later counts as a sampling record."""

from msgspec import Struct

from services.common.instants import Instant
from services.verdict.domain.copies import gather
from services.verdict.domain.freshness import Completeness
from services.verdict.domain.model import Evidence, Kind, Laboratory, Record, Result, Test

RETRACTED = "RETRACTED"
LABORATORY_SUSPENDED = "LABORATORY_SUSPENDED"
LABORATORY_NOT_ACCREDITED = "LABORATORY_NOT_ACCREDITED"
SAMPLED_LATER = "SAMPLED_LATER"
UNDATED = "UNDATED"

RESULT, AWAITED = Kind.RESULT, Result.AWAITED


class Admitted(Struct, frozen=True):
    """The admitted tests, newest first; the records refused with the reason's code, in order; every laboratory whose
    standing was looked at, ascending."""

    tests: tuple[Test, ...]
    refused: tuple[tuple[str, Record], ...]
    laboratories: tuple[str, ...]


def admit(evidence: Evidence, at: Instant, known_at: Instant, horizon: Completeness) -> Admitted:
    """What may be judged at `at`, by the standing of laboratories as known at `known_at`."""
    tests: list[Test] = []
    refused: list[tuple[str, Record]] = []
    looked_at: set[str] = set()
    for found in gather(evidence.records):
        truth = found.truth
        if truth is None or truth.retracted:
            refused += [(RETRACTED, record) for record in found.records]
            continue
        holdings = found.records
        if len(holdings) > 1 and any(record.retracted for record in holdings):
            refused += [(RETRACTED, record) for record in holdings if record.retracted]
            holdings = tuple(record for record in holdings if not record.retracted)
        placed_at = truth.reported_at if truth.sampled_at is None else truth.sampled_at
        if placed_at is None:
            refused += [(UNDATED, record) for record in holdings]
            continue
        looked_at.add(truth.laboratory)
        laboratory = evidence.laboratories.get(truth.laboratory)
        if laboratory is not None and (code := voided(laboratory, placed_at, known_at, horizon)):
            refused += [(code, record) for record in holdings]
            continue
        if placed_at > at:
            horizon.note(placed_at)
            refused += [(SAMPLED_LATER, record) for record in holdings]
            continue
        reported_at = truth.reported_at if truth.kind == RESULT else None
        if reported_at is not None and reported_at <= at:
            result, reports_at = truth.result, None
        else:
            result, reports_at = AWAITED, reported_at
            reported_at = None
            horizon.note(reports_at)
        tests.append(
            Test(
                identity=found.identity,
                provenance=found.provenance,
                truth=truth,
                holdings=holdings,
                placed_at=placed_at,
                result=result,
                reported_at=reported_at,
                reports_at=reports_at,
            )
        )
    if len(tests) > 1:
        tests.sort(key=_newest_first)
    if len(refused) > 1:
        refused.sort(key=lambda item: (item[1].region, item[1].source_id))
    return Admitted(tuple(tests), tuple(refused), tuple(sorted(looked_at)))


def _newest_first(test: Test) -> tuple[int, tuple[str, str]]:
    return (-test.placed_at, test.identity)


def voided(laboratory: Laboratory, placed_at: Instant, known_at: Instant, horizon: Completeness) -> str:
    """Why the laboratory's standing, as known at `known_at`, voids a test placed then; empty when it does not."""
    code = ""
    for suspension in laboratory.suspensions:
        if not suspension.sampled.contains(placed_at):
            continue
        # News with a date after known_at, such as that of a clock that runs ahead, will be known by then.
        horizon.note(suspension.recorded_at if _later(suspension.recorded_at, known_at) else None)
        horizon.note(suspension.lifted_at if _later(suspension.lifted_at, known_at) else None)
        lifted = suspension.lifted_at is not None and suspension.lifted_at <= known_at
        if not _later(suspension.recorded_at, known_at) and not lifted:
            code = LABORATORY_SUSPENDED
    if code:
        return code
    if laboratory.accredited and not any(interval.contains(placed_at) for interval in laboratory.accredited):
        return LABORATORY_NOT_ACCREDITED
    return ""


def _later(instant: Instant | None, than: Instant) -> bool:
    return instant is not None and instant > than
