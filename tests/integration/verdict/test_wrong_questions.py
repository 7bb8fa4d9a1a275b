"""The verdict service refuses what is wrong, field by field, and asks nobody about it."""

from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1 import evidence_service_pb2 as ev
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1 import record_pb2 as rec
from hutong.verdict.v1 import verdict_service_pb2 as pb

from services.common.errors import ServiceError
from services.common.instants import HOUR, Instant, parse_rfc3339, to_timestamp
from tests.testkit.builders.verdict_requests import NOW, compute, judged, query, record, violations
from tests.testkit.fakes.lookup import FakeLookup
from tests.testkit.servers.verdict_service import in_process


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("1899-12-31T23:59:59Z", "at"),
        ("9999-01-01T00:00:00Z", "at"),
        ("1969-12-31T23:59:59Z", "known_at"),
        ("9999-12-31T15:00:00Z", "known_at"),
    ],
)
async def test_an_instant_out_of_range_is_its_own_questions_error(transport, text: str, field: str):
    """The other questions of the batch are answered, and the lookup never hears of it."""
    lookup = FakeLookup()
    wrong: dict[str, Any] = {field: to_timestamp(parse_rfc3339(text))}
    request = pb.BatchComputeVerdictsRequest(queries=[query(**wrong), query()], purpose=Purpose.PURPOSE_SHOW_CODE)
    async with transport(lookup) as verdicts:
        outcomes = (await verdicts.BatchComputeVerdicts(request)).outcomes
    found = [(violation.field, violation.reason) for violation in outcomes[0].error.violations]
    assert found == [(f"queries[0].{field}", "INSTANT_RANGE")]
    assert outcomes[1].HasField("verdict")
    assert [len(batch.queries) for batch in lookup.batches] == [1]


async def test_a_laboratorys_standing_is_dated_within_the_calendar(transport):
    """Every instant of it is looked at."""
    evidence = ev.Evidence(region="310000", scope=Scope.SCOPE_NATIONAL)
    laboratory = evidence.laboratories.add(laboratory="lab")
    laboratory.accredited.add().to.seconds = 1 << 50
    suspension = laboratory.suspensions.add()
    suspension.sampled.to.seconds = 1 << 50
    suspension.recorded_at.seconds = 1 << 50
    suspension.lifted_at.seconds = -(1 << 50)
    async with transport(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.EvaluateEvidence(judged(evidence))
    where = "judge.evidence.laboratories[0]"
    assert violations(caught.value) == {
        f"{where}.accredited[0].to": "INSTANT_RANGE",
        f"{where}.suspensions[0].sampled.to": "INSTANT_RANGE",
        f"{where}.suspensions[0].recorded_at": "INSTANT_RANGE",
        f"{where}.suspensions[0].lifted_at": "INSTANT_RANGE",
    }


async def test_evidence_that_is_brought_holds_no_document_number(transport):
    """A verdict gives back the ids of what it rests on, so none of them may be somebody's number."""
    number = "11010519491231002X"
    evidence = ev.Evidence(region="310000", scope=Scope.SCOPE_NATIONAL, records=[record("310000", number, NOW, NOW)])
    brought = evidence.records[0]
    brought.content.laboratory = brought.content.site = brought.content.origin.source_id = brought.cause = number
    evidence.coverage.add(source=number, status=ev.SOURCE_STATUS_OK)
    async with transport(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.EvaluateEvidence(judged(evidence))
    where = "judge.evidence.records[0]"
    names = ("source_id", "content.laboratory", "content.site", "content.origin.source_id", "cause")
    assert violations(caught.value) == {
        **{f"{where}.{name}": "DOCUMENT_NUMBER_NOT_ALLOWED" for name in names},
        "judge.evidence.coverage[0].source": "DOCUMENT_NUMBER_NOT_ALLOWED",
    }
    assert number not in str(caught.value)


async def test_a_batch_of_wrong_questions_asks_nobody():
    """There is nothing to look up."""
    lookup = FakeLookup()
    async with in_process(lookup) as verdicts:
        request = pb.BatchComputeVerdictsRequest(queries=[query(region="")], purpose=Purpose.PURPOSE_SHOW_CODE)
        outcomes = (await verdicts.BatchComputeVerdicts(request)).outcomes
    assert outcomes[0].error.violations[0].reason == "REGION_REQUIRED"
    assert lookup.batches == []


@pytest.mark.parametrize("size", [0, 1001])
async def test_a_batch_has_1_to_1000_items(transport, size: int):
    """Neither none nor more."""
    async with transport(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.BatchComputeVerdicts(
                pb.BatchComputeVerdictsRequest(queries=[query()] * size, purpose=Purpose.PURPOSE_SHOW_CODE)
            )
    assert violations(caught.value) == {"queries": "BATCH_SIZE"}


async def test_every_wrong_field_is_named_at_once(transport):
    """One look at the error is enough to mend the request."""
    asked = pb.VerdictQuery(region="1100", scope=7)  # type: ignore[arg-type]
    asked.at.seconds = 10**12
    asked.known_at.CopyFrom(to_timestamp(Instant(NOW + HOUR)))
    async with transport(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.ComputeVerdict(compute(asked))
    assert violations(caught.value) == {
        "query.subject": "SUBJECT_REQUIRED",
        "query.region": "REGION_UNKNOWN",
        "query.scope": "SCOPE_UNKNOWN",
        "query.at": "INSTANT_RANGE",
        "query.known_at": "KNOWN_AT_IN_FUTURE",
    }


async def test_bad_evidence_is_refused_field_by_field(transport):
    """What the stores would have refused is refused here too."""
    early = record("430000", "a", NOW, Instant(NOW - HOUR))
    sampling = record("430000", "b", NOW, None, result=rec.TEST_RESULT_NEGATIVE)
    unknown = record("43", "", NOW, NOW, tube=7, channel=0)
    bare = record("430000", "c", NOW, NOW)
    bare.content.ClearField("reported_at")
    evidence = ev.Evidence(records=[early, sampling, unknown, bare, early], coverage=[ev.SourceCoverage()])
    async with transport(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.EvaluateEvidence(judged(evidence))
    assert violations(caught.value) == {
        "judge.evidence.region": "REGION_REQUIRED",
        "judge.evidence.scope": "SCOPE_REQUIRED",
        "judge.evidence.records[0].content.reported_at": "REPORTED_BEFORE_SAMPLED",
        "judge.evidence.records[1].content.result": "RESULT_NOT_ALLOWED",
        "judge.evidence.records[2].region": "REGION_UNKNOWN",
        "judge.evidence.records[2].source_id": "SOURCE_ID_REQUIRED",
        "judge.evidence.records[2].content.tube": "TUBE_UNKNOWN",
        "judge.evidence.records[2].content.channel": "CHANNEL_REQUIRED",
        "judge.evidence.records[3].content.reported_at": "REPORTED_AT_REQUIRED",
        "judge.evidence.records[4]": "RECORD_TWICE",
        "judge.evidence.records[4].content.reported_at": "REPORTED_BEFORE_SAMPLED",
        "judge.evidence.coverage[0].source": "SOURCE_REQUIRED",
        "judge.evidence.coverage[0].status": "STATUS_REQUIRED",
    }
