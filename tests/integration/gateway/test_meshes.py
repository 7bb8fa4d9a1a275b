"""A cache keeps what it can be told about, of its own mesh: two meshes on one Redis, a region that nobody follows."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.settings import GatewaySettings
from tests.testkit.fakes.mesh import DOCUMENT, PERSON, Mesh, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.redis import RedisServer

SHOW = "/v1/healthCode:show"


def settings(**more: Any) -> GatewaySettings:
    """Returns the settings of a gateway on ports of its own."""
    return GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", listen="127.0.0.1:0", **more)


async def code(http: httpx.AsyncClient, region: str = "110000") -> tuple[str, str]:
    """Status and freshness of the person's code."""
    answer = (await http.post(SHOW, json={"document": DOCUMENT, "region": region})).json()
    return answer["status"], answer["freshness"]


@pytest.mark.redis
async def test_two_meshes_on_one_redis_know_nothing_of_each_other(redis_server: RedisServer) -> None:
    """One secret, two nations: what one mesh caches, and is told, is nothing to the other."""
    redis_server.flush()
    real, copy = Mesh(), Mesh()
    copy.feed_id = "history of a copy for tests"
    real.records[PERSON].append(record())
    shared = {"redis_url": redis_server.url, "redis_timeout": 5.0}
    async with (
        serving(real, settings(**shared)) as (first, _),
        serving(copy, settings(**shared)) as (second, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{first}") as of_real,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{second}") as of_copy,
    ):
        assert await code(of_real) == ("RECOGNISED", "COMPUTED")
        assert await code(of_copy) == ("NOT_RECOGNISED", "COMPUTED")
        assert await code(of_real) == ("RECOGNISED", "CACHED")
        assert await code(of_copy) == ("NOT_RECOGNISED", "CACHED")
        await copy.tell(person=PERSON)
        await asyncio.sleep(0.5)
        assert await code(of_real) == ("RECOGNISED", "CACHED")


@pytest.mark.parametrize("cache", ["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def test_a_code_that_rests_on_a_region_nobody_follows_is_kept_for_seconds(
    cache: str, request: pytest.FixtureRequest
) -> None:
    """A region that lookup asks and the nation does not follow: what changes there reaches no cache."""
    shared = {}
    if cache == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.flush()
        shared = {"redis_url": server.url, "redis_timeout": 5.0}
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    del mesh.followed["430000"]
    async with (
        serving(mesh, settings(**shared)) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        asyncio.timeout(60),
    ):
        assert await code(http, "110000") == ("RECOGNISED", "COMPUTED")
        assert await code(http, "430000") == ("RECOGNISED", "COMPUTED")
        # Nobody tells of a change in 430000; what rests on it goes by itself.
        mesh.records[PERSON].clear()
        await asyncio.sleep(3.2)
        assert await code(http, "110000") == ("RECOGNISED", "CACHED")
        assert await code(http, "430000") == ("NOT_RECOGNISED", "COMPUTED")


async def test_a_code_is_no_longer_current_once_its_feed_is_no_longer_followed() -> None:
    """A region that the nation leaves, or follows by another feed, takes with it what rests on it."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    async with (
        serving(mesh, settings()) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        asyncio.timeout(60),
    ):
        for region in ("110000", "430000"):
            assert await code(http, region) == ("RECOGNISED", "COMPUTED")
        mesh.followed["430000"] = "the feed of another store"
        await mesh.tell(person=b"x" * 16)
        await asyncio.sleep(3.5)
        assert await code(http, "110000") == ("RECOGNISED", "CACHED")
        assert await code(http, "430000") == ("RECOGNISED", "COMPUTED")
