"""The cache in Redis: shared by replicas, killed, frozen, and of another layout."""

import asyncio

import pytest

from gateway.codes.cache.protocol import CacheDownError, News
from gateway.codes.cache.redis import RedisCache
from services.runtime.clock import system_clock
from tests.testkit.builders.cache_entries import entry
from tests.testkit.servers.redis import RedisServer
from tests.testkit.servers.verdict_cache import FEEDS, PERSON, SLOT, Open, begun, lease, shown


@pytest.mark.redis
async def test_replicas_share_a_cache(redis_server: RedisServer) -> None:
    """What one replica stores another shows, and what one forgets is gone for all."""
    one, two = opener_of(redis_server)(), opener_of(redis_server)()
    for feed in FEEDS:
        await one.begin(feed, News(cursor="0", as_of=system_clock()))
    await one.store([(await lease(one), SLOT, entry())])
    assert await shown(two) == 1
    taken = await lease(two)
    await one.forget(PERSON)
    assert [await shown(two), *await two.store([(taken, SLOT, entry())])] == [None, False]
    await one.close()
    await two.close()


def opener_of(server: RedisServer, timeout: float = 5.0) -> Open:
    """Returns what opens a cache in this Redis; `timeout` is in seconds."""
    return lambda: RedisCache(server.url, feeds=FEEDS, clock=system_clock, mesh="a mesh", timeout=timeout)


@pytest.mark.redis
async def test_redis_killed_midway_is_a_cache_that_is_down_and_then_an_empty_one(redis_server: RedisServer) -> None:
    """Every operation says that the cache is down; once it is back it has no memory, and whoever follows must begin."""
    async with begun(opener_of(redis_server)) as cache:
        taken = await lease(cache)
        await cache.store([(taken, SLOT, entry())])
        redis_server.kill()
        for operation in (
            lambda: cache.read([(PERSON, SLOT)]),
            lambda: cache.lease([PERSON]),
            lambda: cache.store([(taken, SLOT, entry())]),
            lambda: cache.apply("nation", "0", News("1")),
            lambda: cache.cursor("nation"),
            cache.ping,
        ):
            with pytest.raises(CacheDownError):
                await operation()
        redis_server.start()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await cache.cursor("nation") is None
                except CacheDownError:
                    await asyncio.sleep(0.05)
                else:
                    break
        assert await cache.apply("nation", "0", News("1")) is False
        assert [await shown(cache), *await cache.lease([PERSON])] == [None, None]


@pytest.mark.redis
async def test_person_forgotten_while_redis_does_not_answer_is_forgotten_before_it_is_read(
    redis_server: RedisServer,
) -> None:
    """A frozen Redis comes back with what it held; what was to be dropped meanwhile is dropped first."""
    async with begun(opener_of(redis_server, timeout=0.2)) as cache:
        await cache.store([(await lease(cache), SLOT, entry())])
        redis_server.freeze()
        try:
            with pytest.raises(CacheDownError):
                await cache.forget(PERSON)
        finally:
            redis_server.thaw()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await shown(cache) is None
                except CacheDownError:
                    await asyncio.sleep(0.05)
                else:
                    break


@pytest.mark.redis
async def test_redis_that_hangs_costs_one_wait(redis_server: RedisServer) -> None:
    """After the first command found out, the next ones do not wait."""
    async with begun(opener_of(redis_server, timeout=0.1)) as cache:
        await shown(cache)
        redis_server.freeze()
        try:
            with pytest.raises(CacheDownError):
                await shown(cache)
            loop = asyncio.get_running_loop()
            start = loop.time()
            with pytest.raises(CacheDownError):
                await shown(cache)
            assert loop.time() - start < 0.05
        finally:
            redis_server.thaw()


@pytest.mark.redis
async def test_entry_of_another_layout_is_not_found(redis_server: RedisServer) -> None:
    """What an older or newer release stored is computed anew."""
    import redis.asyncio as aioredis

    async with begun(opener_of(redis_server)) as cache:
        await cache.store([(await lease(cache), SLOT, entry())])
        client = aioredis.Redis(port=redis_server.port)
        (key,) = await client.keys(f"*{PERSON.hex()}")
        await client.hset(key, SLOT, b"\x01not an entry")
        await client.aclose()
        assert await shown(cache) is None
