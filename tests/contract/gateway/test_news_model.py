"""A gateway over services in miniature, in any order of asking, answering, changing, following and telling, and with
time passing: compared with a model that remembers everything."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, cast

import pytest
from hutong.common.v1.subject_pb2 import Purpose
from hutong.verdict.v1 import verdict_service_pb2
from hutong.verdict.v1.verdict_service_pb2 import VerdictOutcome
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gateway.codes.cache.entry import BOUND_SECONDS, WITHOUT_NEWS
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.cache.protocol import HOLDERS, News, VerdictCache
from gateway.codes.cache.redis import RedisCache
from gateway.codes.codes import Codes, Shown
from gateway.codes.policy_digests import PolicyDigests
from gateway.codes.query import CodeQuery
from gateway.codes.single_flight import SingleFlight
from gateway.codes.verdict_client import VerdictClient
from gateway.http.views.code import code_body
from gateway.metrics import Outcome
from services.common.instants import SECOND, Instant
from services.common.regions import NATION
from services.runtime.clock import system_clock
from tests.testkit.fakes.stepped_gateway import LABORATORY, REGIONS, Truth
from tests.testkit.identities import gateway_mesh, judge
from tests.testkit.servers.redis import RedisServer

HOME, ELSEWHERE = REGIONS
PERSON = b"p" * 16
FEEDS = (NATION, HOLDERS, HOME)
CUTS = tuple(map(frozenset, ((), ("link",), ("link", HOME), (NATION,), (HOLDERS,), FEEDS)))
"""What may be cut off meanwhile: the link from the region to the nation, or feeds of the gateway's."""
BEHIND = 2 * SECOND
"""Of the nation's records: a region not heard of for longer is asked itself (services.records.replication.follower)."""


class Services(Truth):
    """The home region's store, the nation that follows it while the link between them holds, and verdicts on what they
    say. A computation reads its evidence when it begins and answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0
        self.nation = 0
        self.heard = self.clock()
        self.under_way: list[asyncio.Future[None]] = []
        self.past: list[tuple[Instant, int]] = [(Instant(0), 0)]

    def clock(self) -> Instant:
        """The time of this world."""
        return Instant(START + self.ahead)

    def change(self) -> None:
        """The region commits."""
        self.version += 1
        self.past.append((self.clock(), self.version))

    def follow(self) -> None:
        """The nation hears of everything."""
        self.nation, self.heard = self.version, self.clock()

    def at(self, instant: int) -> int:
        """The version that was current then."""
        return max(version for since, version in self.past if since <= instant)

    async def BatchComputeVerdicts(
        self, request: verdict_service_pb2.BatchComputeVerdictsRequest
    ) -> verdict_service_pb2.BatchComputeVerdictsResponse:
        """Reads the home store where it is asked for, else the nation, and the home store as well when the nation has
        not heard of it lately, as lookup does."""
        behind = self.heard < self.clock() - BEHIND
        read = [self.version if query.region == HOME or behind else self.nation for query in request.queries]
        answering: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.under_way.append(answering)
        await answering
        return verdict_service_pb2.BatchComputeVerdictsResponse(
            outcomes=[
                VerdictOutcome(verdict=self.verdict(query, version, self.clock()), policy_digest=self.digest)
                for query, version in zip(request.queries, read, strict=True)
            ],
            judge=judge(),
        )


START = system_clock()


class Asked(NamedTuple):
    """A question under way, and the oldest version its answer may show."""

    task: asyncio.Task[Shown]
    least: int


class GatewayAndModel(RuleBasedStateMachine):
    """The gateway does what the rules say; the model holds what was told to it."""

    open_cache: Callable[[Callable[[], Instant]], VerdictCache]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.services = Services()
        self.told = {HOME: 0, ELSEWHERE: 0}
        self.cursors = dict.fromkeys(FEEDS, 0)
        self.versions = dict.fromkeys(FEEDS, 0)
        self.asked: list[Asked] = []

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        """Does something, and lets everything go on that can."""

        async def done() -> Any:
            result = await doing
            await self._settle()
            return result

        return self.runner.run(done())

    async def _settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    @initialize()
    def start(self) -> None:
        """The gateway begins, its feeds having told everything."""

        async def begin() -> None:
            services = cast(Any, self.services)
            self.cache = type(self).open_cache(self.services.clock)
            for feed in FEEDS:
                await self.cache.begin(feed, News(cursor="0", as_of=self.services.clock()))
            policies = PolicyDigests(services)
            await policies.poll()
            single_flight = SingleFlight(
                self.cache,
                VerdictClient(services, gateway_mesh(), self.services.clock, seconds=60.0),
                policies,
                render=code_body,
                clock=self.services.clock,
                seconds=60.0,
                chance=lambda: 0.0,
            )
            self.codes = Codes(
                self.cache,
                single_flight,
                policies,
                clock=self.services.clock,
                news_seconds=BOUND_SECONDS,
                region_feeds=frozenset({HOME}),
            )

        self.run(begin())

    @rule(region=st.sampled_from(REGIONS))
    def ask(self, region: str) -> None:
        """Somebody asks; a hit is answered at once, what must be computed when `answer` says so."""

        async def show() -> Shown:
            shown = await self.codes.show(CodeQuery(PERSON, region), Purpose.PURPOSE_SHOW_CODE)
            if shown.outcome is Outcome.HIT:
                # At most so long: what changed in this very microsecond may still be shown without.
                oldest = self.services.clock() - int(BOUND_SECONDS * SECOND) - 1
                assert _version(shown) >= self.services.at(oldest), "older than the bound"
            return shown

        async def begin() -> None:
            self.asked.append(Asked(asyncio.create_task(show()), self.told[region]))
            await self._real()

        self.run(begin())

    async def _real(self) -> None:
        """Lets a real cache answer."""
        for _ in range(3):
            await self.cache.ping()
            await self._settle()

    @rule(which=st.integers(0, 1))
    def answer(self, which: int) -> None:
        """A computation is answered, where there is one."""

        async def let() -> None:
            waiting = [one for one in self.services.under_way if not one.done()]
            if waiting:
                waiting[which % len(waiting)].set_result(None)
            await self._real()

        self.run(let())

    @rule(region=st.sampled_from(REGIONS))
    def ask_and_answer(self, region: str) -> None:
        """Somebody asks, and everything under way is answered."""
        self.ask(region)
        self._answer_all()

    def _answer_all(self) -> None:
        while any(not one.task.done() for one in self.asked):
            self.answer(0)

    @rule(followed=st.booleans())
    def change(self, followed: bool) -> None:
        """The region commits a change, and the nation may hear of it at once."""
        self.services.change()
        if followed:
            self.services.follow()

    @rule()
    def region_tells(self) -> None:
        """The region's feed reaches the gateway, with what changed since it last did, or as a sign of life."""
        self._tell(HOME, self.services.clock(), self.services.version)
        self.told[HOME] = self.services.version

    @rule(of_laboratory=st.booleans())
    def nation_tells(self, of_laboratory: bool) -> None:
        """The nation's feed reaches the gateway, with what the nation has heard and up to when."""
        self._tell(NATION, self.services.heard, self.services.nation, laboratory=of_laboratory)
        self.told[ELSEWHERE] = max(self.told[ELSEWHERE], self.services.nation)

    @rule(of_laboratory=st.booleans())
    def change_and_tell(self, of_laboratory: bool) -> None:
        """A change goes all its way at once, as it mostly does."""
        self.change(followed=True)
        self.nation_tells(of_laboratory)

    def holders_tell(self) -> None:
        """A sign of life of the holders' feed."""
        self._tell(HOLDERS, self.services.clock(), 0)

    def _tell(self, feed: str, as_of: Instant, version: int, *, laboratory: bool = False) -> None:
        news = version > self.versions[feed]
        self.versions[feed] = version
        before = self.cursors[feed]
        self.cursors[feed] += 1
        told = News(
            cursor=str(before + 1),
            persons=[PERSON] if news and not laboratory else [],
            laboratories=[LABORATORY] if news and laboratory else [],
            as_of=as_of,
        )

        async def apply() -> None:
            assert await self.cache.apply(feed, str(before), told)

        self.run(apply())

    @rule()
    def forget(self) -> None:
        """The holder does something at this gateway."""
        self.services.follow()
        self.run(self.codes.forget(PERSON))
        self.told = dict.fromkeys(REGIONS, self.services.version)

    @rule(seconds=st.sampled_from((1.0, 2.5, 6.0)), cut=st.sampled_from(CUTS))
    def pass_time(self, seconds: float, cut: frozenset[str]) -> None:
        """Time passes, while nothing is being computed; whatever is not cut is heard of."""
        self._answer_all()
        self.services.ahead += int(seconds * SECOND)
        if "link" not in cut:
            self.services.follow()
        if HOME not in cut:
            self.region_tells()
        if NATION not in cut:
            self.nation_tells(of_laboratory=False)
        if HOLDERS not in cut:
            self.holders_tell()

    @invariant()
    def answers_are_no_older_than_what_was_told(self) -> None:
        """Everybody who was answered was shown at least what had been told when they asked."""
        for one in [one for one in self.asked if one.task.done()]:
            self.asked.remove(one)
            assert _version(one.task.result()) >= one.least

    def teardown(self) -> None:
        """Ends what is under way."""

        async def end() -> None:
            while any(not question.task.done() for question in self.asked):
                for one in self.services.under_way:
                    if not one.done():
                        one.set_result(None)
                await self._real()
            for question in self.asked:
                assert _version(await question.task) >= question.least
            await self.cache.close()

        self.runner.run(end())
        self.runner.close()


def _version(shown: Shown) -> int:
    return int(shown.message().verdict.days_since_test)


def test_bound_is_the_sum_of_what_may_be_late() -> None:
    """What the nation may not have heard, and how long an entry counts without news, stay within the bound."""
    assert BEHIND + WITHOUT_NEWS <= BOUND_SECONDS * SECOND


def test_no_answer_is_older_than_the_news_nor_than_the_bound() -> None:
    """With a cache within the process."""
    machine = type("InMemory", (GatewayAndModel,), {"open_cache": staticmethod(lambda clock: MemoryCache(1000))})
    run_state_machine_as_test(machine, settings=settings(max_examples=600, stateful_step_count=30, deadline=None))


@pytest.mark.redis
def test_no_answer_is_older_than_the_news_nor_than_the_bound_with_redis(redis_server: RedisServer) -> None:
    """With a cache in a real Redis."""

    def opened(clock: Callable[[], Instant]) -> VerdictCache:
        redis_server.flush()
        return RedisCache(redis_server.url, feeds=FEEDS, clock=clock, mesh="a mesh", timeout=5.0)

    machine = type("InRedis", (GatewayAndModel,), {"open_cache": staticmethod(opened)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
