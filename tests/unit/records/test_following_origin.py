"""A copy follows when its origin changes."""

import pytest
from hutong.records.v1.record_pb2 import (
    Channel,
    Origin,
    RecordContent,
    RecordKind,
    RevisionAction,
    TestRecord,
    TestResult,
)

from services.records.domain.copies import Follow, follow

TestRecord.__test__ = False  # type: ignore[attr-defined]  # a message, not a class of tests
TestResult.__test__ = False  # type: ignore[attr-defined]

NEGATIVE, POSITIVE = TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE
AMENDED, RETRACTED = RevisionAction.REVISION_ACTION_AMENDED, RevisionAction.REVISION_ACTION_RETRACTED


def origin(revision: int = 1, result: TestResult.ValueType = NEGATIVE, **fields: object) -> TestRecord:
    """Hunan's record."""
    content = RecordContent(result=result, laboratory="430000-x", channel=Channel.CHANNEL_LABORATORY)
    return TestRecord(region="430000", source_id="X1", revision=revision, content=content, **fields)  # type: ignore[arg-type]


def copy(made_from: int = 1, result: TestResult.ValueType = NEGATIVE, **fields: object) -> TestRecord:
    """Beijing's copy of it."""
    content = RecordContent(
        result=result,
        laboratory="430000-x",
        channel=Channel.CHANNEL_HEALTH_CODE,
        origin=Origin(region="430000", source_id="X1", revision=made_from),
    )
    return TestRecord(region="110000", source_id="C1", revision=5, content=content, **fields)  # type: ignore[arg-type]


def test_an_amended_origin_is_followed() -> None:
    """The copy gets the origin's content, keeps its own channel, and says why."""
    wanted = follow(copy(), origin(2, POSITIVE, action=AMENDED, cause="mixed up"))
    assert wanted is not None
    assert (wanted.revision, wanted.content) == (5, copy(2, POSITIVE).content)
    assert "430000/X1" in wanted.cause
    assert wanted.cause.endswith("mixed up")


def test_a_retracted_origin_is_followed() -> None:
    """The copy is retracted, for the origin's cause."""
    wanted = follow(copy(), origin(2, action=RETRACTED, cause="another person's"))
    assert isinstance(wanted, Follow)
    assert (wanted.revision, wanted.content) == (5, None)
    assert wanted.cause.endswith("another person's")


@pytest.mark.parametrize(
    ("held", "original"),
    [
        (copy(), None),
        (None, origin()),
        (copy(), origin()),
        (copy(1), origin(3)),
        (copy(3, POSITIVE), origin(2)),
        (copy(2, POSITIVE), origin(2)),
        (copy(action=RETRACTED), origin(2, POSITIVE)),
        (copy(action=RETRACTED), origin(2, action=RETRACTED)),
    ],
    ids=[
        "no origin here",
        "no copy here",
        "the same",
        "the same content in a later revision",
        "made from a later revision than is known",
        "changed by the copy's own region",
        "withdrawn, the origin amended",
        "withdrawn, the origin retracted",
    ],
)
def test_a_copy_that_may_stay(held: TestRecord | None, original: TestRecord | None) -> None:
    """Nothing follows."""
    assert follow(held, original) is None


@pytest.mark.parametrize("made_from", [0, 1, 2])
def test_a_copys_result_never_becomes_a_sampling_record_again(made_from: int) -> None:
    """Of whichever revision it was made, and whatever is corrected of the sample; a retraction takes it along."""
    held = copy(made_from)
    held.content.kind = RecordKind.RECORD_KIND_RESULT
    sampled = origin(3, TestResult.TEST_RESULT_UNSPECIFIED, action=AMENDED, cause="another site")
    sampled.content.kind = RecordKind.RECORD_KIND_SAMPLING
    assert follow(held, sampled) is None
    sampled.action = RETRACTED
    wanted = follow(held, sampled)
    assert wanted is not None
    assert wanted.content is None


def test_a_cause_fits() -> None:
    """However long the origin's cause is, the copy's is one that may be stored."""
    wanted = follow(copy(), origin(2, action=RETRACTED, cause="x" * 500))
    assert wanted is not None
    assert len(wanted.cause) <= 500
