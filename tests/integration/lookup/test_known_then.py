"""Evidence as known then is the evidence given then: whatever was linked, switched, down or up meanwhile."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, Evidence, SourceStatus
from hutong.lookup.v1.holder_service_pb2 import LinkDocumentsRequest, SwitchScopeRequest, UnlinkDocumentsRequest
from hutong.lookup.v1.region_pb2 import Scope
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.errors import ServiceError
from services.lookup.composition import NAME, build
from services.runtime.resilience import breaker
from tests.testkit.calls import local
from tests.testkit.fakes.record_store import BROKEN, DEAD, RecordStore
from tests.testkit.servers.lookup_service import DECISION, PURPOSE, Start, deadline, key, lookup, mesh, person, query
from tests.testkit.servers.lookup_service import settings as lookup_settings

__all__ = ["lookup"]

OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE
BEIJING, LIAONING, HUNAN = "110000", "210000", "430000"


@pytest.fixture(autouse=True)
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that came back is noticed at once."""
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0.005)


async def ask(client: Any, *asked: tuple[int, str]) -> Sequence[Evidence]:
    """Returns the evidence of now."""
    queries = [query(number, region) for number, region in asked or [(1, BEIJING)]]
    answers: Sequence[Evidence] = (
        await client.BatchGetEvidence(BatchGetEvidenceRequest(queries=queries, purpose=PURPOSE))
    ).evidence
    return answers


async def again(client: Any, given: Evidence) -> Evidence:
    """The same question as known then."""
    asked = query(int.from_bytes(given.person_keys[0], "big"), given.region, known_at=given.known_at)
    [answer] = (await client.BatchGetEvidence(BatchGetEvidenceRequest(queries=[asked], purpose=PURPOSE))).evidence
    told: Evidence = answer
    return told


def coverage(evidence: Evidence) -> dict[str, SourceStatus.ValueType]:
    """Returns the status of each source, by name."""
    return {cover.source: cover.status for cover in evidence.coverage}


async def until_all_answer(client: Any, stores: dict[str, RecordStore]) -> None:
    """Nothing fails any more, and that is known."""
    for store in stores.values():
        store.error, store.delay, store.stumbles = None, 0.0, []
    patience = time.monotonic() + 5
    asked = [(99, name) for name in stores if name != "nation"]
    while any(UNREACHABLE in coverage(evidence).values() for evidence in await ask(client, *asked)):
        assert time.monotonic() < patience
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("error", [DEAD, BROKEN], ids=["dead", "broken"])
@pytest.mark.parametrize("down", ["nation", BEIJING])
async def test_an_outage_of_then_is_an_outage_as_known_then(lookup: Start, down: str, error: Exception) -> None:
    """Its records are not used, and with the nation down the regions are asked instead; before and after, they are."""
    stores = mesh(BEIJING, HUNAN)
    stores[BEIJING].put(key(1), "B1")
    stores[HUNAN].put(key(1), "H1")
    client = await lookup(stores)
    given = list(await ask(client, (1, BEIJING), (1, HUNAN)))
    stores[down].error = error
    for _ in range(3):
        given += await ask(client, (1, BEIJING), (1, HUNAN))
    await until_all_answer(client, stores)
    given += await ask(client, (1, BEIJING), (1, HUNAN))
    told = [coverage(evidence) for evidence in given]
    assert [told[0], told[-2]] == [{BEIJING: OK, "nation": OK}] * 2
    during = {BEIJING: OK, "nation": OK} | {down: UNREACHABLE} | ({HUNAN: OK} if down == "nation" else {})
    assert told[2] == told[4] == told[6] == during
    for evidence in given:
        assert await again(client, evidence) == evidence


async def test_a_source_that_answered_then_and_does_not_now_leaves_nothing_to_tell(lookup: Start) -> None:
    """From part of what was known then another verdict might follow: nothing is said of what any source holds."""
    stores = mesh(BEIJING, HUNAN)
    stores[BEIJING].put(key(1), "B1")
    client = await lookup(stores)
    [given] = await ask(client)
    for error, down in ((DEAD, "nation"), (BROKEN, BEIJING)):
        stores[down].error = error
        for _ in range(2):
            missing = await again(client, given)
            assert set(coverage(missing).values()) == {UNREACHABLE}
            assert {BEIJING, "nation"} <= coverage(missing).keys()
            assert list(missing.records) == []
        await until_all_answer(client, stores)
        assert await again(client, given) == given


async def test_a_source_that_failed_half_of_a_batch_has_not_answered_it(lookup: Start) -> None:
    """Asked for its own question and, the nation being down, for another's: what it said the first time is not used."""
    stores = mesh(BEIJING, HUNAN)
    stores[BEIJING].put(key(1), "B1")
    stores[HUNAN].put(key(2), "H1")
    client = await lookup(stores)
    stores["nation"].error = DEAD
    stores[HUNAN].stumbles = [None, BROKEN]
    given = await ask(client, (1, BEIJING), (2, HUNAN))
    assert [coverage(evidence)[HUNAN] for evidence in given] == [UNREACHABLE] * 2
    assert [len(evidence.records) for evidence in given] == [1, 0]
    await until_all_answer(client, stores)
    for evidence in given:
        assert await again(client, evidence) == evidence


async def test_a_callers_haste_is_part_of_what_was_known(lookup: Start) -> None:
    """Who had too little time was told so; who had enough, at the same time, was not; both can be told again."""
    stores = mesh(BEIJING)
    stores["nation"].put(key(1), "H1", region=HUNAN)
    client = await lookup(stores)
    stores["nation"].delay = 0.3
    with deadline(0.3):
        [hasty] = await ask(client)
    [patient] = await ask(client)
    assert [len(evidence.records) for evidence in (hasty, patient)] == [0, 1]
    stores["nation"].delay = 0.0
    for evidence in (hasty, patient):
        assert await again(client, evidence) == evidence


async def test_an_outage_survives_the_process_that_saw_it(tmp_path: Path) -> None:
    """The next one tells what the first was told, and has no outage of its own."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "H1")
    stores["nation"].error = DEAD
    async with _running(tmp_path, stores) as one:
        given = [*await ask(one), *await ask(one)]
    stores["nation"].error = None
    async with _running(tmp_path, stores) as two:
        given += await ask(two)
        assert [coverage(evidence)["nation"] for evidence in given] == [UNREACHABLE, UNREACHABLE, OK]
        for evidence in given:
            assert await again(two, evidence) == evidence


async def test_an_outage_is_noted_once_and_not_with_each_question(tmp_path: Path) -> None:
    """When it begins, when it ends, and for what was under way meanwhile."""
    stores = mesh(BEIJING, HUNAN)
    async with _running(tmp_path, stores) as client:
        await ask(client)
        stores["nation"].error = DEAD
        for _ in range(100):
            await ask(client, (1, BEIJING), (2, HUNAN))
        await until_all_answer(client, stores)
        for _ in range(100):
            await ask(client)
    with closing(sqlite3.connect(tmp_path / "lookup.db")) as database:
        notes = database.execute("select source, state from source_note order by noted_at").fetchall()
    assert sorted(notes) == [("", "up"), ("nation", "down"), ("nation", "missed"), ("nation", "up")]


@pytest.mark.postgres
async def test_another_process_over_the_store_tells_the_outage_too(tmp_path: Path, postgres_url: str) -> None:
    """It could ask the source itself, and yet says what was said."""
    stores = mesh(BEIJING, HUNAN)
    cut_off = mesh(BEIJING, HUNAN)
    for store in (stores[HUNAN], cut_off[HUNAN]):
        store.put(key(1), "H1")
    cut_off["nation"].error = DEAD
    async with (
        _running(tmp_path, cut_off, replica="one", store_url=postgres_url) as one,
        _running(tmp_path, stores, replica="two", store_url=postgres_url) as two,
    ):
        [given] = await ask(one)
        assert coverage(given)["nation"] == UNREACHABLE
        assert await again(two, given) == given


@asynccontextmanager
async def _running(directory: Path, stores: dict[str, RecordStore], **others: Any) -> AsyncIterator[Any]:
    intakes = {name: store for name, store in stores.items() if name != "nation"}
    service = build(lookup_settings(directory, **others), sources=stores, intakes=intakes)
    async with service.running():
        yield local(NAME, "test", service.bindings)


_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from([BEIJING, LIAONING, HUNAN]), st.integers(1, 3)),
        st.tuples(st.just("fail"), st.sampled_from(["nation", BEIJING, HUNAN]), st.sampled_from([DEAD, BROKEN, None])),
        st.tuples(st.just("stumble"), st.sampled_from(["nation", BEIJING, HUNAN]), st.integers(1, 2)),
        st.tuples(st.sampled_from(["link", "unlink"]), st.integers(1, 3), st.integers(1, 3)),
        st.tuples(st.just("switch"), st.integers(1, 3), st.sampled_from([Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL])),
        st.tuples(st.just("wait"), st.none(), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_EVENTS, st.randoms(use_true_random=False))
async def test_whatever_happened_all_that_was_said_is_said_again(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, Any, Any]], random: Any
) -> None:
    """Questions at once and one after another, while sources fail and come back and holders link and switch."""
    stores = mesh(BEIJING, LIAONING, HUNAN)
    for number, region in enumerate((BEIJING, LIAONING, HUNAN), 1):
        stores[region].put(key(number), f"S{number}")
    async with _running(tmp_path_factory.mktemp("lookup"), stores) as client:
        under_way: list[asyncio.Task[Sequence[Evidence]]] = []
        for action, one, other in [*events, ("ask", BEIJING, 1)]:
            if action == "ask":
                asked = [(number, one) for number in range(1, other + 1)] + [(1, HUNAN)]
                under_way.append(asyncio.ensure_future(ask(client, *asked)))
                if random.random() < 0.5:
                    await under_way[-1]
            elif action == "fail":
                stores[one].error = other
            elif action == "stumble":
                stores[one].stumbles = [BROKEN] * other
            elif action == "wait":
                await asyncio.sleep(0.012)
            else:
                await _change(client, action, one, other)
        given = [evidence for answers in await asyncio.gather(*under_way) for evidence in answers]
        await until_all_answer(client, stores)
        for evidence in given:
            assert await again(client, evidence) == evidence


async def _change(client: Any, action: str, one: int, other: Any) -> None:
    with suppress(ServiceError):
        if action == "switch":
            await client.SwitchScope(
                SwitchScopeRequest(subject=person(one), region=LIAONING, scope=other, purpose=DECISION)
            )
            return
        request = LinkDocumentsRequest if action == "link" else UnlinkDocumentsRequest
        call = client.LinkDocuments if action == "link" else client.UnlinkDocuments
        await call(request(subject=person(one), other=person(other), cause="test", purpose=PURPOSE))
