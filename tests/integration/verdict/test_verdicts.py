"""The verdict service through its contract, in one process and over a wire, with a lookup of the test's own."""

from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1 import evidence_service_pb2 as ev
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1 import record_pb2 as rec
from hutong.verdict.v1 import verdict_pb2 as vd
from hutong.verdict.v1 import verdict_service_pb2 as pb

from services.common.instants import HOUR, Instant, from_timestamp, parse_rfc3339, to_timestamp
from tests.testkit.builders.verdict_requests import ANNA, NOW, compute, judged, query, record
from tests.testkit.fakes.lookup import FakeLookup
from tests.testkit.servers.verdict_service import in_process


async def test_a_verdict_is_looked_up_and_judged(transport):
    """Every field of the answer comes from the evidence, the policy and the clock."""
    lookup = FakeLookup()
    lookup.records[ANNA] = [record("430000", "hn", Instant(NOW - 26 * HOUR), Instant(NOW - 16 * HOUR))]
    async with transport(lookup) as verdicts:
        verdict = (await verdicts.ComputeVerdict(compute(query()))).verdict
    assert verdict.status == vd.STATUS_RECOGNISED
    assert verdict.colour == vd.COLOUR_GREEN
    assert verdict.region == "110000"
    assert verdict.scope == Scope.SCOPE_NATIONAL
    assert verdict.at == verdict.computed_at == to_timestamp(NOW)
    assert not verdict.HasField("days_since_test")
    assert verdict.valid_until == to_timestamp(Instant(NOW + 56 * HOUR))
    assert [ground.clause for ground in verdict.grounds] == ["result-anywhere"]
    assert verdict.grounds[0].text.zh
    assert verdict.grounds[0].evidence[0] == vd.EvidenceRef(region="430000", source_id="hn", revision=1)
    assert [source.source for source in verdict.coverage] == ["110000", "nation"]
    assert verdict.policy.policy_id == "110000-2022-07-04"
    assert len(verdict.policy.content_hash) == 32
    assert list(verdict.person_keys) == [ANNA]
    assert list(verdict.laboratories) == ["430000-lab"]
    assert verdict.newest_test == lookup.records[ANNA][0]


async def test_the_same_question_gives_the_same_bytes(transport):
    """At a given instant and knowledge there is one answer."""
    lookup = FakeLookup()
    lookup.records[ANNA] = [
        record("430000", f"r{number}", Instant(NOW - number * HOUR), Instant(NOW - HOUR)) for number in range(2, 6)
    ]
    async with transport(lookup) as verdicts:
        once = await verdicts.ComputeVerdict(compute(query(at=to_timestamp(NOW), known_at=to_timestamp(NOW))))
        lookup.records[ANNA].reverse()
        twice = await verdicts.ComputeVerdict(compute(query(at=to_timestamp(NOW), known_at=to_timestamp(NOW))))
    assert once.SerializeToString() == twice.SerializeToString()


async def test_the_last_instant_that_may_be_asked_about_is_answered_in_full(transport):
    """Whatever turns after it can still be written."""
    at = parse_rfc3339("9998-12-31T23:59:59.999999Z")
    evidence = ev.Evidence(
        region="310000",
        scope=Scope.SCOPE_NATIONAL,
        records=[record("310000", "r", Instant(at - 2 * HOUR), Instant(at - HOUR))],
    )
    async with transport(FakeLookup()) as verdicts:
        verdict = (await verdicts.EvaluateEvidence(judged(evidence, at=to_timestamp(at)))).verdict
    assert verdict.status == vd.STATUS_RECOGNISED
    assert from_timestamp(verdict.fresh_until) == parse_rfc3339("9999-01-02T00:00:00+08:00")


async def test_a_report_after_the_last_instant_that_can_be_written_never_comes():
    """A store may keep what no calendar of UTC+8 can name; the answer then says nothing of when it turns."""
    lookup = FakeLookup()
    lookup.records[ANNA] = [
        record("110000", "r", parse_rfc3339("2022-01-01T00:00:00Z"), parse_rfc3339("9999-12-31T23:59:59Z"))
    ]
    async with in_process(lookup) as verdicts:
        verdict = (await verdicts.ComputeVerdict(compute(query()))).verdict
    assert verdict.status == vd.STATUS_NOT_RECOGNISED
    assert not verdict.HasField("fresh_until")


async def test_evidence_a_caller_brings_is_judged_without_asking_anyone(transport):
    """And it may be judged as of any instant."""
    lookup = FakeLookup()
    evidence = ev.Evidence(
        region="310000",
        scope=Scope.SCOPE_NATIONAL,
        records=[record("510000", "sc", Instant(NOW - 4 * HOUR), None)],
    )
    async with transport(lookup) as verdicts:
        now = (await verdicts.EvaluateEvidence(judged(evidence))).verdict
        tomorrow = to_timestamp(Instant(NOW + 24 * HOUR))
        later = (await verdicts.EvaluateEvidence(judged(evidence, at=tomorrow))).verdict
        many = await verdicts.BatchEvaluateEvidence(
            pb.BatchEvaluateEvidenceRequest(
                judge=[
                    pb.EvidenceToJudge(evidence=evidence),
                    pb.EvidenceToJudge(evidence=ev.Evidence(region="820000", scope=Scope.SCOPE_LOCAL)),
                ],
                purpose=Purpose.PURPOSE_SUPERVISION,
            )
        )
    assert [ground.clause for ground in now.grounds] == ["visitor-sampling"]
    assert later.status == vd.STATUS_PENDING
    assert (later.at, later.computed_at) == (tomorrow, to_timestamp(NOW))
    assert many.outcomes[0].verdict == now
    assert many.outcomes[1].error.reason == "NO_POLICY_IN_FORCE"
    assert lookup.batches == []


async def test_a_result_still_to_come_is_not_shown(transport):
    """Asked about an instant before the report, the newest test is the sampling record it was then."""
    lookup = FakeLookup()
    lookup.records[ANNA] = [record("110000", "a", Instant(NOW - 4 * HOUR), Instant(NOW - HOUR))]
    async with transport(lookup) as verdicts:
        then = to_timestamp(Instant(NOW - 2 * HOUR))
        verdict = (await verdicts.ComputeVerdict(compute(query(at=then)))).verdict
    assert verdict.status == vd.STATUS_PENDING
    assert verdict.newest_test.content.kind == rec.RECORD_KIND_SAMPLING
    assert verdict.newest_test.content.result == rec.TEST_RESULT_UNSPECIFIED
    assert not verdict.newest_test.content.HasField("reported_at")
    assert lookup.records[ANNA][0].content.result == rec.TEST_RESULT_NEGATIVE
