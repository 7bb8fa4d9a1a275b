"""A change is shown at once, or as soon as it is told."""

import asyncio

import pytest
from hutong.gateway.v1.health_code_service_pb2 import (
    SwitchScopeRequest,
)
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway.application.application import Application
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.query import CodeQuery
from gateway.metrics import Outcome
from services.common.errors import DeadlineExceeded
from services.common.instants import SECOND, Instant, to_timestamp
from tests.testkit.builders.records import SHOW
from tests.testkit.fakes.forward_clock import ForwardClock
from tests.testkit.fakes.mesh import PERSON, Mesh
from tests.testkit.servers.gateway_codes import BEIJING, claim, document, heard, outcome, told, until_shown


async def test_who_comes_after_a_change_is_not_shown_what_was_begun_before_it(
    application: Application, mesh: Mesh, cache: MemoryCache
) -> None:
    """A question asked after a change joins no computation that read its evidence before."""
    mesh.gate = asyncio.Event()
    before = asyncio.create_task(application.show(CodeQuery(PERSON, "430000"), SHOW))
    while not mesh.batches:
        await asyncio.sleep(0.01)
    mesh.records[PERSON].clear()
    await mesh.tell(person=PERSON)
    await told(cache, mesh)
    after = asyncio.create_task(application.show(CodeQuery(PERSON, "430000"), SHOW))
    await asyncio.sleep(0)
    mesh.gate.set()
    assert [(await before).entry.status, (await after).entry.status] == [1, 2]
    assert (await application.show(CodeQuery(PERSON, "430000"), SHOW)).entry.status == 2


async def test_change_told_by_the_nation_is_shown(application: Application, mesh: Mesh) -> None:
    """A change to the person's records reaches the cached code."""
    await application.show(BEIJING, SHOW)
    mesh.records[PERSON].clear()
    await mesh.tell(person=PERSON)
    await until_shown(application, status=2)


async def test_suspended_laboratory_is_shown(application: Application, mesh: Mesh) -> None:
    """A change of a laboratory's standing reaches the codes that rest on it, and only those."""
    await application.show(BEIJING, SHOW)
    other = CodeQuery(b"q" * 16, "110000")
    await application.show(other, SHOW)
    mesh.records[PERSON].clear()
    await mesh.tell(laboratory="430000-xiangya")
    await until_shown(application, status=2)
    assert await outcome(application, other) == Outcome.HIT


async def test_changed_policy_is_shown(application: Application, mesh: Mesh) -> None:
    """A code of a region whose policies changed is computed anew; codes of others stay."""
    shanghai = CodeQuery(PERSON, "310000")
    await application.show(BEIJING, SHOW)
    await application.show(shanghai, SHOW)
    asked = len(mesh.asked)
    mesh.digests["110000"] = b"digest-2"
    async with asyncio.timeout(30):
        # Not "until MISS": on a machine that stood still the news are old for a moment, and the miss is a BYPASS.
        while len(mesh.asked) == asked:
            await outcome(application)
            await asyncio.sleep(0.02)
    assert mesh.asked[-1].region == "110000"
    await heard(application, mesh)
    assert await outcome(application, shanghai) == Outcome.HIT


async def test_code_is_computed_anew_when_time_alone_changes_it(
    application: Application, mesh: Mesh, time: ForwardClock
) -> None:
    """At its fresh_until an entry is over, though the news are fresh."""

    def soon(verdict: Verdict) -> None:
        verdict.fresh_until.CopyFrom(to_timestamp(Instant(time() + SECOND // 2)))

    mesh.shape = soon
    assert [await outcome(application), await outcome(application)] == [Outcome.MISS, Outcome.HIT]
    time.ahead += SECOND // 2
    assert await outcome(application) == Outcome.MISS


async def test_claim_is_shown_at_once(application: Application, mesh: Mesh) -> None:
    """When the claim returns, the next code has the days since test."""
    before = await application.show(BEIJING, SHOW)
    assert (await application.show(BEIJING, SHOW)).outcome == Outcome.HIT
    claimed = await application.claim(claim(), SHOW)
    after = await application.show(BEIJING, SHOW)
    assert [b'"daysSinceTest":null' in before.entry.body, b'"daysSinceTest":0' in after.entry.body] == [True, True]
    assert (claimed.created, claimed.result.origin_region) == (True, "430000")
    assert (await application.claim(claim(), SHOW)).created is False


async def test_claim_is_shown_at_once_to_who_joins_nobody(application: Application, mesh: Mesh) -> None:
    """A computation begun before the claim is not joined after it, also where nothing can be cached."""
    mesh.shape = lambda verdict: verdict.person_keys.append(b"q" * 16)
    mesh.gate = asyncio.Event()
    before = asyncio.create_task(application.show(BEIJING, SHOW))
    while not mesh.batches:
        await asyncio.sleep(0.01)
    await application.claim(claim(), SHOW)
    after = asyncio.create_task(application.show(BEIJING, SHOW))
    await asyncio.sleep(0)
    mesh.gate.set()
    shown = [(await one).entry.body for one in (before, after)]
    assert [b'"daysSinceTest":0' in body for body in shown] == [False, True]


async def test_claim_that_may_have_happened_drops_what_is_cached(application: Application, mesh: Mesh) -> None:
    """A claim that ended in a time-out may have been done."""
    await application.show(BEIJING, SHOW)
    mesh.failing = DeadlineExceeded()
    with pytest.raises(DeadlineExceeded):
        await application.claim(claim(), SHOW)
    mesh.failing = None
    assert await outcome(application) == Outcome.MISS


async def test_switch_is_shown_at_once(application: Application) -> None:
    """When the switch returns, the next code looks at the other database."""
    liaoning = CodeQuery(PERSON, "210000")
    assert (await application.show(liaoning, SHOW)).entry.status == 1
    request = SwitchScopeRequest(document=document(), region="210000", scope=Scope.SCOPE_LOCAL)
    await application.switch_scope(request, SHOW)
    shown = await application.show(liaoning, SHOW)
    assert (shown.entry.scope, shown.entry.status) == (Scope.SCOPE_LOCAL, 2)


async def test_holders_feed_reaches_the_cache(application: Application, mesh: Mesh) -> None:
    """A switch or a link made elsewhere is shown, too."""
    liaoning = CodeQuery(PERSON, "210000")
    await application.show(liaoning, SHOW)
    mesh.scopes[PERSON, "210000"] = Scope.SCOPE_LOCAL
    await mesh.tell(holder=PERSON)
    await until_shown(application, status=2, question=liaoning)


async def test_rebuilt_feed_empties_the_cache(application: Application, mesh: Mesh) -> None:
    """Where changes may have been missed nothing is kept."""
    await application.show(BEIJING, SHOW)
    mesh.records[PERSON].clear()
    mesh.changes.clear()
    mesh.feed_id = "history-2"
    await until_shown(application, status=2)
    async with asyncio.timeout(10):
        while await outcome(application) != Outcome.HIT:
            await asyncio.sleep(0.05)
