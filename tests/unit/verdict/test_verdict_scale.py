"""One person with very many records is judged in time that grows with the records, not with their square."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from services.common.instants import HOUR, MINUTE, Instant
from services.verdict.domain.evidence.values import Channel, Evidence, Kind, Origin, Record, Result, Scope, Tube
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.verdict import Status
from services.verdict.policy.files import load_directory
from tests.testkit.builders.verdict_inputs import NOON

POLICIES = load_directory(Path(__file__).parents[2] / "golden" / "engine" / "fine_print" / "policies")
MANY = 8000
LIMIT = 2.0
"""Seconds of processor time: many times what it takes, and a fraction of what the square of it took."""


def _record(number: int, result: Result, tube: Tube = Tube.SINGLE, origin: Origin | None = None) -> Record:
    sampled = Instant(NOON - 20 * HOUR + number * (MINUTE // 10))
    return Record(
        region="140000",
        source_id=f"r{number:05}",
        kind=Kind.RESULT,
        result=result,
        tube=tube,
        channel=Channel.LABORATORY,
        laboratory="lab",
        sampled_at=sampled,
        reported_at=Instant(sampled + HOUR // 2),
        origin=origin,
    )


def _alternating(number: int) -> Record:
    return _record(number, Result.POSITIVE if number % 2 else Result.NEGATIVE)


def _pools(number: int) -> Record:
    return _record(number, Result.POSITIVE, Tube.POOL_10)


def _too_close_together(number: int) -> Record:
    return _record(number, Result.NEGATIVE)


def _chain_of_copies(number: int) -> Record:
    return _record(number, Result.NEGATIVE, origin=Origin("140000", f"r{number + 1:05}", 1))


@pytest.mark.parametrize(
    ("made", "region", "expected"),
    [
        (_alternating, "140000", Status.POSITIVE),
        (_pools, "140000", Status.RETEST_REQUIRED),
        (_too_close_together, "150000", Status.NOT_RECOGNISED),
        (_chain_of_copies, "150000", Status.NOT_RECOGNISED),
    ],
)
def test_many_records_of_one_person(made: Callable[[int], Record], region: str, expected: Status):
    """Open positives, owed retests, a count that is not met and a chain of copies are each found in a few passes."""
    seen = Evidence(region=region, scope=Scope.NATIONAL, records=tuple(made(number) for number in range(MANY)))
    at = Instant(NOON)
    began = time.process_time()
    verdict = judge(seen, POLICIES, at, at)
    assert time.process_time() - began < LIMIT
    assert verdict.status == expected


@pytest.mark.parametrize("region", ["140000", "150000", "370000", "620000"])
def test_what_is_said_does_not_grow_with_the_past(region: str):
    """Of 10 and of 1,000 tests that fell short a verdict gives as many reasons, and counts the others."""
    verdicts = []
    for many in (10, 1000):
        old = [
            msgspec.structs.replace(
                _record(number, (Result.NEGATIVE, Result.INCONCLUSIVE)[number % 2]),
                region=("140000", "430000", "650000")[number % 3],
                sampled_at=Instant(NOON - (200 + number * 48) * HOUR),
                reported_at=Instant(NOON - (190 + number * 48) * HOUR),
                retracted=number % 5 == 4,
            )
            for number in range(many)
        ]
        seen = Evidence(region=region, scope=Scope.NATIONAL, records=tuple(old))
        verdicts.append(judge(seen, POLICIES, Instant(NOON), Instant(NOON)))
    few, much = verdicts
    assert few.status == much.status == Status.NOT_RECOGNISED
    assert len(much.reasons) <= len(few.reasons) + 3
    named = sum(reason.evidence is not None for reason in much.reasons)
    assert named + sum(further.count for further in much.further_reasons) == 1000
    # No words twice.
    texts = [(reason.code, reason.text) for reason in much.reasons if reason.text is not None]
    assert len(texts) == len(set(texts))
