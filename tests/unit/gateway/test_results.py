"""A person's results: each test once, newest first, in pages."""

import pytest
from hutong.lookup.v1.evidence_service_pb2 import Evidence, SourceCoverage, SourceStatus
from hutong.records.v1.record_pb2 import Origin, RevisionAction
from hutong.records.v1.record_pb2 import TestRecord as Record

from gateway.application import results
from services.common.errors import InvalidArgument
from services.common.instants import HOUR, Instant, to_timestamp
from tests.testkit.fakes.mesh import record

NOW = Instant(1_660_000_000_000_000)

PERSON = bytes(16)
OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE


def sampled(hours_ago: int, **fields: object) -> Record:
    """A record sampled so long ago."""
    return record(sampled_at=to_timestamp(Instant(NOW - hours_ago * HOUR)), **fields)  # type: ignore[arg-type]


def listed(*records: Record) -> list[str]:
    """Their ids as they are listed."""
    return [view.record.source_id for view in results.views([Evidence(records=records)])]


def test_newest_sample_first() -> None:
    """Order is by sampling, and by report where no sampling time is known."""
    unknown = record(source_id="C")
    unknown.content.ClearField("sampled_at")
    unknown.content.reported_at.CopyFrom(to_timestamp(Instant(NOW - 2 * HOUR)))
    assert listed(sampled(3, source_id="A"), sampled(1, source_id="B"), unknown) == ["B", "C", "A"]


def test_withdrawn_results_are_left_out() -> None:
    """The newest revision of a record decides, wherever it was found."""
    first, withdrawn = sampled(1, source_id="A"), sampled(1, source_id="A")
    withdrawn.revision, withdrawn.action = 2, RevisionAction.REVISION_ACTION_RETRACTED
    assert listed(withdrawn, first) == []


def test_a_copy_of_a_withdrawn_result_is_left_out_too() -> None:
    """All views of one person agree: the verdict no longer counts it either."""
    withdrawn = sampled(1, source_id="A")
    withdrawn.revision, withdrawn.action = 2, RevisionAction.REVISION_ACTION_RETRACTED
    copy = sampled(1, region="110000", source_id="B", origin=Origin(region="430000", source_id="A"))
    assert listed(copy, withdrawn) == []


def test_copy_of_a_listed_result_is_named_and_not_listed() -> None:
    """One test is one line, which says where it was copied to."""
    copy = sampled(1, region="110000", source_id="B", origin=Origin(region="430000", source_id="A"))
    (view,) = results.views([Evidence(records=[copy]), Evidence(records=[sampled(1, source_id="A")])])
    assert (view.record.source_id, view.origin_region, list(view.copied_to)) == ("A", "430000", ["110000"])


def test_copy_stands_for_an_original_that_is_not_known() -> None:
    """When the original's region does not answer, the copy shows the test with its origin."""
    origin = Origin(region="430000", source_id="A")
    copies = [sampled(1, region=region, source_id=f"B-{region}", origin=origin) for region in ("310000", "110000")]
    (view,) = results.views([Evidence(records=copies)])
    assert (view.record.region, view.origin_region, list(view.copied_to)) == ("110000", "430000", ["310000"])


def test_persons_are_left_out() -> None:
    """A view says nothing about whose it is, and the evidence is left as it was."""
    kept = sampled(1)
    (view,) = results.views([Evidence(records=[kept])])
    assert (view.record.person_key, len(kept.person_key)) == (b"", 16)


def test_pages_meet_without_gap_or_overlap() -> None:
    """Reading page by page gives every result once, also while others are added."""
    everything = results.views([Evidence(records=[sampled(hours, source_id=f"{hours:03d}") for hours in range(25)])])
    seen, token = [], ""
    while True:
        page, token = results.page(everything, PERSON, 10, token)
        seen += [view.record.source_id for view in page]
        everything = results.views(
            [Evidence(records=[*(view.record for view in everything), sampled(-1, source_id="new")])]
        )
        if not token:
            break
    assert seen == [f"{hours:03d}" for hours in range(25)]


@pytest.mark.parametrize("token", ["?", "AAAA", "bm8=", "中"])
def test_page_token_of_nobody_is_refused(token: str) -> None:
    """A token that was not handed out is an error, not a first page."""
    with pytest.raises(InvalidArgument) as refused:
        results.page([], PERSON, 10, token)
    assert [v.reason for v in refused.value.violations] == ["PAGE_TOKEN"]


def test_source_that_failed_once_did_not_answer() -> None:
    """Coverage over several questions is that of the worst answer."""
    asked = [
        Evidence(coverage=[SourceCoverage(source="nation", status=OK), SourceCoverage(source="110000", status=OK)]),
        Evidence(coverage=[SourceCoverage(source="nation", status=UNREACHABLE)]),
    ]
    assert [(one.source, one.status) for one in results.coverage(asked)] == [("110000", 1), ("nation", 2)]
