"""A store that is another than was meant is unreachable, with a reason, and nothing that it says is used."""

import asyncio
from typing import Any

import pytest
from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, Evidence, SourceStatus
from prometheus_client import REGISTRY

from tests.testkit.fakes.record_store import RecordStore
from tests.testkit.servers.lookup_service import PURPOSE, Start, key, lookup, mesh, query

__all__ = ["lookup"]

OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE
BEIJING, HUNAN = "110000", "430000"


async def ask(client: Any, number: int = 1, region: str = BEIJING) -> Evidence:
    """The evidence of one question."""
    request = BatchGetEvidenceRequest(queries=[query(number, region)], purpose=PURPOSE)
    evidence: Evidence = (await client.BatchGetEvidence(request)).evidence[0]
    return evidence


def coverage(evidence: Evidence) -> dict[str, tuple[SourceStatus.ValueType, str]]:
    """Status and reason of each source."""
    return {one.source: (one.status, one.reason) for one in evidence.coverage}


def told_wrong(source: str, reason: str) -> float | None:
    """Returns the metric's figure of a source."""
    return REGISTRY.get_sample_value("hutong_lookup_source_wrong", {"source": source, "reason": reason})


async def test_two_addresses_swapped_are_unreachable_both(lookup: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Tested in 110000 and asked about there: not "not found", but "could not be asked", and an operator is told."""
    stores = mesh(BEIJING, HUNAN)
    stores[BEIJING].put(key(1), "B1")
    stores[BEIJING], stores[HUNAN] = stores[HUNAN], stores[BEIJING]
    evidence = await ask(await lookup(stores))
    assert (UNREACHABLE, "WRONG_STORE") == coverage(evidence)[BEIJING]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [(BEIJING, "WRONG_STORE")] == [(one.source, one.reason) for one in errors]  # type: ignore[attr-defined]
    assert 1 == told_wrong(BEIJING, "WRONG_STORE")


async def test_the_nations_store_is_not_a_regions(lookup: Start) -> None:
    """It answers for all, and yet not for the one that is meant."""
    stores = mesh(BEIJING)
    stores[BEIJING] = RecordStore("nation")
    assert (UNREACHABLE, "WRONG_STORE") == coverage(await ask(await lookup(stores)))[BEIJING]


async def test_a_store_that_does_not_say_who_it_is_is_nobodys(lookup: Start) -> None:
    """What tells nothing of itself is not taken for the one that is meant."""
    stores = mesh(HUNAN)
    stores[HUNAN].identity.Clear()
    assert (UNREACHABLE, "WRONG_STORE") == coverage(await ask(await lookup(stores), 1, HUNAN))[HUNAN]


async def test_a_store_of_another_secret_knows_nobody_and_says_so(lookup: Start) -> None:
    """Its "not found" is about other keys. Once it is mended, it is asked again."""
    stores = mesh(BEIJING)
    stores[BEIJING].put(key(1), "B1")
    right = stores["nation"].identity.secret_fingerprint
    stores["nation"].identity.secret_fingerprint = b"another!"
    client = await lookup(stores)
    evidence = await ask(client)
    assert (UNREACHABLE, "OTHER_SECRET") == coverage(evidence)["nation"]
    # It is remembered to be down, and the reason with it.
    assert (UNREACHABLE, "OTHER_SECRET") == coverage(await ask(client))["nation"]
    stores["nation"].identity.secret_fingerprint = right
    for _ in range(100):
        if coverage(await ask(client))["nation"] == (OK, ""):
            break
        await _pause()
    assert (OK, "") == coverage(await ask(client))["nation"]
    assert 0 == told_wrong("nation", "OTHER_SECRET")


async def test_another_feed_behind_one_name_is_noticed(lookup: Start) -> None:
    """Two files behind one name: the one that the nation follows counts, until the nation follows the other."""
    stores = mesh(BEIJING)
    stores[BEIJING].put(key(1), "B1")
    client = await lookup(stores)
    assert (OK, "") == coverage(await ask(client))[BEIJING]
    other = RecordStore(BEIJING)
    other.identity.feed_id = "another file"
    told = stores[BEIJING].identity.feed_id
    stores[BEIJING].identity.feed_id = "another file"
    stores["nation"].follows = [RecordStore(BEIJING)]
    assert stores["nation"].follows[0].identity.feed_id == told
    assert (UNREACHABLE, "FEED_CHANGED") == coverage(await ask(client))[BEIJING]
    stores["nation"].follows = [other]
    for _ in range(100):
        if coverage(await ask(client))[BEIJING] == (OK, ""):
            break
        await _pause()
    assert (OK, "") == coverage(await ask(client))[BEIJING]


async def test_a_region_that_the_nation_does_not_follow_is_asked_itself(lookup: Start) -> None:
    """Its people are found, and where it does not answer, that is told."""
    stores = mesh(BEIJING, HUNAN)
    stores["nation"].follows = [stores[BEIJING]]
    stores[HUNAN].put(key(1), "H1")
    evidence = await ask(await lookup(stores))
    assert ["H1"] == [record.source_id for record in evidence.records]
    assert {BEIJING, "nation", HUNAN} == coverage(evidence).keys()


async def _pause() -> None:
    await asyncio.sleep(0.05)
