"""The verdict service through its contract, in one process and over a wire, with a lookup of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.lookup.v1 import evidence_service_pb2 as ev
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1 import record_pb2 as rec
from hutong.verdict.v1 import policy_service_pb2 as pol
from hutong.verdict.v1 import verdict_pb2 as vd
from hutong.verdict.v1 import verdict_service_pb2 as pb
from prometheus_client import REGISTRY

from services.common.documents import PersonKeys
from services.common.errors import Code, ServiceError, Unavailable
from services.common.instants import HOUR, Instant, from_timestamp, parse_rfc3339, to_timestamp
from services.runtime.rpc.binding import local
from services.runtime.rpc.channel import open_channel, remote
from services.runtime.rpc.server import Server
from services.runtime.telemetry.trace import tracing
from services.verdict.composition import POLICIES, VERDICTS, build
from services.verdict.settings import Settings
from tests.testkit.secret import SECRET

NOW = parse_rfc3339("2022-08-09T12:00:00+08:00")
ANNA, BORIS = b"anna............", b"boris..........."


class FakeLookup:
    """Keeps evidence by person and remembers every batch it was asked."""

    def __init__(self) -> None:
        self.records: dict[bytes, list[rec.TestRecord]] = {}
        self.batches: list[ev.BatchGetEvidenceRequest] = []
        self.error: ServiceError | None = None
        self.silent: set[str] = set()

    async def BatchGetEvidence(self, request: ev.BatchGetEvidenceRequest) -> ev.BatchGetEvidenceResponse:
        self.batches.append(request)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return ev.BatchGetEvidenceResponse(evidence=[self._evidence(query) for query in request.queries])

    def _evidence(self, query: ev.EvidenceQuery) -> ev.Evidence:
        key = query.subject.person_key
        return ev.Evidence(
            region=query.region,
            scope=query.scope or Scope.SCOPE_NATIONAL,
            person_keys=[key],
            records=self.records.get(key, []),
            coverage=[
                ev.SourceCoverage(source=source, status=2 if source in self.silent else 1)  # type: ignore[arg-type]
                for source in ("nation", query.region)
            ],
        )


def record(region: str, source_id: str, sampled: Instant, reported: Instant | None, **content: Any) -> rec.TestRecord:
    """A negative of a single tube, or a sampling record without `reported`."""
    made = rec.TestRecord(
        region=region,
        source_id=source_id,
        revision=1,
        person_key=ANNA,
        action=rec.REVISION_ACTION_SUBMITTED,
        content=rec.RecordContent(
            kind=rec.RECORD_KIND_SAMPLING,
            sampled_at=to_timestamp(sampled),
            tube=rec.TUBE_SINGLE,
            laboratory=f"{region}-lab",
            site=region,
            channel=rec.CHANNEL_LABORATORY,
        ),
    )
    if reported is not None:
        made.content.kind = rec.RECORD_KIND_RESULT
        made.content.result = rec.TEST_RESULT_NEGATIVE
        made.content.reported_at.CopyFrom(to_timestamp(reported))
    for name, value in content.items():
        setattr(made.content, name, value)
    return made


def query(key: bytes = ANNA, region: str = "110000", **fields: Any) -> pb.VerdictQuery:
    """A question about a person known by key."""
    return pb.VerdictQuery(subject=Subject(person_key=key), region=region, **fields)


def compute(asked: pb.VerdictQuery) -> pb.ComputeVerdictRequest:
    """The request that asks it, for the holder."""
    return pb.ComputeVerdictRequest(query=asked, purpose=Purpose.PURPOSE_SHOW_CODE)


def judged(evidence: ev.Evidence, **fields: Any) -> pb.EvaluateEvidenceRequest:
    """The request to judge evidence."""
    return pb.EvaluateEvidenceRequest(
        judge=pb.EvidenceToJudge(evidence=evidence, **fields), purpose=Purpose.PURPOSE_SUPERVISION
    )


def violations(error: ServiceError) -> dict[str, str]:
    """The wrong fields of an error, with the reason for each."""
    return {violation.field: violation.reason for violation in error.violations}


@asynccontextmanager
async def in_process(lookup: FakeLookup) -> AsyncIterator[Any]:
    """The service as an object."""
    service = build(Settings(mesh_secret=SECRET), evidence=lookup, clock=lambda: NOW)
    async with service.running():
        yield local("verdict", "test", service.bindings)


@asynccontextmanager
async def over_a_wire(lookup: FakeLookup) -> AsyncIterator[Any]:
    """The service behind a port."""
    service = build(Settings(mesh_secret=SECRET), evidence=lookup, clock=lambda: NOW)
    server = Server(service.name, service.bindings, service.pings)
    async with service.running():
        port = await server.start("127.0.0.1:0")
        channel = open_channel(f"127.0.0.1:{port}")
        try:
            yield remote("verdict", "test", channel, [VERDICTS, POLICIES])
        finally:
            await channel.close()
            await server.drain(0, 0)


@pytest.fixture(params=[in_process, over_a_wire], ids=["in process", "over a wire"])
def door(request) -> Callable[[FakeLookup], Any]:
    """The way in."""
    return cast(Callable[[FakeLookup], Any], request.param)


async def test_a_verdict_is_looked_up_and_judged(door):
    """Every field of the answer comes from the evidence, the policy and the clock."""
    lookup = FakeLookup()
    lookup.records[ANNA] = [record("430000", "hn", Instant(NOW - 26 * HOUR), Instant(NOW - 16 * HOUR))]
    async with door(lookup) as verdicts:
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
    assert verdict.policy.policy_id == "110000-2022-07-02"
    assert len(verdict.policy.content_hash) == 32
    assert list(verdict.person_keys) == [ANNA]
    assert list(verdict.laboratories) == ["430000-lab"]
    assert verdict.newest_test == lookup.records[ANNA][0]


async def test_the_same_question_gives_the_same_bytes(door):
    """At a given instant and knowledge there is one answer."""
    lookup = FakeLookup()
    lookup.records[ANNA] = [
        record("430000", f"r{number}", Instant(NOW - number * HOUR), Instant(NOW - HOUR)) for number in range(2, 6)
    ]
    async with door(lookup) as verdicts:
        once = await verdicts.ComputeVerdict(compute(query(at=to_timestamp(NOW), known_at=to_timestamp(NOW))))
        lookup.records[ANNA].reverse()
        twice = await verdicts.ComputeVerdict(compute(query(at=to_timestamp(NOW), known_at=to_timestamp(NOW))))
    assert once.SerializeToString() == twice.SerializeToString()


async def test_concurrent_questions_leave_as_one_batch():
    """A hundred codes shown in one moment cost one call to the lookup."""
    lookup = FakeLookup()
    async with in_process(lookup) as verdicts:
        keys = [number.to_bytes(16) for number in range(100)]
        answers = await asyncio.gather(*(verdicts.ComputeVerdict(compute(query(key))) for key in keys))
    assert [list(answer.verdict.person_keys) for answer in answers] == [[key] for key in keys]
    assert [len(batch.queries) for batch in lookup.batches] == [100]


async def test_questions_of_different_purposes_do_not_share_a_batch():
    """The purpose travels with the batch, so it must be everyone's in it."""
    lookup = FakeLookup()
    async with in_process(lookup) as verdicts:
        check = pb.ComputeVerdictRequest(query=query(BORIS), purpose=Purpose.PURPOSE_VENUE_CHECK)
        await asyncio.gather(verdicts.ComputeVerdict(compute(query())), verdicts.ComputeVerdict(check))
    assert sorted((batch.purpose, len(batch.queries)) for batch in lookup.batches) == [
        (Purpose.PURPOSE_SHOW_CODE, 1),
        (Purpose.PURPOSE_VENUE_CHECK, 1),
    ]


async def test_a_batch_is_one_batch_and_one_error_does_not_sink_it(door):
    """Each wrong question has its own error, by its place in the request; the lookup sees only the right ones."""
    lookup = FakeLookup()
    lookup.records[BORIS] = [record("430000", "hn", Instant(NOW - 26 * HOUR), Instant(NOW - 16 * HOUR))]
    request = pb.BatchComputeVerdictsRequest(
        queries=[
            query(),
            query(region="999999"),
            pb.VerdictQuery(region="110000"),
            query(region="710000"),
            query(BORIS, "440000"),
            query(at=to_timestamp(parse_rfc3339("2020-01-01T00:00:00+08:00"))),
        ],
        purpose=Purpose.PURPOSE_SHOW_CODE,
    )
    async with door(lookup) as verdicts:
        outcomes = (await verdicts.BatchComputeVerdicts(request)).outcomes
    assert [outcome.WhichOneof("outcome") for outcome in outcomes] == [
        "verdict", "error", "error", "error", "verdict", "error"
    ]  # fmt: skip
    assert outcomes[1].error.violations[0].field == "queries[1].region"
    assert outcomes[1].error.violations[0].reason == "REGION_UNKNOWN"
    assert outcomes[2].error.violations[0].reason == "SUBJECT_REQUIRED"
    assert outcomes[3].error.reason == "NO_POLICY_IN_FORCE"
    assert outcomes[3].error.code == Code.FAILED_PRECONDITION
    assert outcomes[4].verdict.notice == vd.NOTICE_OUTCOME_ENFORCED
    assert outcomes[5].error.reason == "NO_POLICY_IN_FORCE"
    assert [len(batch.queries) for batch in lookup.batches] == [2]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("1899-12-31T23:59:59Z", "at"),
        ("9999-01-01T00:00:00Z", "at"),
        ("1969-12-31T23:59:59Z", "known_at"),
        ("9999-12-31T15:00:00Z", "known_at"),
    ],
)
async def test_an_instant_out_of_range_is_its_own_questions_error(door, text: str, field: str):
    """The other questions of the batch are answered, and the lookup never hears of it."""
    lookup = FakeLookup()
    wrong: dict[str, Any] = {field: to_timestamp(parse_rfc3339(text))}
    request = pb.BatchComputeVerdictsRequest(queries=[query(**wrong), query()], purpose=Purpose.PURPOSE_SHOW_CODE)
    async with door(lookup) as verdicts:
        outcomes = (await verdicts.BatchComputeVerdicts(request)).outcomes
    found = [(violation.field, violation.reason) for violation in outcomes[0].error.violations]
    assert found == [(f"queries[0].{field}", "INSTANT_RANGE")]
    assert outcomes[1].HasField("verdict")
    assert [len(batch.queries) for batch in lookup.batches] == [1]


async def test_the_last_instant_that_may_be_asked_about_is_answered_in_full(door):
    """Whatever turns after it can still be written."""
    at = parse_rfc3339("9998-12-31T23:59:59.999999Z")
    evidence = ev.Evidence(
        region="310000",
        scope=Scope.SCOPE_NATIONAL,
        records=[record("310000", "r", Instant(at - 2 * HOUR), Instant(at - HOUR))],
    )
    async with door(FakeLookup()) as verdicts:
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


async def test_a_laboratorys_standing_is_dated_within_the_calendar(door):
    """Every instant of it is looked at."""
    evidence = ev.Evidence(region="310000", scope=Scope.SCOPE_NATIONAL)
    laboratory = evidence.laboratories.add(laboratory="lab")
    laboratory.accredited.add().to.seconds = 1 << 50
    suspension = laboratory.suspensions.add()
    suspension.sampled.to.seconds = 1 << 50
    suspension.recorded_at.seconds = 1 << 50
    suspension.lifted_at.seconds = -(1 << 50)
    async with door(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.EvaluateEvidence(judged(evidence))
    where = "judge.evidence.laboratories[0]"
    assert violations(caught.value) == {
        f"{where}.accredited[0].to": "INSTANT_RANGE",
        f"{where}.suspensions[0].sampled.to": "INSTANT_RANGE",
        f"{where}.suspensions[0].recorded_at": "INSTANT_RANGE",
        f"{where}.suspensions[0].lifted_at": "INSTANT_RANGE",
    }


async def test_a_batch_of_wrong_questions_asks_nobody():
    """There is nothing to look up."""
    lookup = FakeLookup()
    async with in_process(lookup) as verdicts:
        request = pb.BatchComputeVerdictsRequest(queries=[query(region="")], purpose=Purpose.PURPOSE_SHOW_CODE)
        outcomes = (await verdicts.BatchComputeVerdicts(request)).outcomes
    assert outcomes[0].error.violations[0].reason == "REGION_REQUIRED"
    assert lookup.batches == []


@pytest.mark.parametrize("size", [0, 1001])
async def test_a_batch_has_1_to_1000_items(door, size: int):
    """Neither none nor more."""
    async with door(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.BatchComputeVerdicts(
                pb.BatchComputeVerdictsRequest(queries=[query()] * size, purpose=Purpose.PURPOSE_SHOW_CODE)
            )
    assert violations(caught.value) == {"queries": "BATCH_SIZE"}


async def test_a_lookup_that_cannot_be_asked_is_an_error_and_never_no_test(door):
    """UNAVAILABLE travels on as it is."""
    lookup = FakeLookup()
    lookup.error = Unavailable("SERVICE_UNREACHABLE", "查询服务无法连接", "The lookup service cannot be reached")
    async with door(lookup) as verdicts:
        for ask in (
            verdicts.ComputeVerdict(compute(query())),
            verdicts.BatchComputeVerdicts(
                pb.BatchComputeVerdictsRequest(queries=[query()], purpose=Purpose.PURPOSE_SHOW_CODE)
            ),
        ):
            with pytest.raises(ServiceError) as caught:
                await ask
            assert (caught.value.code, caught.value.reason) == (Code.UNAVAILABLE, "SERVICE_UNREACHABLE")


async def test_a_lookup_that_answers_too_little_is_an_error():
    """An answer must never be given to the wrong person."""
    lookup = FakeLookup()

    async def short(request: ev.BatchGetEvidenceRequest) -> ev.BatchGetEvidenceResponse:
        return ev.BatchGetEvidenceResponse()

    lookup.BatchGetEvidence = short  # type: ignore[method-assign]
    async with in_process(lookup) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.ComputeVerdict(compute(query()))
    assert caught.value.reason == "EVIDENCE_INCOMPLETE"


async def test_a_silent_source_leaves_the_verdict_undetermined(door):
    """The coverage says who did not answer, a reason says what that means."""
    lookup = FakeLookup()
    lookup.silent = {"nation"}
    async with door(lookup) as verdicts:
        verdict = (await verdicts.ComputeVerdict(compute(query()))).verdict
    assert verdict.status == vd.STATUS_UNDETERMINED
    assert verdict.reasons[0].code == "SOURCE_UNREACHABLE"
    assert [source.status for source in verdict.coverage] == [1, 2]


async def test_a_document_is_turned_into_a_key_before_it_travels_on(door):
    """The lookup sees the key, and a wrong number is refused without being repeated."""
    lookup = FakeLookup()
    document = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=" e1234567 8")
    async with door(lookup) as verdicts:
        await verdicts.ComputeVerdict(compute(pb.VerdictQuery(subject=Subject(document=document), region="110000")))
        wrong = Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number="110101199003070000")
        with pytest.raises(ServiceError) as caught:
            await verdicts.ComputeVerdict(compute(pb.VerdictQuery(subject=Subject(document=wrong), region="110000")))
    subject = lookup.batches[0].queries[0].subject
    assert subject.WhichOneof("subject") == "person_key"
    assert subject.person_key == PersonKeys(SECRET.encode()).of(document)
    assert violations(caught.value) == {"query.subject.document.number": "DOCUMENT_NUMBER_CHECK"}
    assert "110101199003070000" not in str(caught.value)


async def test_every_wrong_field_is_named_at_once(door):
    """One look at the error is enough to mend the request."""
    asked = pb.VerdictQuery(region="1100", scope=7)  # type: ignore[arg-type]
    asked.at.seconds = 10**12
    asked.known_at.CopyFrom(to_timestamp(Instant(NOW + HOUR)))
    async with door(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.ComputeVerdict(compute(asked))
    assert violations(caught.value) == {
        "query.subject": "SUBJECT_REQUIRED",
        "query.region": "REGION_UNKNOWN",
        "query.scope": "SCOPE_UNKNOWN",
        "query.at": "INSTANT_RANGE",
        "query.known_at": "KNOWN_AT_IN_FUTURE",
    }


async def test_scope_and_known_at_travel_to_the_lookup():
    """What the question leaves open is left to the holder's switch."""
    lookup = FakeLookup()
    async with in_process(lookup) as verdicts:
        await verdicts.ComputeVerdict(
            compute(query(scope=Scope.SCOPE_LOCAL, known_at=to_timestamp(Instant(NOW - HOUR))))
        )
        await verdicts.ComputeVerdict(compute(query()))
    first, second = (batch.queries[0] for batch in lookup.batches)
    assert (first.scope, first.known_at) == (Scope.SCOPE_LOCAL, to_timestamp(Instant(NOW - HOUR)))
    assert (second.scope, second.HasField("known_at")) == (Scope.SCOPE_UNSPECIFIED, False)


async def test_evidence_a_caller_brings_is_judged_without_asking_anyone(door):
    """And it may be judged as of any instant."""
    lookup = FakeLookup()
    evidence = ev.Evidence(
        region="310000",
        scope=Scope.SCOPE_NATIONAL,
        records=[record("510000", "sc", Instant(NOW - 4 * HOUR), None)],
    )
    async with door(lookup) as verdicts:
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


async def test_bad_evidence_is_refused_field_by_field(door):
    """What the stores would have refused is refused here too."""
    early = record("430000", "a", NOW, Instant(NOW - HOUR))
    sampling = record("430000", "b", NOW, None, result=rec.TEST_RESULT_NEGATIVE)
    unknown = record("43", "", NOW, NOW, tube=7, channel=0)
    bare = record("430000", "c", NOW, NOW)
    bare.content.ClearField("reported_at")
    evidence = ev.Evidence(records=[early, sampling, unknown, bare, early], coverage=[ev.SourceCoverage()])
    async with door(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.EvaluateEvidence(judged(evidence))
    assert violations(caught.value) == {
        "judge.evidence.region": "REGION_REQUIRED",
        "judge.evidence.scope": "SCOPE_REQUIRED",
        "judge.evidence.records[0].content.reported_at": "REPORTED_BEFORE_SAMPLED",
        "judge.evidence.records[1].content": "RESULT_IN_SAMPLING_RECORD",
        "judge.evidence.records[2].region": "VALUE_UNKNOWN",
        "judge.evidence.records[2].source_id": "VALUE_REQUIRED",
        "judge.evidence.records[2].content.tube": "VALUE_UNKNOWN",
        "judge.evidence.records[2].content.channel": "VALUE_UNKNOWN",
        "judge.evidence.records[3].content.reported_at": "VALUE_REQUIRED",
        "judge.evidence.records[4]": "RECORD_TWICE",
        "judge.evidence.records[4].content.reported_at": "REPORTED_BEFORE_SAMPLED",
        "judge.evidence.coverage[0].source": "VALUE_REQUIRED",
        "judge.evidence.coverage[0].status": "VALUE_UNKNOWN",
    }


async def test_a_result_still_to_come_is_not_shown(door):
    """Asked about an instant before the report, the newest test is the sampling record it was then."""
    lookup = FakeLookup()
    lookup.records[ANNA] = [record("110000", "a", Instant(NOW - 4 * HOUR), Instant(NOW - HOUR))]
    async with door(lookup) as verdicts:
        then = to_timestamp(Instant(NOW - 2 * HOUR))
        verdict = (await verdicts.ComputeVerdict(compute(query(at=then)))).verdict
    assert verdict.status == vd.STATUS_PENDING
    assert verdict.newest_test.content.kind == rec.RECORD_KIND_SAMPLING
    assert verdict.newest_test.content.result == rec.TEST_RESULT_UNSPECIFIED
    assert not verdict.newest_test.content.HasField("reported_at")
    assert lookup.records[ANNA][0].content.result == rec.TEST_RESULT_NEGATIVE


async def test_recognition_and_refusal_are_counted_for_supervision():
    """By region: that is how it is seen whether the notice is carried out."""

    def counted() -> tuple[float, ...]:
        return tuple(
            REGISTRY.get_sample_value("hutong_verdict_notice_total", {"region": region, "outcome": outcome}) or 0.0
            for region, outcome in (("410000", "REFUSAL"), ("440000", "ENFORCED"))
        )

    lookup = FakeLookup()
    lookup.records[ANNA] = [record("430000", "hn", Instant(NOW - 26 * HOUR), Instant(NOW - 16 * HOUR))]
    before = counted()
    async with in_process(lookup) as verdicts:
        await verdicts.ComputeVerdict(compute(query(region="410000")))
        await verdicts.ComputeVerdict(compute(query(region="440000")))
    assert counted() == (before[0] + 1, before[1] + 1)


async def test_the_span_of_a_verdict_says_region_scope_and_status(traced):
    """And nothing about the person."""
    async with in_process(FakeLookup()) as verdicts:
        await verdicts.ComputeVerdict(compute(query()))
    tracing.flush()
    found = [one.attributes for one in traced.spans if one.span.name.endswith("ComputeVerdict")]
    assert found == [{"region": "110000", "scope": "NATIONAL", "status": "NOT_RECOGNISED"}]


async def test_policies_are_listed_page_by_page(door):
    """Every page begins where the one before ended, and the whole is by region and start."""
    async with door(FakeLookup()) as policies:
        token, ids = "", []
        while True:
            page = await policies.ListPolicies(pol.ListPoliciesRequest(page_size=10, page_token=token))
            ids += [policy.policy_id for policy in page.policies]
            assert all(not policy.yaml and policy.title.zh for policy in page.policies)
            token = page.next_page_token
            if not token:
                break
        shanghai = await policies.ListPolicies(pol.ListPoliciesRequest(region="310000"))
        with pytest.raises(ServiceError) as caught:
            await policies.ListPolicies(pol.ListPoliciesRequest(page_size=-1, page_token="nothing"))
    assert ids == sorted(ids)
    assert len(ids) == len(set(ids)) > 31
    assert ids[-1] == "nation-2022-07-29"
    assert [policy.policy_id for policy in shanghai.policies] == ["310000-2022-06-01", "310000-2022-08-05"]
    assert violations(caught.value) == {"page_size": "PAGE_SIZE"}


async def test_a_policy_is_shown_whole(door):
    """With the file it came from."""
    async with door(FakeLookup()) as policies:
        policy = (await policies.GetPolicy(pol.GetPolicyRequest(policy_id="110000-2022-07-02"))).policy
        with pytest.raises(ServiceError) as caught:
            await policies.GetPolicy(pol.GetPolicyRequest(policy_id="110000-1999-01-01"))
    assert policy.region == "110000"
    assert 'region: "110000"' in policy.yaml
    assert policy.effective_from == to_timestamp(parse_rfc3339("2022-07-02T00:00:00+08:00"))
    assert (caught.value.code, caught.value.reason) == (Code.NOT_FOUND, "POLICY_NOT_FOUND")


async def test_every_region_with_a_policy_has_a_digest(door):
    """The 31 of the mainland, and none for a region without: there is nothing to keep for it."""
    async with door(FakeLookup()) as policies:
        response = await policies.GetPolicyDigests(pol.GetPolicyDigestsRequest())
    assert len(response.digests) == 31
    assert "710000" not in response.digests
    assert {len(digest) for digest in response.digests.values()} == {8}
    assert response.loaded_at == to_timestamp(NOW)


def test_the_numbers_of_the_contract_are_those_of_the_engine():
    """Enumerations cross by number."""
    from hutong.lookup.v1 import region_pb2

    from services.verdict.domain import model

    pairs = [
        (model.Scope, region_pb2.Scope, "SCOPE_"),
        (model.Kind, rec.RecordKind, "RECORD_KIND_"),
        (model.Result, rec.TestResult, "TEST_RESULT_"),
        (model.Tube, rec.Tube, "TUBE_"),
        (model.Channel, rec.Channel, "CHANNEL_"),
        (model.Status, vd.Status, "STATUS_"),
        (model.Colour, vd.Colour, "COLOUR_"),
        (model.NoticeOutcome, vd.NoticeOutcome, "NOTICE_OUTCOME_"),
    ]
    for ours, theirs, prefix in pairs:
        assert {member.name: member.value for member in ours if member.value} == {
            name.removeprefix(prefix): number for name, number in theirs.items() if number
        }
