"""Every rule of record.proto, one by one."""

from collections.abc import Callable

import pytest
from hutong.records.v1.record_pb2 import RecordContent, RecordKind, TestResult, Tube

from services.common.instants import MINUTE, SECOND, Instant, to_timestamp
from services.common.requests import fields
from services.records.domain.validation import content_violations

NOW = Instant(1_659_672_000 * SECOND)


def at(minutes: float) -> object:
    """The timestamp so many minutes from NOW."""
    return to_timestamp(Instant(NOW + round(minutes * MINUTE)))


def result() -> RecordContent:
    """A valid result."""
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=at(-120),  # type: ignore[arg-type]
        reported_at=at(-60),  # type: ignore[arg-type]
        result=TestResult.TEST_RESULT_NEGATIVE,
        tube=Tube.TUBE_POOL_10,
        laboratory="430000-xiangya",
        site="430102",
        channel=1,  # type: ignore[arg-type]
    )


def sampling() -> RecordContent:
    """A valid sampling record."""
    made = result()
    made.kind = RecordKind.RECORD_KIND_SAMPLING
    made.ClearField("reported_at")
    made.ClearField("result")
    return made


def found(content: RecordContent) -> list[tuple[str, str]]:
    """Field and reason of every violation."""
    return [(v.field, v.reason) for v in content_violations(content, "430000", NOW)]


def changed(make: Callable[[], RecordContent], **fields: object) -> RecordContent:
    """A content with some fields set; None clears one."""
    content = make()
    for name, value in fields.items():
        content.ClearField(name)  # type: ignore[arg-type]
        if hasattr(value, "seconds"):
            getattr(content, name).CopyFrom(value)
        elif value is not None:
            setattr(content, name, value)
    return content


def test_what_is_right_is_not_refused() -> None:
    """A result, one without a sampling time, one reported as it was sampled, and a sampling record are valid."""
    for content in (
        result(),
        changed(result, sampled_at=None),
        sampling(),
        changed(result, sampled_at=at(-60)),
        changed(result, laboratory="a" * 64),
    ):
        assert found(content) == []


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        (changed(result, kind=7), "content.kind", "KIND_UNKNOWN"),
        (changed(sampling, sampled_at=None), "content.sampled_at", "SAMPLED_AT_REQUIRED"),
        (changed(sampling, reported_at=at(-1)), "content.reported_at", "REPORTED_AT_NOT_ALLOWED"),
        (changed(sampling, result=1), "content.result", "RESULT_NOT_ALLOWED"),
        (changed(result, reported_at=None), "content.reported_at", "REPORTED_AT_REQUIRED"),
        (changed(result, result=None), "content.result", "RESULT_REQUIRED"),
        (changed(result, result=9), "content.result", "RESULT_UNKNOWN"),
        (changed(result, reported_at=at(-121)), "content.reported_at", "REPORTED_BEFORE_SAMPLED"),
        (changed(sampling, sampled_at=at(11)), "content.sampled_at", "SAMPLED_IN_FUTURE"),
        (changed(result, reported_at=at(11)), "content.reported_at", "REPORTED_IN_FUTURE"),
        (changed(result, tube=None), "content.tube", "TUBE_REQUIRED"),
        (changed(result, tube=3), "content.tube", "TUBE_UNKNOWN"),
        (changed(result, laboratory=""), "content.laboratory", "LABORATORY_REQUIRED"),
        (changed(result, laboratory="Xiangya"), "content.laboratory", "LABORATORY_FORMAT"),
        (changed(result, laboratory="a" * 65), "content.laboratory", "LABORATORY_FORMAT"),
        (changed(result, site=""), "content.site", "SITE_REQUIRED"),
        (changed(result, site="４３０１０２"), "content.site", "SITE_FORMAT"),
        (changed(result, channel=None), "content.channel", "CHANNEL_REQUIRED"),
        (changed(result, channel=6), "content.channel", "CHANNEL_UNKNOWN"),
    ],
)
def test_each_wrong_field_has_its_reason(content: RecordContent, field: str, reason: str) -> None:
    """One wrong field is one violation, with its own stable reason."""
    assert found(content) == [(field, reason)]


def test_an_instant_outside_the_calendar_is_refused() -> None:
    """Timestamps keep the limits of google.protobuf.Timestamp."""
    content = result()
    content.sampled_at.nanos = -1
    assert found(content) == [("content.sampled_at", "INSTANT_RANGE")]


@pytest.mark.parametrize("make", [sampling, result])
def test_clocks_may_be_ahead_by_the_allowance(make: Callable[[], RecordContent]) -> None:
    """Exactly the allowance is still accepted, one microsecond more is not."""
    name = "sampled_at" if make is sampling else "reported_at"
    assert found(changed(make, **{name: at(10)})) == []
    late = to_timestamp(Instant(NOW + 10 * MINUTE + 1))
    assert [field for field, _ in found(changed(make, **{name: late}))] == [f"content.{name}"]


@pytest.mark.parametrize(
    ("region", "source_id", "revision", "expected"),
    [
        ("440000", "G1", 1, []),
        ("440000", "", 0, []),
        ("", "", 0, [("content.origin.region", "REGION_REQUIRED")]),
        ("123456", "", 0, [("content.origin.region", "REGION_UNKNOWN")]),
        ("430000", "", 0, [("content.origin.region", "ORIGIN_NOT_ELSEWHERE")]),
        ("440000", "a\n", 0, [("content.origin.source_id", "SOURCE_ID_FORMAT")]),
        ("440000", "G1", -1, [("content.origin.revision", "ORIGIN_REVISION")]),
    ],
)
def test_a_copy_comes_from_elsewhere(
    region: str, source_id: str, revision: int, expected: list[tuple[str, str]]
) -> None:
    """An origin names another region, perhaps a record there, perhaps its revision."""
    content = result()
    content.origin.region, content.origin.source_id, content.origin.revision = region, source_id, revision
    assert found(content) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("X1", None),
        ("样本 7", None),
        ("x" * 64, None),
        ("", "SOURCE_ID_REQUIRED"),
        ("x" * 65, "SOURCE_ID_FORMAT"),
        (" x", "SOURCE_ID_FORMAT"),
        ("x\x00", "SOURCE_ID_FORMAT"),
        ("\u200b", "SOURCE_ID_FORMAT"),
    ],
)
def test_source_ids_are_printable(value: str, reason: str | None) -> None:
    """One to 64 printable characters, of any script, without blanks at the ends."""
    assert [v.reason for v in fields.source_id(value)] == ([] if reason is None else [reason])


@pytest.mark.parametrize(
    ("value", "reasons"),
    [("x", []), ("因", []), ("x" * 500, []), (" ", ["CAUSE_REQUIRED"]), ("x" * 501, ["CAUSE_TOO_LONG"])],
)
def test_causes_are_given_and_short(value: str, reasons: list[str]) -> None:
    """One to 500 characters."""
    assert [v.reason for v in fields.cause(value)] == reasons
