"""Many instants of the past in one batch cost one call for many, and nobody else waits for them."""

import asyncio
import time
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.lookup.v1.evidence_service_pb2 import (
    BatchGetEvidenceRequest,
    EvidenceQuery,
    GetEvidenceRequest,
    SourceStatus,
)
from prometheus_client import REGISTRY

from services.common.errors import Code, ServiceError
from tests.testkit.fakes.record_store import DEAD
from tests.testkit.servers.lookup_service import PURPOSE, Start, deadline, key, lookup, mesh, query

__all__ = ["lookup"]

OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE
BEIJING, HUNAN = "110000", "430000"


async def batch(client: Any, queries: list[EvidenceQuery]) -> list[Any]:
    """The evidence of a batch."""
    return list((await client.BatchGetEvidence(BatchGetEvidenceRequest(queries=queries, purpose=PURPOSE))).evidence)


def at(number: int, second: int, region: str = BEIJING) -> EvidenceQuery:
    """A question about somebody as known at a second since the epoch."""
    return query(number, region, known_at=Timestamp(seconds=second))


async def test_a_thousand_instants_are_answered_as_each_alone(lookup: Start) -> None:
    """Every person at an instant of their own, in two regions; each store gets a few calls for all of them."""
    stores = mesh(BEIJING, HUNAN)
    for number in range(1, 1001):
        stores[BEIJING if number % 2 else HUNAN].put(key(number), f"S{number}", recorded=5_000 + number % 7)
    client = await lookup(stores)
    queries = [at(n, 4_500 + n, BEIJING if n % 3 else HUNAN) for n in range(1, 1001)]
    with deadline(20.0):
        evidence = await batch(client, queries)
    assert {OK} == {cover.status for one in evidence for cover in one.coverage}
    assert {store.calls for store in stores.values()} <= set(range(1, 21))
    for place in (0, 499, 500, 506, 999):
        assert evidence[place] == (await batch(client, [queries[place]]))[0]
    assert {0, 1} == {len(one.records) for one in evidence}


async def test_nobody_else_waits_and_no_source_is_taken_for_down(lookup: Start) -> None:
    """While batches of the past are worked on, single questions are answered, and the sources stay trusted."""
    stores = mesh(BEIJING)
    client = await lookup(stores)

    async def past() -> None:
        with deadline(20.0):
            await batch(client, [at(n, 6_000 + n) for n in range(1, 1001)])

    async def live() -> None:
        for _ in range(20):
            with deadline(5.0):
                request = GetEvidenceRequest(query=query(1), purpose=PURPOSE)
                evidence = (await client.GetEvidence(request)).evidence
            assert {OK} == {cover.status for cover in evidence.coverage}
            await asyncio.sleep(0.01)

    await asyncio.gather(past(), past(), past(), live())
    assert 0 == REGISTRY.get_sample_value("hutong_lookup_source_down", {"source": "nation"})


async def test_work_ends_with_the_deadline(lookup: Start) -> None:
    """A source that cannot answer so much in time is not asked for the rest, and is not taken for down for it."""
    stores = mesh(BEIJING)
    nation = stores["nation"]
    nation.delay = 0.002
    client = await lookup(stores)
    started = time.monotonic()
    with deadline(0.5):
        # Several batches at once: some do not even begin.
        batches = [batch(client, [at(n, 6_000 + n) for n in range(1, 1001)]) for _ in range(4)]
        outcomes = await asyncio.gather(*batches, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, ServiceError)
            assert outcome.code is Code.DEADLINE_EXCEEDED
        else:
            assert UNREACHABLE in {cover.status for one in outcome for cover in one.coverage}
    assert time.monotonic() - started < 5.0
    await asyncio.sleep(0.5)
    asked = len(nation.asked)
    await asyncio.sleep(0.3)
    assert asked == len(nation.asked)
    assert 0 == REGISTRY.get_sample_value("hutong_lookup_source_down", {"source": "nation"})


async def test_an_outage_of_some_instants_is_told_of_those_alone(lookup: Start) -> None:
    """A source that was down at one instant is not asked about it, and is about the others."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "S1", recorded=1)
    client = await lookup(stores)
    [before] = await batch(client, [query(1)])
    stores["nation"].error = DEAD
    [during] = await batch(client, [query(1)])
    stores["nation"].error = None
    patience = time.monotonic() + 5
    while (await batch(client, [query(1)]))[0].coverage[1].status != OK:
        assert time.monotonic() < patience
        await asyncio.sleep(0.05)
    queries = [query(1, known_at=one.known_at) for one in (before, during)]
    assert [before, during] == await batch(client, queries)
    assert [OK, UNREACHABLE] == [one.coverage[1].status for one in (before, during)]
