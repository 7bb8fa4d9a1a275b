"""Person keys, contents and submissions of records, at hours around noon of a day in 2022."""

import itertools
from typing import Any
from uuid import uuid4

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.record_pb2 import Channel, Origin, RecordContent, RecordKind, TestResult, Tube

from services.common.instants import HOUR, Instant, to_timestamp
from tests.testkit.clocks import NOON

KEEP = Purpose.PURPOSE_RECORD_KEEPING


SHOW = Purpose.PURPOSE_SHOW_CODE


_numbers = itertools.count(1)


def person(number: int) -> bytes:
    """A person key."""
    return number.to_bytes(16, "big")


def fresh_id() -> str:
    """A source id no other test has."""
    return f"S{next(_numbers):08d}"


def result(
    sampled: float | None = -2.0,
    reported: float = -1.0,
    outcome: TestResult.ValueType = TestResult.TEST_RESULT_NEGATIVE,
    tube: Tube.ValueType = Tube.TUBE_SINGLE,
    laboratory: str = "430000-xiangya",
    origin: Origin | None = None,
) -> RecordContent:
    """A result; times in hours from NOON."""
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=None if sampled is None else hours(sampled),
        reported_at=hours(reported),
        result=outcome,
        tube=tube,
        laboratory=laboratory,
        site="430100",
        channel=Channel.CHANNEL_LABORATORY,
        origin=origin,
    )


def sampling(
    sampled: float = -2.0, tube: Tube.ValueType = Tube.TUBE_SINGLE, laboratory: str = "430000-xiangya"
) -> RecordContent:
    """A sampling record; its time in hours from NOON."""
    return RecordContent(
        kind=RecordKind.RECORD_KIND_SAMPLING,
        sampled_at=hours(sampled),
        tube=tube,
        laboratory=laboratory,
        site="430100",
        channel=Channel.CHANNEL_LABORATORY,
    )


def hours(number: float) -> Any:
    """The timestamp so many hours from NOON."""
    return to_timestamp(Instant(NOON + round(number * HOUR)))


def submission(source_id: str, who: bytes, content: RecordContent, region: str = "430000") -> wpb.RecordSubmission:
    """A submission of region 430000."""
    return wpb.RecordSubmission(region=region, source_id=source_id, subject=Subject(person_key=who), content=content)


def request_id() -> str:
    """A fresh request id."""
    return str(uuid4())
