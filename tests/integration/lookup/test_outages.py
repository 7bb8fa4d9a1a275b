"""Outages: an outage is never "no test", and never costs more than the caller has."""

import asyncio
import time
from typing import Any

import pytest
from hutong.lookup.v1.evidence_service_pb2 import (
    BatchGetEvidenceRequest,
    Evidence,
    GetEvidenceRequest,
    SourceStatus,
)
from prometheus_client import REGISTRY

from services.lookup.evidence.sign_of_life import NOBODY
from services.lookup.evidence.sources import PROBE_SECONDS
from services.runtime.resilience.breaker import PAUSE_SECONDS
from tests.testkit.fakes.record_store import BROKEN, DEAD, RecordStore
from tests.testkit.servers.lookup_service import PURPOSE, Start, deadline, key, lookup, mesh, query

__all__ = ["lookup"]

OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE
BEIJING, HUNAN, SICHUAN = "110000", "430000", "510000"


async def ask(client: Any, number: int = 1, region: str = BEIJING) -> Evidence:
    """The answer to a single question."""
    request = GetEvidenceRequest(query=query(number, region), purpose=PURPOSE)
    evidence: Evidence = (await client.GetEvidence(request)).evidence
    return evidence


def coverage(evidence: Evidence) -> dict[str, SourceStatus.ValueType]:
    """Returns the name and status of each source, in order. Up to when a silent one is known, the nation alone says."""
    statuses = {cover.source: cover.status for cover in evidence.coverage}
    for cover in evidence.coverage:
        if cover.status == OK or statuses.get("nation", OK) != OK:
            assert cover.HasField("as_of") == (cover.status == OK)
    return statuses


def questions(store: RecordStore) -> list[list[bytes]]:
    """Returns the questions that a store was asked, but for probes."""
    return [keys for keys in store.asked if keys != [NOBODY]]


@pytest.mark.parametrize("error", [DEAD, BROKEN, RuntimeError("a driver's error")], ids=["dead", "broken", "bug"])
async def test_the_nation_down_the_regions_are_asked_themselves(lookup: Start, error: Exception) -> None:
    """Whatever is wrong with the nation, what regions on the mesh keep is found, and it is said who answered."""
    stores = mesh(BEIJING, HUNAN, SICHUAN)
    stores[HUNAN].put(key(1), "S1")
    stores["nation"].error = error
    stores[SICHUAN].error = DEAD
    evidence = await ask(await lookup(stores))
    assert [record.source_id for record in evidence.records] == ["S1"]
    assert coverage(evidence) == {BEIJING: OK, "nation": UNREACHABLE, HUNAN: OK, SICHUAN: UNREACHABLE}


async def test_the_nation_down_each_region_is_asked_once_for_all_others(lookup: Start) -> None:
    """A region is asked for its own questions at once, and for those of other regions in the second round."""
    stores = mesh(BEIJING, HUNAN)
    stores["nation"].error = DEAD
    stores[HUNAN].put(key(1), "S1")
    client = await lookup(stores)
    request = BatchGetEvidenceRequest(queries=[query(1), query(2), query(2, HUNAN)], purpose=PURPOSE)
    answers = (await client.BatchGetEvidence(request)).evidence
    assert [len(answer.records) for answer in answers] == [1, 0, 0]
    assert stores[HUNAN].asked == [[key(2)], [key(1)]]
    assert stores[BEIJING].asked == [[key(1), key(2)]]
    assert [coverage(answer) for answer in answers] == [
        {BEIJING: OK, "nation": UNREACHABLE, HUNAN: OK},
        {BEIJING: OK, "nation": UNREACHABLE, HUNAN: OK},
        {HUNAN: OK, "nation": UNREACHABLE, BEIJING: OK},
    ]


async def test_a_home_store_down_is_told_and_other_regions_are_not_asked(lookup: Start) -> None:
    """While the nation answers, only the home store and the nation should have been asked."""
    stores = mesh(BEIJING, HUNAN)
    stores[BEIJING].error = DEAD
    stores[HUNAN].put(key(1), "S1")
    client = await lookup(stores)
    evidence = await ask(client)
    assert coverage(evidence) == {BEIJING: UNREACHABLE, "nation": OK}
    assert len(evidence.records) == 1
    assert coverage(await ask(client, 1, HUNAN)) == {HUNAN: OK, "nation": OK}


async def test_everything_down_is_no_error(lookup: Start) -> None:
    """The answer is that nobody answered."""
    stores = mesh(BEIJING, HUNAN)
    for store in stores.values():
        store.error = DEAD
    evidence = await ask(await lookup(stores))
    assert coverage(evidence) == {BEIJING: UNREACHABLE, "nation": UNREACHABLE, HUNAN: UNREACHABLE}
    assert list(evidence.records) == []


async def test_a_mesh_without_a_nation_asks_the_regions(lookup: Start) -> None:
    """Regions joined without a national store: what is off the mesh cannot be known, and that is said."""
    stores = {region: RecordStore(region) for region in (BEIJING, HUNAN)}
    stores[HUNAN].put(key(1), "S1")
    evidence = await ask(await lookup(stores))
    assert coverage(evidence) == {BEIJING: OK, "nation": UNREACHABLE, HUNAN: OK}
    assert len(evidence.records) == 1


async def test_an_answer_in_another_order_is_no_answer(lookup: Start, caplog: pytest.LogCaptureFixture) -> None:
    """It would give people the tests of others; the log says so without naming anyone."""
    stores = mesh(BEIJING)
    stores["nation"].shuffled = True
    stores["nation"].put(key(1), "S1", region=HUNAN)
    client = await lookup(stores)
    request = BatchGetEvidenceRequest(queries=[query(1), query(2)], purpose=PURPOSE)
    answers = (await client.BatchGetEvidence(request)).evidence
    assert [len(answer.records) for answer in answers] == [0, 0]
    assert coverage(answers[0])["nation"] == UNREACHABLE
    said = [record for record in caplog.records if record.message == "source did not answer"]
    assert [(record.source, record.reason) for record in said] == [("nation", "MALFORMED_ANSWER")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seconds", [0.5, 1.0])
async def test_a_slow_nation_and_a_dead_region_never_exceed_the_deadline(lookup: Start, seconds: float) -> None:
    """The time left is shared by both rounds: the answer is partial, in time, and no error."""
    stores = mesh(BEIJING, HUNAN, SICHUAN)
    stores["nation"].delay = 5.0
    stores[SICHUAN].delay = 5.0
    stores[HUNAN].put(key(1), "S1")
    client = await lookup(stores)
    started = time.monotonic()
    with deadline(seconds):
        evidence = await ask(client)
    assert time.monotonic() - started < seconds
    assert coverage(evidence) == {BEIJING: OK, "nation": UNREACHABLE, HUNAN: OK, SICHUAN: UNREACHABLE}
    assert len(evidence.records) == 1


async def test_a_hasty_caller_is_not_kept_waiting_by_a_patient_one(lookup: Start) -> None:
    """Questions of one moment travel together, and yet each is answered before its own deadline."""
    stores = mesh(BEIJING)
    stores["nation"].delay = 5.0
    client = await lookup(stores)

    async def hasty() -> float:
        started = time.monotonic()
        with deadline(0.5):
            assert coverage(await ask(client, 1))["nation"] == UNREACHABLE
        return time.monotonic() - started

    async def patient() -> None:
        with deadline(10.0):
            assert coverage(await ask(client, 2))["nation"] == UNREACHABLE

    taken, _ = await asyncio.gather(hasty(), patient())
    assert taken < 0.5


async def test_a_source_has_no_more_than_its_patience(lookup: Start) -> None:
    """A caller with much time is not kept until its end by a store that hangs."""
    stores = mesh(BEIJING)
    stores["nation"].delay = 30.0
    client = await lookup(stores, source_timeout=0.2)
    started = time.monotonic()
    with deadline(20.0):
        assert coverage(await ask(client)) == {BEIJING: OK, "nation": UNREACHABLE}
    assert time.monotonic() - started < 2.0


async def test_a_dead_nation_costs_its_timeout_once_and_is_back_within_a_second(lookup: Start) -> None:
    """While it is known to be down nobody waits for it; it is probed at nobody's expense, with nobody's key."""
    stores = mesh(BEIJING, HUNAN)
    nation = stores["nation"]
    nation.delay = 30.0
    stores[HUNAN].put(key(1), "S1")
    client = await lookup(stores, source_timeout=0.3)
    await ask(client)
    assert len(questions(nation)) == 1
    started = time.monotonic()
    for _ in range(5):
        evidence = await ask(client)
        assert coverage(evidence) == {BEIJING: OK, "nation": UNREACHABLE, HUNAN: OK}
        assert len(evidence.records) == 1
    # If each of them waited, it would be as long as their timeouts together.
    assert time.monotonic() - started < 5 * 0.3
    assert len(questions(nation)) == 1

    nation.delay = 0.0
    async with asyncio.timeout(10):
        while coverage(await ask(client))["nation"] != OK:
            await asyncio.sleep(0.02)
    assert PAUSE_SECONDS + PROBE_SECONDS < 1.0


async def test_a_source_that_comes_back_after_a_long_outage_is_noticed_too(lookup: Start) -> None:
    """Each probe has time of its own: an outage may last longer than one probe may take."""
    stores = mesh(BEIJING)
    stores["nation"].error = DEAD
    client = await lookup(stores)
    await ask(client)
    await asyncio.sleep(2 * (PAUSE_SECONDS + PROBE_SECONDS))
    stores["nation"].error = None
    deadline = time.monotonic() + 2 * (PAUSE_SECONDS + PROBE_SECONDS)
    while time.monotonic() < deadline:
        evidence = await ask(client)
        if coverage(evidence)["nation"] == OK:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the nation was not asked again")


async def test_callers_haste_does_not_make_a_source_down(lookup: Start) -> None:
    """A timeout cut short by a caller with little time says nothing of the source, however often: a probe finds out."""
    stores = mesh(BEIJING)
    nation = stores["nation"]
    nation.delay = 0.4
    client = await lookup(stores)
    for _ in range(4):
        with deadline(0.3):
            assert coverage(await ask(client))["nation"] == UNREACHABLE
    await asyncio.sleep(PROBE_SECONDS)
    assert coverage(await ask(client))["nation"] == OK


async def test_a_frozen_source_is_found_out_though_all_callers_have_little_time(lookup: Start) -> None:
    """The probe that a hasty timeout starts has time enough; from then on nobody waits."""
    stores = mesh(BEIJING)
    nation = stores["nation"]
    nation.delay = 30.0
    client = await lookup(stores)
    with deadline(0.3):
        await ask(client)
    await asyncio.sleep(PROBE_SECONDS + 0.3)
    asked = len(questions(nation))
    assert coverage(await ask(client))["nation"] == UNREACHABLE
    assert len(questions(nation)) == asked


async def test_an_error_of_one_batch_does_not_make_a_source_down(lookup: Start) -> None:
    """What one batch provokes must not cut off everybody else."""
    stores = mesh(BEIJING)
    stores["nation"].error = BROKEN
    client = await lookup(stores)
    assert coverage(await ask(client))["nation"] == UNREACHABLE
    stores["nation"].error = None
    assert coverage(await ask(client))["nation"] == OK


def counted(source: str, status: str) -> float:
    """Counts the batches that were put to a source with this outcome, in this process."""
    labels = {"source": source, "status": status}
    return REGISTRY.get_sample_value("hutong_lookup_source_questions_total", labels) or 0.0


async def test_an_outage_shows_in_the_metrics(lookup: Start) -> None:
    """By source and outcome, with a latency for what was really asked; a source that is down is marked so."""
    stores = mesh(BEIJING)
    stores["nation"].error = DEAD
    client = await lookup(stores)
    outcomes = [(BEIJING, "OK"), ("nation", "UNREACHABLE"), ("nation", "KNOWN_DOWN")]
    latencies = {"source": "nation"}
    before = [counted(*outcome) for outcome in outcomes]
    asked = REGISTRY.get_sample_value("hutong_lookup_source_seconds_count", latencies) or 0.0
    for _ in range(3):
        await ask(client)
    assert [counted(*outcome) - had for outcome, had in zip(outcomes, before, strict=True)] == [3, 1, 2]
    assert REGISTRY.get_sample_value("hutong_lookup_source_seconds_count", latencies) == asked + 1
    assert REGISTRY.get_sample_value("hutong_lookup_source_down", latencies) == 1
