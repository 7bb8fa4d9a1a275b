"""A change for many at once does not empty the cache."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hutong.common.v1.subject_pb2 import Purpose

from gateway.codes.cache.memory import MemoryCache
from gateway.codes.cache.protocol import HOLDERS, Key, Reading, VerdictCache
from gateway.codes.cache.redis import RedisCache
from gateway.codes.codes import Shown
from gateway.codes.query import CodeQuery
from gateway.composition import Gateway
from gateway.metrics import Outcome
from gateway.settings import GatewaySettings
from services.common.regions import NATION
from services.runtime.clock import system_clock
from tests.testkit.fakes.mesh import Mesh, compose, record, until_ready
from tests.testkit.secret import SECRET
from tests.testkit.servers.redis import RedisServer

SHOW = Purpose.PURPOSE_SHOW_CODE
PEOPLE = [b"%016d" % number for number in range(4000)]
SUSPENDED = PEOPLE[::40]
"""A hundred of four thousand were tested by the laboratory that is suspended."""
LARGEST = 1000
"""Questions in one batch."""


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def cache(request: pytest.FixtureRequest) -> VerdictCache:
    """The gateway's."""
    if request.param == "memory":
        return MemoryCache(100_000)
    server: RedisServer = request.getfixturevalue("redis_server")
    return RedisCache(server.url, feeds=(NATION, HOLDERS), clock=system_clock, mesh="a mesh", timeout=5.0)


@pytest.fixture
def mesh() -> Mesh:
    """A mesh that knows a test of everybody."""
    mesh = Mesh()
    for person in PEOPLE:
        mesh.records[person].append(record(person))
    for person in SUSPENDED:
        mesh.records[person] = [record(person, laboratory="430000-suspended")]
    return mesh


@pytest.fixture
async def gateway(mesh: Mesh, cache: VerdictCache) -> AsyncIterator[Gateway]:
    """A gateway with everybody's code of two regions cached."""
    settings = GatewaySettings(mesh_secret=SECRET, compute_seconds=20.0)
    gateway = compose(mesh, settings, cache=cache)
    async with gateway.service.running():
        await until_ready(gateway)
        for start in range(0, len(PEOPLE), LARGEST // 2):
            await _show(gateway, PEOPLE[start : start + LARGEST // 2])
        mesh.batches.clear()
        yield gateway


async def _show(gateway: Gateway, people: list[bytes]) -> list[Outcome]:
    asked = [CodeQuery(person, region) for person in people for region in ("110000", "430000")]
    shown = await gateway.application.show_many(asked, SHOW)
    return [one.outcome for one in shown if isinstance(one, Shown)]


async def test_suspended_laboratory_makes_only_its_own_codes_computed_and_each_once(
    gateway: Gateway, mesh: Mesh, cache: VerdictCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask at eight in the morning, what rests on it travels together, once for all who ask."""
    readings: list[Reading] = []
    read = cache.read

    async def reading(keys: Sequence[Key]) -> Reading:
        readings.append(await read(keys))
        return readings[-1]

    await mesh.tell(laboratory="430000-suspended")
    async with asyncio.timeout(30):
        while isinstance((await gateway.application.codes.look_up([CodeQuery(SUSPENDED[0], "110000")]))[0], Shown):
            await asyncio.sleep(0.01)
    monkeypatch.setattr(cache, "read", reading)
    mesh.gate = asyncio.Event()
    everybody = [asyncio.create_task(_show(gateway, PEOPLE[start::8])) for start in range(8)]
    again = [asyncio.create_task(_show(gateway, SUSPENDED)) for _ in range(5)]
    # All have looked before the first is answered. Not all is under way by then: what many need goes in slices.
    async with asyncio.timeout(30):
        while len(readings) < len(everybody) + len(again):
            await asyncio.sleep(0.01)
    mesh.gate.set()
    outcomes = [outcome for told in await asyncio.gather(*everybody) for outcome in told]
    await asyncio.gather(*again)
    assert outcomes.count(Outcome.MISS) == 2 * len(SUSPENDED)
    assert outcomes.count(Outcome.HIT) == 2 * (len(PEOPLE) - len(SUSPENDED))
    assert sum(mesh.batches) == 2 * len(SUSPENDED)
    assert len(mesh.batches) <= len(everybody) + len(again)


async def test_new_policy_makes_only_its_regions_codes_computed(gateway: Gateway, mesh: Mesh) -> None:
    """The other region's stay where they are."""
    mesh.digests["110000"] = b"digest-2"
    async with asyncio.timeout(30):
        while isinstance((await gateway.application.codes.look_up([CodeQuery(PEOPLE[0], "110000")]))[0], Shown):
            await asyncio.sleep(0.02)
    outcomes = await _show(gateway, PEOPLE[:500])
    assert (outcomes[::2], outcomes[1::2]) == ([Outcome.MISS] * 500, [Outcome.HIT] * 500)
    assert sum(mesh.batches) == 500
