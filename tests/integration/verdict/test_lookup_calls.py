"""The verdict service asks the lookup service by person key, and takes its silence for what it is."""

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.lookup.v1 import evidence_service_pb2 as ev
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1 import verdict_pb2 as vd
from hutong.verdict.v1 import verdict_service_pb2 as pb

from services.common.documents import PersonKeys
from services.common.errors import Code, ServiceError, Unavailable
from services.common.identities import RECORDS
from services.common.instants import HOUR, Instant, to_timestamp
from tests.testkit.builders.verdict_requests import NOW, compute, query, violations
from tests.testkit.fakes.lookup import FakeLookup
from tests.testkit.secret import SECRET
from tests.testkit.servers.verdict_service import in_process


async def test_a_lookup_that_cannot_be_asked_is_an_error_and_never_no_test(transport):
    """UNAVAILABLE travels on as it is."""
    lookup = FakeLookup()
    lookup.error = Unavailable("SERVICE_UNREACHABLE", "查询服务无法连接", "The lookup service cannot be reached")
    async with transport(lookup) as verdicts:
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
        return ev.BatchGetEvidenceResponse(identity=lookup.identity)

    lookup.BatchGetEvidence = short  # type: ignore[method-assign]
    async with in_process(lookup) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.ComputeVerdict(compute(query()))
    assert caught.value.reason == "EVIDENCE_INCOMPLETE"


@pytest.mark.parametrize(
    ("mistake", "reason"), [("secret", "OTHER_SECRET"), ("kind", "WRONG_STORE"), ("", "WRONG_STORE")]
)
async def test_evidence_of_another_mesh_is_not_judged(transport, mistake: str, reason: str):
    """Nobody is found by keys of another secret: that is no "no test"."""
    lookup = FakeLookup()
    if mistake == "secret":
        lookup.identity.secret_fingerprint = b"another!"
    elif mistake == "kind":
        lookup.identity.kind = RECORDS
    else:
        lookup.identity.Clear()
    async with transport(lookup) as verdicts:
        for ask in (
            verdicts.ComputeVerdict(compute(query())),
            verdicts.BatchComputeVerdicts(
                pb.BatchComputeVerdictsRequest(queries=[query()], purpose=Purpose.PURPOSE_SHOW_CODE)
            ),
        ):
            with pytest.raises(ServiceError) as caught:
                await ask
            assert (caught.value.code, caught.value.reason) == (Code.UNAVAILABLE, reason)


async def test_a_silent_source_leaves_the_verdict_undetermined(transport):
    """The coverage says who did not answer, a reason says what that means."""
    lookup = FakeLookup()
    lookup.silent = {"nation"}
    async with transport(lookup) as verdicts:
        verdict = (await verdicts.ComputeVerdict(compute(query()))).verdict
    assert verdict.status == vd.STATUS_UNDETERMINED
    assert verdict.reasons[0].code == "SOURCE_UNREACHABLE"
    assert [source.status for source in verdict.coverage] == [1, 2]


async def test_a_document_is_turned_into_a_key_before_it_travels_on(transport):
    """The lookup sees the key, and a wrong number is refused without being repeated."""
    lookup = FakeLookup()
    document = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=" e1234567 8")
    async with transport(lookup) as verdicts:
        await verdicts.ComputeVerdict(compute(pb.VerdictQuery(subject=Subject(document=document), region="110000")))
        wrong = Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number="110101199003070000")
        with pytest.raises(ServiceError) as caught:
            await verdicts.ComputeVerdict(compute(pb.VerdictQuery(subject=Subject(document=wrong), region="110000")))
    subject = lookup.batches[0].queries[0].subject
    assert subject.WhichOneof("subject") == "person_key"
    assert subject.person_key == PersonKeys(SECRET.encode()).of(document)
    assert violations(caught.value) == {"query.subject.document.number": "DOCUMENT_NUMBER_CHECK"}
    assert "110101199003070000" not in str(caught.value)


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
