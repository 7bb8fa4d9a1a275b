"""A nation that has not heard of some regions lately: they are asked themselves, and nobody else is."""

from typing import Any

from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, Evidence, GetEvidenceRequest, SourceStatus

from tests.testkit.fakes.record_store import DEAD, RecordStore
from tests.testkit.servers.lookup_service import PURPOSE, Start, key, lookup, mesh, query

__all__ = ["lookup"]

OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE
BEIJING, HUNAN, SICHUAN = "110000", "430000", "510000"


def _behind() -> dict[str, RecordStore]:
    """Hunan has stored what the nation has not heard of."""
    stores = mesh(BEIJING, HUNAN, SICHUAN)
    stores["nation"].follows = [stores[BEIJING], stores[SICHUAN]]
    stores["nation"].behind = [HUNAN]
    stores[HUNAN].put(key(1), "S1")
    return stores


async def _ask(client: Any, number: int = 1, region: str = BEIJING) -> Evidence:
    request = GetEvidenceRequest(query=query(number, region), purpose=PURPOSE)
    evidence: Evidence = (await client.GetEvidence(request)).evidence
    return evidence


def _coverage(evidence: Evidence) -> dict[str, SourceStatus.ValueType]:
    return {cover.source: cover.status for cover in evidence.coverage}


async def test_region_the_nation_has_not_heard_of_is_asked_itself(lookup: Start) -> None:
    """What it has committed since is found; a region that was heard of is not asked."""
    stores = _behind()
    evidence = await _ask(await lookup(stores))
    assert [record.source_id for record in evidence.records] == ["S1"]
    assert _coverage(evidence) == {BEIJING: OK, "nation": OK, HUNAN: OK}
    assert stores[SICHUAN].asked == []


async def test_newer_revision_of_the_region_counts(lookup: Start) -> None:
    """The nation's older copy of the same record does not."""
    stores = _behind()
    stores["nation"].put(key(1), "S1", region=HUNAN)
    stores[HUNAN].put(key(1), "S1")
    (record,) = (await _ask(await lookup(stores))).records
    assert record.revision == 2


async def test_region_that_does_not_answer_either_is_told(lookup: Start) -> None:
    """Nobody knows what it has committed, and that is said."""
    stores = _behind()
    stores[HUNAN].error = DEAD
    evidence = await _ask(await lookup(stores))
    assert _coverage(evidence) == {BEIJING: OK, "nation": OK, HUNAN: UNREACHABLE}


async def test_region_that_nobody_reaches_is_told_with_up_to_when_it_is_known(lookup: Start) -> None:
    """What the nation had of it before counts, and a verdict can say how far that goes."""
    stores = _behind()
    stores["nation"].behind_as_of = [7]
    stores[HUNAN].error = DEAD
    evidence = await _ask(await lookup(stores))
    assert {cover.source: cover.as_of.seconds for cover in evidence.coverage}[HUNAN] == 7


async def test_region_that_is_not_on_the_mesh_of_lookup_is_told(lookup: Start) -> None:
    """It cannot be asked."""
    stores = _behind()
    del stores[HUNAN]
    assert _coverage(await _ask(await lookup(stores))) == {BEIJING: OK, "nation": OK, HUNAN: UNREACHABLE}


async def test_region_behind_is_asked_once_for_a_batch_and_not_twice_for_its_own_questions(lookup: Start) -> None:
    """Its own questions have asked it already."""
    stores = _behind()
    client = await lookup(stores)
    request = BatchGetEvidenceRequest(queries=[query(1), query(2), query(3, HUNAN)], purpose=PURPOSE)
    answers = (await client.BatchGetEvidence(request)).evidence
    assert stores[HUNAN].asked == [[key(3)], [key(1), key(2)]]
    assert _coverage(answers[2]) == {HUNAN: OK, "nation": OK}
