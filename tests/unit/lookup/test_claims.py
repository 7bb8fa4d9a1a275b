"""A claim chooses the holder's newest result and makes a copy that names its original."""

import pytest
from hutong.records.v1.record_pb2 import Channel, RecordKind, RevisionAction, TestResult
from hutong.records.v1.record_pb2 import TestRecord as Record

from services.common.errors import FailedPrecondition
from services.lookup.domain import claims
from tests.testkit.fakes.record_store import RecordStore, content

BEIJING, HUNAN, SICHUAN = "110000", "430000", "510000"
KEY = bytes(16)


def record(region: str, source_id: str, revision: int = 1, **others: object) -> Record:
    """A record as a region keeps it."""
    action = others.pop("action", RevisionAction.REVISION_ACTION_SUBMITTED)
    return RecordStore(region).put(KEY, source_id, content(**others), action=action, revision=revision)  # type: ignore[arg-type]


def test_the_newest_result_from_elsewhere_is_chosen() -> None:
    """Newest by sampling; what the region itself holds, what is only a sample, and what is withdrawn do not count."""
    chosen = record(SICHUAN, "b", sampled=200)
    records = [
        record(HUNAN, "a", sampled=100),
        chosen,
        record(BEIJING, "own", sampled=900),
        record(HUNAN, "sample", sampled=800, kind=RecordKind.RECORD_KIND_SAMPLING),
        record(HUNAN, "gone", sampled=700, action=RevisionAction.REVISION_ACTION_RETRACTED),
        record(SICHUAN, "copy-of-gone", sampled=700, origin=(HUNAN, "gone", 1)),
        record(SICHUAN, "copy-of-own", sampled=950, origin=(BEIJING, "own", 1)),
        record(BEIJING, "claim-430000-older", sampled=850, origin=(HUNAN, "older", 1)),
    ]
    assert claims.choose(records, BEIJING, None) == chosen
    assert claims.choose(records[2:6], BEIJING, None) is None


def test_without_a_sampling_time_a_result_is_placed_by_its_report() -> None:
    """As everywhere else in the rules."""
    unknown = record(HUNAN, "unknown", sampled=0)
    unknown.content.ClearField("sampled_at")
    assert claims.choose([record(SICHUAN, "b", sampled=3_500), unknown], BEIJING, None) == unknown


def test_a_positive_may_be_claimed_too() -> None:
    """The record is whole or it is no record."""
    positive = record(HUNAN, "p", sampled=300, result=TestResult.TEST_RESULT_POSITIVE)
    assert claims.choose([record(HUNAN, "n", sampled=200), positive], BEIJING, None) == positive


def test_the_named_result_is_chosen_and_its_original_preferred() -> None:
    """Named by the region that keeps it, or by the original it is a copy of."""
    original = record(HUNAN, "a", sampled=100)
    copy = record(SICHUAN, "copy", sampled=100, origin=(HUNAN, "a", 1))
    newer = record(SICHUAN, "b", sampled=500)
    assert claims.choose([copy, original, newer], BEIJING, (HUNAN, "a")) == original
    assert claims.choose([copy, newer], BEIJING, (HUNAN, "a")) == copy
    assert claims.choose([copy, newer], BEIJING, (SICHUAN, "copy")) == copy
    assert claims.choose([newer], BEIJING, (HUNAN, "a")) is None


@pytest.mark.parametrize("named", [(BEIJING, "own"), (HUNAN, "copy")])
def test_a_regions_own_result_cannot_be_claimed_for_it(named: tuple[str, str]) -> None:
    """Neither directly nor by way of a copy that another region holds."""
    records = [record(BEIJING, "own"), record(HUNAN, "copy", origin=(BEIJING, "own", 1))]
    with pytest.raises(FailedPrecondition) as refused:
        claims.choose(records, BEIJING, named)
    assert refused.value.reason == "RESULT_IS_LOCAL"


def test_original_and_copy_give_the_same_claim() -> None:
    """The copy names the original, not the copy it was made from, so twice is once whichever was seen."""
    original = record(HUNAN, "a", revision=2)
    copy = record(SICHUAN, "x", origin=(HUNAN, "a", 2), channel=Channel.CHANNEL_CERTIFICATE)
    claim = claims.claim(original)
    assert claim == claims.claim(copy)
    assert claim.source_id == "claim-430000-a"
    assert claim.content == content(channel=Channel.CHANNEL_HEALTH_CODE, origin=(HUNAN, "a", 2))


def test_a_long_id_is_hashed_and_stays_within_64_characters() -> None:
    """Two long ids with the same beginning stay apart."""
    one, other = (claims.claim(record(HUNAN, "S" * 60 + end)).source_id for end in ("0001", "0002"))
    assert one != other
    assert {len(one), len(other)} == {61}
    assert claims.claim(record(HUNAN, "S" * 51)).source_id == "claim-430000-" + "S" * 51


def test_a_copy_follows_its_original_and_never_goes_back() -> None:
    """A source that lags behind must not undo a correction that was seen before."""
    copy = record(BEIJING, "claim-430000-a", origin=(HUNAN, "a", 2))
    assert not claims.up_to_date(copy, claims.claim(record(HUNAN, "a", revision=3)))
    assert claims.up_to_date(copy, claims.claim(record(HUNAN, "a", revision=2)))
    assert claims.up_to_date(copy, claims.claim(record(HUNAN, "a", revision=1)))
