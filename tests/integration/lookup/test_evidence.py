"""Evidence: who is asked, what comes back, and what is refused, in one process and over a wire."""

import asyncio
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.lookup.v1.evidence_service_pb2 import (
    BatchGetEvidenceRequest,
    Evidence,
    EvidenceQuery,
    GetEvidenceRequest,
    SourceStatus,
)
from hutong.lookup.v1.holder_service_pb2 import LinkDocumentsRequest, SwitchScopeRequest
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.documents import PersonKeys
from services.common.errors import Code, ServiceError
from services.lookup.evidence.sign_of_life import NOBODY
from tests.testkit.fakes.record_store import content
from tests.testkit.secret import SECRET
from tests.testkit.servers.lookup_service import DECISION, PURPOSE, Start, key, lookup, mesh, person, query

__all__ = ["lookup"]

OK = SourceStatus.SOURCE_STATUS_OK
BEIJING, LIAONING, HUNAN, HUBEI = "110000", "210000", "430000", "420000"


async def one(client: Any, asked: EvidenceQuery) -> Evidence:
    """The answer to a single question."""
    evidence: Evidence = (await client.GetEvidence(GetEvidenceRequest(query=asked, purpose=PURPOSE))).evidence
    return evidence


async def many(client: Any, *asked: EvidenceQuery) -> list[Evidence]:
    """The answers to a batch of questions."""
    request = BatchGetEvidenceRequest(queries=asked, purpose=PURPOSE)
    return list((await client.BatchGetEvidence(request)).evidence)


def ids(evidence: Evidence) -> list[tuple[str, str, int]]:
    """The records of an answer by region, id and revision."""
    return [(record.region, record.source_id, record.revision) for record in evidence.records]


def sources(evidence: Evidence) -> list[str]:
    """The sources of an answer that should have been asked."""
    return [cover.source for cover in evidence.coverage]


async def test_a_result_from_elsewhere_is_found_with_its_laboratory_and_who_was_asked(lookup: Start) -> None:
    """Beijing learns through the nation what Hunan keeps; Hunan itself is not asked."""
    stores = mesh(BEIJING, HUNAN)
    record = stores[HUNAN].put(key(1), "S1")
    stores[HUNAN].laboratories["430000-xiangya"] = Laboratory(laboratory="430000-xiangya", revision=3)
    stores[BEIJING].as_of = 9_000
    client = await lookup(stores)
    found = await one(client, query(1))
    assert found.HasField("known_at")
    found.ClearField("known_at")
    assert found == Evidence(
        region=BEIJING,
        scope=Scope.SCOPE_NATIONAL,
        person_keys=[key(1)],
        records=[record],
        laboratories=[Laboratory(laboratory="430000-xiangya", revision=3)],
        coverage=[
            {"source": BEIJING, "status": OK, "as_of": Timestamp(seconds=9_000)},  # type: ignore[list-item]
            {"source": "nation", "status": OK, "as_of": Timestamp(seconds=10_000)},  # type: ignore[list-item]
        ],
    )
    assert stores[HUNAN].asked == []
    assert stores["nation"].purposes == {PURPOSE}


async def test_a_region_that_is_not_on_the_mesh_is_known_to_the_nation_alone(lookup: Start) -> None:
    """Its store is not missing from the coverage: it should not have been asked."""
    stores = mesh(BEIJING)
    stores["nation"].put(key(1), "F1", region=HUBEI)
    evidence = await one(await lookup(stores), query(1, HUBEI))
    assert ids(evidence) == [(HUBEI, "F1", 1)]
    assert sources(evidence) == ["nation"]


async def test_each_source_is_asked_once_for_all_who_need_it(lookup: Start) -> None:
    """A batch over several regions and the same people: one question a source, nobody in it twice."""
    stores = mesh(BEIJING, HUNAN)
    client = await lookup(stores)
    answers = await many(client, query(1), query(2), query(1), query(2, HUNAN), query(3, HUBEI))
    assert [answer.region for answer in answers] == [BEIJING, BEIJING, BEIJING, HUNAN, HUBEI]
    assert [sorted(keys) for keys in stores["nation"].asked] == [[key(1), key(2), key(3)]]
    assert [sorted(keys) for keys in stores[BEIJING].asked] == [[key(1), key(2)]]
    assert stores[HUNAN].asked == [[key(2)]]


async def test_more_people_than_a_source_takes_are_asked_for_in_chunks(lookup: Start) -> None:
    """A thousand questions about a thousand people, one of whom has a second document."""
    stores = mesh()
    stores["nation"].put(key(5_000), "second")
    client = await lookup(stores)
    link = LinkDocumentsRequest(subject=person(7), other=person(5_000), cause="renewed", purpose=DECISION)
    await client.LinkDocuments(link)
    answers = await many(client, *(query(n, HUBEI) for n in range(1_000)))
    assert [len(keys) for keys in stores["nation"].asked if keys != [NOBODY]] == [1_000, 1]
    assert [n for n, answer in enumerate(answers) if answer.records] == [7]
    assert list(answers[7].person_keys) == [key(7), key(5_000)]


async def test_a_record_held_twice_comes_once_in_its_newest_revision(lookup: Start) -> None:
    """The nation may lag behind the home store, or the other way round; so may what they know of a laboratory."""
    stores = mesh(BEIJING)
    nation = stores["nation"]
    nation.follows = []
    stores[BEIJING].put(key(1), "ahead", content(1), revision=2)
    nation.put(key(1), "ahead", content(2), region=BEIJING, revision=1)
    stores[BEIJING].put(key(1), "behind", content(3), revision=1)
    nation.put(key(1), "behind", content(4), region=BEIJING, revision=2)
    stores[BEIJING].laboratories["430000-xiangya"] = Laboratory(laboratory="430000-xiangya", revision=1)
    nation.laboratories["430000-xiangya"] = Laboratory(laboratory="430000-xiangya", revision=2)
    evidence = await one(await lookup(stores), query(1))
    assert ids(evidence) == [(BEIJING, "ahead", 2), (BEIJING, "behind", 2)]
    assert [record.content.sampled_at.seconds for record in evidence.records] == [1, 4]
    assert [laboratory.revision for laboratory in evidence.laboratories] == [2]


async def test_linked_documents_are_asked_for_together(lookup: Start) -> None:
    """Whichever document is shown, the tests of all of them are there, and the key asked for comes first."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(2), "old-passport")
    client = await lookup(stores)
    await client.LinkDocuments(
        LinkDocumentsRequest(subject=person(2), other=person(1), cause="passport renewed", purpose=DECISION)
    )
    for shown, keys in ((1, [key(1), key(2)]), (2, [key(2), key(1)])):
        evidence = await one(client, query(shown))
        assert list(evidence.person_keys) == keys
        assert ids(evidence) == [(HUNAN, "old-passport", 1)]


async def test_the_switch_applies_unless_the_question_says_otherwise(lookup: Start) -> None:
    """It holds in its region only; the same sources are asked whatever the scope."""
    stores = mesh(BEIJING, LIAONING)
    client = await lookup(stores)
    await client.SwitchScope(
        SwitchScopeRequest(subject=person(1), region=LIAONING, scope=Scope.SCOPE_LOCAL, purpose=DECISION)
    )
    answers = await many(
        client,
        query(1, LIAONING),
        query(1, LIAONING, scope=Scope.SCOPE_NATIONAL),
        query(1, BEIJING),
        query(1, BEIJING, scope=Scope.SCOPE_LOCAL),
        query(2, LIAONING),
    )
    local, national = Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL
    assert [answer.scope for answer in answers] == [local, national, national, local, national]
    assert sources(answers[0]) == [LIAONING, "nation"]


async def test_instants_travel_apart_and_now_means_now(lookup: Start) -> None:
    """Questions as known at different instants go to each source once for each instant."""
    stores = mesh(BEIJING)
    stores[BEIJING].put(key(1), "S1", content(1), recorded=1_000)
    stores[BEIJING].put(key(1), "S1", content(2), recorded=2_000)
    client = await lookup(stores)
    at = [Timestamp(seconds=seconds) for seconds in (999, 1_500)]
    answers = await many(client, query(1), query(1, known_at=at[0]), query(1, known_at=at[1]), query(2, known_at=at[1]))
    assert [ids(answer) for answer in answers] == [[(BEIJING, "S1", 2)], [], [(BEIJING, "S1", 1)], []]
    assert sorted(stores["nation"].known_at, key=str) == [1_500, 999, None]


async def test_questions_of_one_moment_travel_together(lookup: Start) -> None:
    """Single calls become one batch a hop; a wrong one among them fails alone."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(7), "S7")
    stores["nation"].delay = 0.05
    client = await lookup(stores)
    answers = await asyncio.gather(
        *(one(client, query(n)) for n in range(50)), one(client, query(1, "999999")), return_exceptions=True
    )
    assert [ids(found) for found in answers if isinstance(found, Evidence) and found.records] == [[(HUNAN, "S7", 1)]]
    assert isinstance(answers[50], ServiceError)
    assert len(stores["nation"].asked) <= 12
    assert sum(len(keys) for keys in stores["nation"].asked) == 50


async def test_a_document_is_the_same_person_as_its_key(lookup: Start) -> None:
    """Region systems send documents, services keys."""
    document = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=" e1234567 ")
    stores = mesh(HUNAN)
    person_key = PersonKeys(SECRET.encode()).of(document)
    stores[HUNAN].put(person_key, "S1")
    evidence = await one(await lookup(stores), EvidenceQuery(subject=Subject(document=document), region=BEIJING))
    assert list(evidence.person_keys) == [person_key]
    assert ids(evidence) == [(HUNAN, "S1", 1)]


async def test_every_wrong_field_of_a_batch_is_named(lookup: Start) -> None:
    """With its place in the batch and a stable reason; nothing is asked."""
    stores = mesh(BEIJING)
    client = await lookup(stores)
    with pytest.raises(ServiceError) as refused:
        await many(
            client,
            query(1),
            EvidenceQuery(subject=Subject(person_key=b"short")),
            EvidenceQuery(region=BEIJING),
            query(1, "430100"),
            query(1, known_at=Timestamp(seconds=-1)),
            query(1, scope=9),
        )
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert [(violation.field, violation.reason) for violation in refused.value.violations] == [
        ("queries[1].subject.person_key", "PERSON_KEY_LENGTH"),
        ("queries[1].region", "REGION_REQUIRED"),
        ("queries[2].subject", "SUBJECT_REQUIRED"),
        ("queries[3].region", "REGION_UNKNOWN"),
        ("queries[4].known_at", "INSTANT_RANGE"),
        ("queries[5].scope", "SCOPE_UNKNOWN"),
    ]
    assert stores["nation"].asked == []


@pytest.mark.parametrize("size", [0, 1_001])
async def test_a_batch_has_one_to_a_thousand_questions(lookup: Start, size: int) -> None:
    """Neither none nor more."""
    client = await lookup(mesh())
    with pytest.raises(ServiceError) as refused:
        await many(client, *(query(n) for n in range(size)))
    assert [(violation.field, violation.reason) for violation in refused.value.violations] == [
        ("queries", "BATCH_SIZE")
    ]


async def test_a_thousand_wrong_questions_still_fit_into_an_error(lookup: Start) -> None:
    """The trailers of a gRPC call are small: the first twenty are named."""
    client = await lookup(mesh())
    with pytest.raises(ServiceError) as refused:
        await many(client, *(query(n, "999999") for n in range(1_000)))
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert len(refused.value.violations) == 20


async def test_a_question_without_a_purpose_is_refused(lookup: Start) -> None:
    """PIPL: no data about a person without a reason."""
    client = await lookup(mesh())
    with pytest.raises(ServiceError) as refused:
        await client.GetEvidence(GetEvidenceRequest(query=query(1), purpose=Purpose.PURPOSE_UNSPECIFIED))
    assert [violation.reason for violation in refused.value.violations] == ["PURPOSE_REQUIRED"]
