"""Every order of lease, evidence, change, news, store and of whoever asks meanwhile: nobody is ever shown what news had
already outdated when they asked, and nothing outdated stays in the cache."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import permutations
from typing import Any, cast

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose
from hutong.gateway.v1.health_code_service_pb2 import CheckDestinationsRequest

from gateway.application.admission import Admission
from gateway.application.application import Application
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.cache.protocol import HOLDERS, VerdictCache
from gateway.codes.cache.redis import RedisCache
from gateway.codes.codes import Codes, Shown
from gateway.codes.policy_digests import PolicyDigests
from gateway.codes.query import CodeQuery
from gateway.codes.single_flight import SingleFlight
from gateway.codes.verdict_client import VerdictClient
from gateway.http.views.code import code_body
from services.common.regions import NATION
from services.runtime.clock import system_clock
from tests.testkit.fakes.mesh import KEYS, NUMBER, PERSON, Mesh
from tests.testkit.fakes.stepped_gateway import LABORATORY, REGIONS, SteppedCache, Truth, begin, tell
from tests.testkit.identities import gateway_mesh
from tests.testkit.servers.redis import RedisServer

SHOW = Purpose.PURPOSE_SHOW_CODE
OTHER_DOCUMENT = b"o" * 16
FEEDS = (NATION, HOLDERS)

Open = Callable[[], VerdictCache]


class Stage:
    """A gateway over services that go step by step, and one change of one kind."""

    def __init__(self, cache: VerdictCache, path: str, kind: str) -> None:
        self.plain = cache
        self.cache = SteppedCache(cache)
        self.truth = Truth()
        if kind == "linked document":
            self.truth.keys = [OTHER_DOCUMENT]
        self._kind = kind
        self._path = path
        self.policies = PolicyDigests(cast(Any, self.truth))
        stepped = cast(VerdictCache, self.cache)
        single_flight = SingleFlight(
            stepped,
            VerdictClient(cast(Any, self.truth), gateway_mesh(), seconds=20.0),
            self.policies,
            render=code_body,
            clock=system_clock,
            seconds=20.0,
        )
        self.codes = Codes(stepped, single_flight, self.policies, clock=system_clock, news_seconds=5.0)
        mesh = cast(Any, Mesh())
        self.application = Application(
            Admission(KEYS), self.codes, self.policies, evidence=mesh, holders=mesh, regions=mesh
        )
        self._shown: list[tuple[asyncio.Task[int], int]] = []
        self.told = 0
        self._first: asyncio.Task[int] | None = None

    def ask(self) -> asyncio.Task[int]:
        """Somebody asks; what they are shown must be no older than what had been told by now."""
        task = asyncio.create_task(self._ask())
        self._shown.append((task, self.told))
        return task

    async def _ask(self) -> int:
        if self._path == "single":
            shown: Sequence[object] = [await self.application.show(CodeQuery(PERSON, REGIONS[0]), SHOW)]
        elif self._path == "batch":
            shown = await self.application.show_many([CodeQuery(PERSON, region) for region in REGIONS], SHOW)
        else:
            document = Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number=NUMBER)
            request = CheckDestinationsRequest(document=document, regions=REGIONS)
            shown = [one.code for one in await self.application.destinations(request, SHOW)]
        return min(one.message().verdict.days_since_test for one in shown if isinstance(one, Shown))

    async def lease(self) -> None:
        """A computation begins and takes its lease."""
        if not self.cache.lease_gate.reached.is_set():
            self._first = self.ask()
        await self.cache.lease_gate.reached.wait()
        self.cache.lease_gate.open()
        await self.cache.lease_gate.passed.wait()

    async def read(self) -> None:
        """It reads its evidence."""
        await self.truth.evidence_gate.reached.wait()
        self.truth.evidence_gate.open()
        await self.truth.evidence_gate.passed.wait()

    async def store(self) -> None:
        """It is answered, and stores what it may."""
        self.truth.answer_gate.open()
        self.cache.store_gate.open()
        await asyncio.wait([task for task, _ in self._shown[:1]])

    async def commit(self) -> None:
        """Something changes."""
        self.truth.version += 1
        self.truth.digest = b"%d" % self.truth.version

    async def news(self) -> None:
        """The gateway hears of it."""
        if self._kind == "person":
            await tell(self.plain, NATION, persons=[PERSON])
        elif self._kind == "laboratory":
            await tell(self.plain, NATION, laboratories=[LABORATORY])
        elif self._kind == "linked document":
            await tell(self.plain, NATION, persons=[OTHER_DOCUMENT])
        elif self._kind == "scope switched elsewhere":
            await tell(self.plain, HOLDERS, persons=[PERSON])
        elif self._kind == "scope switched here":
            await self.codes.forget(PERSON)
        if self._kind == "policy":
            await self.policies.poll()
        self.told = self.truth.version

    async def meanwhile(self) -> None:
        """Somebody else asks, and has joined whatever is under way, or begun a computation of their own."""
        reads = self.cache.reads
        task = self.ask()
        while self.cache.reads == reads and not task.done():
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Everybody was shown something recent enough, and so is whoever asks from now on."""
        for task, told in self._shown:
            assert await task >= told
        assert await self._ask() >= self.told
        # What is there now stays there; it must be just as recent.
        assert await self._ask() >= self.told


def orders() -> Iterator[tuple[str, ...]]:
    """Every order in which a computation's steps and a change's keep their own."""
    steps = ("lease", "read", "store", "commit", "news", "meanwhile")
    for order in permutations(steps):
        place = order.index
        if place("lease") < place("read") < place("store") and place("commit") < place("news"):
            yield order


@asynccontextmanager
async def stage(open_cache: Open, path: str, kind: str) -> AsyncIterator[Stage]:
    """A cache that has news, and whoever reads and changes it."""
    cache = open_cache()
    await begin(cache, FEEDS)
    made = Stage(cache, path, kind)
    await made.policies.poll()
    if kind != "policy":
        # Policies are told only where they are what changes.
        made.truth.digest = b"0"
    yield made
    await cache.close()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def open_cache(request: pytest.FixtureRequest) -> Open:
    """Opens the cache under test, empty."""
    if request.param == "memory":
        return lambda: MemoryCache(1000)
    server: RedisServer = request.getfixturevalue("redis_server")

    def opened() -> VerdictCache:
        server.flush()
        return RedisCache(server.url, feeds=FEEDS, clock=system_clock, mesh="a mesh", timeout=5.0)

    return opened


KINDS = ("person", "laboratory", "policy", "linked document", "scope switched elsewhere", "scope switched here")


@pytest.mark.parametrize("path", ["single", "batch", "destinations"])
@pytest.mark.parametrize("kind", KINDS)
async def test_no_order_shows_what_news_had_outdated(open_cache: Open, kind: str, path: str) -> None:
    """In all sixty orders of one computation, one change and one who asks meanwhile."""
    seen = 0
    for order in orders():
        async with stage(open_cache, path, kind) as scene:
            try:
                async with asyncio.timeout(20):
                    for step in order:
                        move: Callable[[], Awaitable[None]] = getattr(scene, step)
                        await move()
                    await scene.end()
            except AssertionError as error:
                raise AssertionError(f"{kind}, {path}: {' '.join(order)}") from error
        seen += 1
    assert seen == 60
