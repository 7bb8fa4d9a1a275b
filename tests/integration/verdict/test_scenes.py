"""Scenes, and the date of birth that a document tells, through the contract."""

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.lookup.v1 import evidence_service_pb2 as ev
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1 import verdict_pb2 as vd
from hutong.verdict.v1 import verdict_service_pb2 as pb
from hutong.verdict.v1.scene_pb2 import Scene

from services.common.errors import ServiceError
from services.common.id_numbers import check_character
from services.common.instants import HOUR, Instant, from_timestamp, parse_rfc3339, to_timestamp
from tests.testkit.builders.verdict_requests import ANNA, compute, judged, query, record, violations
from tests.testkit.fakes.lookup import FakeLookup

AUTUMN = parse_rfc3339("2022-10-10T12:00:00+08:00")


def _child(born: str) -> Subject:
    digits = f"310101{born.replace('-', '')}002"
    return Subject(
        document=Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number=digits + check_character(digits))
    )


async def test_a_scene_is_judged_by_its_own_rules(transport):
    """The verdict says which rules judged; the code itself is another question."""
    lookup = FakeLookup()
    lookup.records[ANNA] = [record("340000", "ah", Instant(AUTUMN - 70 * HOUR), Instant(AUTUMN - 60 * HOUR))]
    at = to_timestamp(AUTUMN)
    queries = [
        query(region="310000", at=at, scene=scene)
        for scene in (Scene.SCENE_HOTEL, Scene.SCENE_METRO, Scene.SCENE_SCHOOL, Scene.SCENE_UNSPECIFIED)
    ]
    async with transport(lookup) as verdicts:
        request = pb.BatchComputeVerdictsRequest(queries=queries, purpose=Purpose.PURPOSE_VENUE_CHECK)
        response = await verdicts.BatchComputeVerdicts(request)
    hotel, metro, school, code = [outcome.verdict for outcome in response.outcomes]
    assert (hotel.status, hotel.scene, hotel.judged_by_scene_rules) == (
        vd.STATUS_NOT_RECOGNISED,
        Scene.SCENE_HOTEL,
        True,
    )
    assert (metro.status, metro.judged_by_scene_rules) == (vd.STATUS_RECOGNISED, True)
    assert (school.status, school.scene, school.judged_by_scene_rules) == (
        vd.STATUS_RECOGNISED,
        Scene.SCENE_SCHOOL,
        False,
    )
    assert (code.scene, code.judged_by_scene_rules) == (Scene.SCENE_UNSPECIFIED, False)


async def test_a_document_tells_the_date_of_birth_and_no_lookup_hears_of_it(transport):
    """Under three years of age nothing is asked, until the birthday."""
    lookup = FakeLookup()
    subject = _child("2019-10-11")
    asked = pb.VerdictQuery(subject=subject, region="310000", at=to_timestamp(AUTUMN))
    async with transport(lookup) as verdicts:
        verdict = (await verdicts.ComputeVerdict(compute(asked))).verdict
    assert verdict.status == vd.STATUS_NOT_REQUIRED
    assert [ground.clause for ground in verdict.grounds] == ["EXEMPT_BY_AGE"]
    assert from_timestamp(verdict.fresh_until) == parse_rfc3339("2022-10-11T00:00:00+08:00")
    sent = b"".join(batch.SerializeToString() for batch in lookup.batches)
    assert b"20191011" not in sent
    assert b"2019-10-11" not in sent


async def test_a_key_brings_the_date_of_birth_along(transport):
    """The services of the mesh name a person by key; without the date nobody is exempt."""
    at = to_timestamp(AUTUMN)
    async with transport(FakeLookup()) as verdicts:
        told = await verdicts.ComputeVerdict(compute(query(region="310000", at=at, date_of_birth="2020-02-29")))
        untold = await verdicts.ComputeVerdict(compute(query(region="310000", at=at)))
    assert told.verdict.status == vd.STATUS_NOT_REQUIRED
    assert untold.verdict.status == vd.STATUS_NOT_RECOGNISED


async def test_evidence_is_judged_for_a_scene(transport):
    """A caller's evidence as well."""
    evidence = ev.Evidence(region="310000", scope=Scope.SCOPE_NATIONAL)
    async with transport(FakeLookup()) as verdicts:
        answer = await verdicts.EvaluateEvidence(
            judged(evidence, at=to_timestamp(AUTUMN), scene=Scene.SCENE_HOTEL, date_of_birth="2022-01-01")
        )
    assert answer.verdict.status == vd.STATUS_NOT_REQUIRED
    assert answer.verdict.judged_by_scene_rules


@pytest.mark.parametrize("born", ["2022-02-30", "22-01-01", "2022-01-01T00:00:00Z", "20220101"])
async def test_a_wrong_scene_or_date_is_named(transport, born: str):
    """Both of them at once."""
    async with transport(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.ComputeVerdict(compute(query(scene=99, date_of_birth=born)))
    assert violations(caught.value) == {
        "query.scene": "SCENE_UNKNOWN",
        "query.date_of_birth": "DATE_OF_BIRTH_FORMAT",
    }


async def test_two_laboratories_of_one_id_are_refused(transport):
    """Which of the two standings would hold?"""
    evidence = ev.Evidence(region="310000", scope=Scope.SCOPE_NATIONAL)
    evidence.laboratories.add(laboratory="lab")
    evidence.laboratories.add(laboratory="other")
    evidence.laboratories.add(laboratory="lab").suspensions.add()
    async with transport(FakeLookup()) as verdicts:
        with pytest.raises(ServiceError) as caught:
            await verdicts.EvaluateEvidence(judged(evidence))
    assert violations(caught.value) == {"judge.evidence.laboratories[2]": "LABORATORY_TWICE"}


async def test_a_batch_says_who_judged(transport):
    """Replicas of other policies, software or clocks can be told apart."""
    async with transport(FakeLookup()) as verdicts:
        request = pb.BatchComputeVerdictsRequest(queries=[query()], purpose=Purpose.PURPOSE_SHOW_CODE)
        judge = (await verdicts.BatchComputeVerdicts(request)).judge
    assert judge.version
    assert len(judge.policies_digest) == 8
    assert judge.HasField("clock")
