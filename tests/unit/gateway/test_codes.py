"""Codes over a mesh in miniature: cached, computed once, stale, and never older than what the holder just did."""

import asyncio
from collections.abc import AsyncIterator
from secrets import token_bytes

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose
from hutong.gateway.v1.health_code_service_pb2 import (
    CheckDestinationsRequest,
    ClaimResultRequest,
    Freshness,
    SwitchScopeRequest,
)
from hutong.lookup.v1.evidence_service_pb2 import SourceCoverage, SourceStatus
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1.verdict_pb2 import Status, Verdict

from gateway.application.application import Application
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.codes import Shown
from gateway.codes.query import CodeQuery
from gateway.composition import Gateway
from gateway.http.views.code import code_json
from gateway.metrics import Outcome
from gateway.settings import GatewaySettings
from services.common.errors import DeadlineExceeded, NotFound, ServiceError
from services.common.instants import DAY, HOUR, SECOND, Instant, to_timestamp
from services.runtime.clock import system_clock
from tests.testkit.fakes.mesh import DOWN, NUMBER, PERSON, Mesh, compose, record, until_ready
from tests.testkit.secret import SECRET

SHOW = Purpose.PURPOSE_SHOW_CODE
BEIJING = CodeQuery(PERSON, "110000")

OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE


class Time:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> Instant:
        return Instant(system_clock() + self.ahead)


@pytest.fixture
def time() -> Time:
    """The mesh's and the gateway's."""
    return Time()


@pytest.fixture
def mesh(time: Time) -> Mesh:
    """A mesh that knows one test of one person, kept in Hunan."""
    mesh = Mesh(time)
    mesh.records[PERSON].append(record())
    return mesh


@pytest.fixture
async def cache() -> MemoryCache:
    """The gateway's."""
    return MemoryCache(1000)


@pytest.fixture
async def gateway(mesh: Mesh, cache: MemoryCache) -> AsyncIterator[Gateway]:
    """A gateway that is not patient."""
    gateway = compose(mesh, GatewaySettings(mesh_secret=SECRET, compute_seconds=0.3, news_seconds=1.0), cache=cache)
    async with gateway.service.running():
        await until_ready(gateway)
        yield gateway


@pytest.fixture
def application(gateway: Gateway) -> Application:
    """Its application."""
    return gateway.application


async def outcome(application: Application, question: CodeQuery = BEIJING) -> Outcome:
    """Returns what the cache had to do with the answer."""
    return (await application.show(question, SHOW)).outcome


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


async def test_change_told_by_the_nation_is_shown(application: Application, mesh: Mesh) -> None:
    """A change to the person's records reaches the cached code."""
    await application.show(BEIJING, SHOW)
    mesh.records[PERSON].clear()
    await mesh.tell(person=PERSON)
    await _until(application, status=2)


async def test_suspended_laboratory_is_shown(application: Application, mesh: Mesh) -> None:
    """A change of a laboratory's standing reaches the codes that rest on it, and only those."""
    await application.show(BEIJING, SHOW)
    other = CodeQuery(b"q" * 16, "110000")
    await application.show(other, SHOW)
    mesh.records[PERSON].clear()
    await mesh.tell(laboratory="430000-xiangya")
    await _until(application, status=2)
    assert await outcome(application, other) == Outcome.HIT


async def test_changed_policy_is_shown(application: Application, mesh: Mesh) -> None:
    """A code of a region whose policies changed is computed anew; codes of others stay."""
    shanghai = CodeQuery(PERSON, "310000")
    await application.show(BEIJING, SHOW)
    await application.show(shanghai, SHOW)
    mesh.digests["110000"] = b"digest-2"
    async with asyncio.timeout(30):
        while await outcome(application) != Outcome.MISS:
            await asyncio.sleep(0.02)
    assert await outcome(application, shanghai) == Outcome.HIT


async def test_code_is_computed_anew_when_time_alone_changes_it(
    application: Application, mesh: Mesh, time: Time
) -> None:
    """At its fresh_until an entry is over, though the news are fresh."""

    def soon(verdict: Verdict) -> None:
        verdict.fresh_until.CopyFrom(to_timestamp(Instant(time() + SECOND // 2)))

    mesh.shape = soon
    assert [await outcome(application), await outcome(application)] == [Outcome.MISS, Outcome.HIT]
    time.ahead += SECOND // 2
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


async def test_partial_answer_is_cached_for_seconds(application: Application, mesh: Mesh, time: Time) -> None:
    """With a source missing an answer is kept just long enough to break a stampede."""
    mesh.unreachable.add("nation")
    assert [await outcome(application), await outcome(application)] == [Outcome.MISS, Outcome.HIT]
    time.ahead += 3 * SECOND
    await _heard(application, mesh)
    assert await outcome(application) == Outcome.MISS


async def test_claim_is_shown_at_once(application: Application, mesh: Mesh) -> None:
    """When the claim returns, the next code has the days since test."""
    before = await application.show(BEIJING, SHOW)
    assert (await application.show(BEIJING, SHOW)).outcome == Outcome.HIT
    claimed = await application.claim(_claim(), SHOW)
    after = await application.show(BEIJING, SHOW)
    assert [b'"daysSinceTest":null' in before.entry.body, b'"daysSinceTest":0' in after.entry.body] == [True, True]
    assert (claimed.created, claimed.result.origin_region) == (True, "430000")
    assert (await application.claim(_claim(), SHOW)).created is False


async def test_claim_is_shown_at_once_to_who_joins_nobody(application: Application, mesh: Mesh) -> None:
    """A computation begun before the claim is not joined after it, also where nothing can be cached."""
    mesh.shape = lambda verdict: verdict.person_keys.append(b"q" * 16)
    mesh.gate = asyncio.Event()
    before = asyncio.create_task(application.show(BEIJING, SHOW))
    while not mesh.batches:
        await asyncio.sleep(0.01)
    await application.claim(_claim(), SHOW)
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
        await application.claim(_claim(), SHOW)
    mesh.failing = None
    assert await outcome(application) == Outcome.MISS


async def test_switch_is_shown_at_once(application: Application) -> None:
    """When the switch returns, the next code looks at the other database."""
    liaoning = CodeQuery(PERSON, "210000")
    assert (await application.show(liaoning, SHOW)).entry.status == 1
    request = SwitchScopeRequest(document=_document(), region="210000", scope=Scope.SCOPE_LOCAL)
    await application.switch_scope(request, SHOW)
    shown = await application.show(liaoning, SHOW)
    assert (shown.entry.scope, shown.entry.status) == (Scope.SCOPE_LOCAL, 2)


async def test_holders_feed_reaches_the_cache(application: Application, mesh: Mesh) -> None:
    """A switch or a link made elsewhere is shown, too."""
    liaoning = CodeQuery(PERSON, "210000")
    await application.show(liaoning, SHOW)
    mesh.scopes[PERSON, "210000"] = Scope.SCOPE_LOCAL
    await mesh.tell(holder=PERSON)
    await _until(application, status=2, question=liaoning)


async def test_last_known_verdict_is_shown_when_nobody_answers(
    application: Application, mesh: Mesh, time: Time
) -> None:
    """Marked STALE with its age, and only inside its validity."""
    await application.show(BEIJING, SHOW)
    mesh.failing = DOWN
    time.ahead += 2 * HOUR
    shown = await application.show(BEIJING, SHOW)
    assert (shown.outcome, shown.freshness) == (Outcome.STALE, Freshness.FRESHNESS_STALE)
    assert 2 * 3600 <= shown.age < 2 * 3600 + 10
    assert code_json(shown).startswith(b'{"freshness":"STALE","age":72')
    time.ahead += 2 * DAY
    with pytest.raises(ServiceError) as raised:
        await application.show(BEIJING, SHOW)
    assert raised.value.reason == "SERVICE_UNREACHABLE"


async def test_last_known_verdict_is_shown_when_the_answer_takes_too_long(
    application: Application, mesh: Mesh, time: Time
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
    application: Application, mesh: Mesh, time: Time
) -> None:
    """Only a recognition has an end until which it may be shown."""
    mesh.records[PERSON].clear()
    await application.show(BEIJING, SHOW)
    mesh.failing = DOWN
    time.ahead += 2 * HOUR
    with pytest.raises(ServiceError):
        await application.show(BEIJING, SHOW)


async def test_error_that_is_an_answer_is_not_covered_up(application: Application, mesh: Mesh, time: Time) -> None:
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


async def test_rebuilt_feed_empties_the_cache(application: Application, mesh: Mesh) -> None:
    """Where changes may have been missed nothing is kept."""
    await application.show(BEIJING, SHOW)
    mesh.records[PERSON].clear()
    mesh.changes.clear()
    mesh.feed_id = "history-2"
    await _until(application, status=2)
    async with asyncio.timeout(10):
        while await outcome(application) != Outcome.HIT:
            await asyncio.sleep(0.05)


async def test_every_region_is_one_batch(application: Application, mesh: Mesh) -> None:
    """Destinations are computed together, those already cached not at all."""
    await application.show(BEIJING, SHOW)
    mesh.batches.clear()
    found = await application.destinations(CheckDestinationsRequest(document=_document()), SHOW)
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


async def test_coverage_of_a_source_that_failed_is_shown(application: Application, mesh: Mesh) -> None:
    """Who did not answer is named."""
    mesh.unreachable.add("nation")
    shown = await application.show(BEIJING, SHOW)
    assert [(one.source, one.status) for one in shown.message().verdict.coverage] == [
        (one.source, one.status)
        for one in (SourceCoverage(source="110000", status=OK), SourceCoverage(source="nation", status=UNREACHABLE))
    ]


def _document() -> Document:
    return Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number=NUMBER)


def _claim() -> ClaimResultRequest:
    return ClaimResultRequest(document=_document(), region="110000")


async def told(cache: MemoryCache, mesh: Mesh) -> None:
    """Waits until the nation's news have reached the cache."""
    async with asyncio.timeout(30):
        while await cache.cursor("nation") != f"{mesh.feed_id}/{len(mesh.changes)}/":
            await asyncio.sleep(0.01)


async def _until(application: Application, *, status: int, question: CodeQuery = BEIJING) -> None:
    async with asyncio.timeout(30):
        while (await application.show(question, SHOW)).entry.status != status:
            await asyncio.sleep(0.02)


async def _heard(application: Application, mesh: Mesh) -> None:
    """Waits until the feeds have spoken by the new time."""
    async with asyncio.timeout(30):
        while await outcome(application, CodeQuery(token_bytes(16), "110000")) == Outcome.BYPASS:
            await asyncio.sleep(0.02)


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
    assert code_json(shown[1]).startswith(b'{"freshness":"STALE_SOURCE","age":null,') is marked
    mesh.unreachable.clear()
    again = await application.show(hunan._replace(refresh=True), SHOW)
    assert again.freshness == Freshness.FRESHNESS_COMPUTED
