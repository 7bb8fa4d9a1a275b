"""The last known code is shown when nobody answers, and nothing else is."""

import asyncio

import pytest
from hutong.gateway.v1.health_code_service_pb2 import (
    Freshness,
)
from hutong.lookup.v1.evidence_service_pb2 import SourceCoverage, SourceStatus
from hutong.verdict.v1.verdict_pb2 import Status, Verdict

from gateway.application.application import Application
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.query import CodeQuery
from gateway.http.views.code import code_json
from gateway.metrics import Outcome
from services.common.errors import NotFound, ServiceError
from services.common.instants import DAY, HOUR
from tests.testkit.builders.records import SHOW
from tests.testkit.fakes.forward_clock import ForwardClock
from tests.testkit.fakes.mesh import DOWN, PERSON, Mesh
from tests.testkit.servers.gateway_codes import BEIJING, outcome, told

OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE


async def test_last_known_verdict_is_shown_when_nobody_answers(
    application: Application, mesh: Mesh, time: ForwardClock
) -> None:
    """Marked STALE with its age, and only inside its validity."""
    await application.show(BEIJING, SHOW)
    mesh.failing = DOWN
    time.ahead += 2 * HOUR
    shown = await application.show(BEIJING, SHOW)
    assert (shown.outcome, shown.freshness) == (Outcome.STALE, Freshness.FRESHNESS_STALE)
    assert 2 * 3600 <= shown.age < 2 * 3600 + 10
    assert code_json(shown, SHOW).startswith(b'{"freshness":"STALE","age":72')
    time.ahead += 2 * DAY
    with pytest.raises(ServiceError) as raised:
        await application.show(BEIJING, SHOW)
    assert raised.value.reason == "SERVICE_UNREACHABLE"


async def test_last_known_verdict_is_shown_when_the_answer_takes_too_long(
    application: Application, mesh: Mesh, time: ForwardClock
) -> None:
    """A service that hangs is one that does not answer."""
    await application.show(BEIJING, SHOW)
    time.ahead += 2 * HOUR
    mesh.gate = asyncio.Event()
    assert await outcome(application) == Outcome.STALE


async def test_verdict_that_a_change_outdated_is_never_the_last_known(
    application: Application, mesh: Mesh, cache: MemoryCache
) -> None:
    """What was dropped is gone, also for outages."""
    await application.show(BEIJING, SHOW)
    await mesh.tell(person=PERSON)
    await told(cache, mesh)
    mesh.failing = DOWN
    with pytest.raises(ServiceError):
        await application.show(BEIJING, SHOW)


async def test_verdict_without_validity_is_never_the_last_known(
    application: Application, mesh: Mesh, time: ForwardClock
) -> None:
    """Only a recognition has an end until which it may be shown."""
    mesh.records[PERSON].clear()
    await application.show(BEIJING, SHOW)
    mesh.failing = DOWN
    time.ahead += 2 * HOUR
    with pytest.raises(ServiceError):
        await application.show(BEIJING, SHOW)


async def test_error_that_is_an_answer_is_not_covered_up(
    application: Application, mesh: Mesh, time: ForwardClock
) -> None:
    """A service that answers with an error has answered."""
    await application.show(BEIJING, SHOW)
    mesh.item_error = NotFound("POLICY_NOT_FOUND", "没有规则", "There is no policy")
    with pytest.raises(ServiceError) as raised:
        await application.show(BEIJING._replace(refresh=True), SHOW)
    assert raised.value.reason == "POLICY_NOT_FOUND"


async def test_without_news_nothing_cached_is_shown_as_current(application: Application, mesh: Mesh) -> None:
    """Once the feed has been cut for longer than the bound, codes are computed; and cached again when it is back."""
    await application.show(BEIJING, SHOW)
    mesh.cut = True
    mesh.records[PERSON].clear()
    async with asyncio.timeout(30):
        while await outcome(application) != Outcome.BYPASS:
            await asyncio.sleep(0.05)
    assert (await application.show(BEIJING, SHOW)).entry.status == 2
    mesh.cut = False
    async with asyncio.timeout(10):
        while await outcome(application) != Outcome.HIT:
            await asyncio.sleep(0.05)


async def test_without_news_of_holders_nothing_cached_is_shown_as_current(application: Application, mesh: Mesh) -> None:
    """A switch could have been missed."""
    await application.show(BEIJING, SHOW)
    mesh.holders_cut = True
    async with asyncio.timeout(30):
        while await outcome(application) != Outcome.BYPASS:
            await asyncio.sleep(0.05)


async def test_coverage_of_a_source_that_failed_is_shown(application: Application, mesh: Mesh) -> None:
    """Who did not answer is named."""
    mesh.unreachable.add("nation")
    shown = await application.show(BEIJING, SHOW)
    assert [(one.source, one.status) for one in shown.message().verdict.coverage] == [
        (one.source, one.status)
        for one in (SourceCoverage(source="110000", status=OK), SourceCoverage(source="nation", status=UNREACHABLE))
    ]


@pytest.mark.parametrize(
    ("status", "marked"),
    [
        (Status.STATUS_RECOGNISED, True),
        (Status.STATUS_NOT_RECOGNISED, True),
        (Status.STATUS_PENDING, True),
        (Status.STATUS_POSITIVE, False),
        (Status.STATUS_UNDETERMINED, False),
    ],
)
async def test_a_code_says_that_a_source_was_silent(
    application: Application, mesh: Mesh, status: Status.ValueType, marked: bool
) -> None:
    """What a region recorded that nobody can reach is not in it, computed or cached: it is not shown as current."""

    def shape(verdict: Verdict) -> None:
        verdict.status = status

    mesh.shape = shape
    whole = [(await application.show(BEIJING, SHOW)).freshness for _ in range(2)]
    assert Freshness.FRESHNESS_STALE_SOURCE not in whole
    mesh.unreachable.add("430000")
    hunan = CodeQuery(PERSON, "430000")
    shown = [await application.show(hunan, SHOW) for _ in range(2)]
    assert [one.freshness == Freshness.FRESHNESS_STALE_SOURCE for one in shown] == [marked] * 2
    assert code_json(shown[1], SHOW).startswith(b'{"freshness":"STALE_SOURCE","age":null,') is marked
    mesh.unreachable.clear()
    again = await application.show(hunan._replace(refresh=True), SHOW)
    assert again.freshness == Freshness.FRESHNESS_COMPUTED
