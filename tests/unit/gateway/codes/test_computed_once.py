"""Codes over a mesh in miniature: cached, computed once, stale, and never older than what the holder just did."""

import asyncio

import pytest
from hutong.gateway.v1.health_code_service_pb2 import (
    CheckDestinationsRequest,
    Freshness,
)
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway.application.application import Application
from gateway.codes.codes import Shown
from gateway.codes.query import CodeQuery
from gateway.metrics import Outcome
from services.common.instants import DAY, SECOND, Instant
from services.runtime.clock import system_clock
from tests.testkit.builders.records import SHOW
from tests.testkit.fakes.forward_clock import ForwardClock
from tests.testkit.fakes.mesh import PERSON, Mesh
from tests.testkit.servers.gateway_codes import BEIJING, document, heard, outcome


async def test_second_question_is_a_hit(application: Application, mesh: Mesh) -> None:
    """What was computed is shown again without asking anyone."""
    first, second = await application.show(BEIJING, SHOW), await application.show(BEIJING, SHOW)
    assert [first.outcome, second.outcome] == [Outcome.MISS, Outcome.HIT]
    assert [first.freshness, second.freshness] == [Freshness.FRESHNESS_COMPUTED, Freshness.FRESHNESS_CACHED]
    assert (mesh.calls["verdict"], first.entry) == (1, second.entry)


async def test_concurrent_questions_are_computed_once(application: Application, mesh: Mesh) -> None:
    """However many ask, each person, region and scope is computed once, and what is missing travels together."""
    mesh.gate = asyncio.Event()
    other = CodeQuery(PERSON, "210000")
    asked = [asyncio.create_task(application.show(question, SHOW)) for question in [BEIJING, other] * 20]
    while not mesh.batches:
        await asyncio.sleep(0.01)
    mesh.gate.set()
    shown = await asyncio.gather(*asked)
    assert mesh.batches == [2]
    assert {one.entry.region for one in shown} == {"110000", "210000"}


async def test_question_that_leaves_takes_nobody_with_it(application: Application, mesh: Mesh) -> None:
    """Who joined a computation gets its answer, also when who began it has gone."""
    mesh.gate = asyncio.Event()
    first = asyncio.create_task(application.show(BEIJING, SHOW))
    while not mesh.batches:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(application.show(BEIJING, SHOW))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    mesh.gate.set()
    assert (await second).entry.status == 1
    assert mesh.batches == [1]


async def test_refresh_goes_past_the_cache_and_into_it(application: Application, mesh: Mesh) -> None:
    """A refreshed code is computed, and what it gave is what others are shown."""
    await application.show(BEIJING, SHOW)
    mesh.records[PERSON].clear()
    assert (await application.show(BEIJING, SHOW)).entry.status == 1
    refreshed = await application.show(BEIJING._replace(refresh=True), SHOW)
    assert (refreshed.outcome, refreshed.entry.status) == (Outcome.REFRESH, 2)
    again = await application.show(BEIJING, SHOW)
    assert (again.outcome, again.entry.status) == (Outcome.HIT, 2)


async def test_answer_for_an_instant_is_not_cached(application: Application, mesh: Mesh) -> None:
    """Only answers for now are."""
    past = BEIJING._replace(at=Instant(system_clock() - DAY))
    assert [await outcome(application, past), await outcome(application, past)] == [Outcome.BYPASS, Outcome.BYPASS]
    assert await outcome(application) == Outcome.MISS


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda verdict: setattr(verdict, "status", 6), id="undetermined"),
        pytest.param(lambda verdict: verdict.person_keys.append(b"q" * 16), id="several documents"),
    ],
)
async def test_what_must_not_be_cached_is_computed_each_time(
    application: Application, mesh: Mesh, shape: object
) -> None:
    """An undetermined answer may be determined now; a person with several documents changes under any of them."""
    mesh.shape = shape  # type: ignore[assignment]
    assert [await outcome(application), await outcome(application)] == [Outcome.MISS, Outcome.MISS]


async def test_partial_answer_is_cached_for_seconds(application: Application, mesh: Mesh, time: ForwardClock) -> None:
    """With a source missing an answer is kept just long enough to break a stampede."""
    mesh.unreachable.add("nation")
    assert [await outcome(application), await outcome(application)] == [Outcome.MISS, Outcome.HIT]
    time.ahead += 3 * SECOND
    await heard(application, mesh)
    assert await outcome(application) == Outcome.MISS


async def test_every_region_is_one_batch(application: Application, mesh: Mesh) -> None:
    """Destinations are computed together, those already cached not at all."""
    await application.show(BEIJING, SHOW)
    mesh.batches.clear()
    found = await application.destinations(CheckDestinationsRequest(document=document()), SHOW)
    assert (len(found), mesh.batches) == (34, [33])
    assert [one.region.region for one in found] == sorted(mesh.digests)
    assert {one.code.outcome for one in found if isinstance(one.code, Shown)} == {Outcome.HIT, Outcome.MISS}


async def test_messages_that_were_handed_over_are_not_changed(application: Application, mesh: Mesh) -> None:
    """A verdict may be somebody else's, too: its person keys are left out of a copy."""
    given: list[Verdict] = []
    mesh.shape = given.append
    shown = await application.show(BEIJING, SHOW)
    assert [list(given[0].person_keys), given[0].newest_test.person_key] == [[PERSON], PERSON]
    message = shown.message()
    assert [list(message.verdict.person_keys), message.verdict.newest_test.person_key] == [[], b""]
