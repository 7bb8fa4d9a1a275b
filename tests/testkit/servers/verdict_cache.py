"""Caches of verdicts for tests, of each kind."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.codes.cache.memory import MemoryCache
from gateway.codes.cache.protocol import Lease, News, VerdictCache
from gateway.codes.cache.redis import RedisCache
from services.runtime.clock import system_clock
from tests.testkit.servers.redis import RedisServer

PERSON = b"p" * 16


OTHER = b"q" * 16


SLOT = "1100000"


FEEDS = ("nation", "holders")


Open = Callable[[], VerdictCache]


def opener(backend: str, request: pytest.FixtureRequest) -> Open:
    """Opens the cache under test; the shared one again and again."""
    if backend == "memory":
        return lambda: MemoryCache(1000)
    server: RedisServer = request.getfixturevalue("redis_server")
    # The machine may be busy; only the tests of outages want haste.
    return lambda: RedisCache(server.url, feeds=FEEDS, clock=system_clock, mesh="a mesh", timeout=5.0)


@asynccontextmanager
async def begun(open_cache: Open) -> AsyncIterator[VerdictCache]:
    """A cache that follows its feeds from their start."""
    cache = open_cache()
    for feed in FEEDS:
        await cache.begin(feed, News(cursor="0", as_of=system_clock()))
    yield cache
    await cache.close()


async def lease(cache: VerdictCache, person: bytes = PERSON) -> Lease:
    """The lease that a person's verdict is stored under."""
    (taken,) = await cache.lease([person])
    assert taken is not None
    return taken


async def shown(cache: VerdictCache, person: bytes = PERSON, slot: str = SLOT) -> int | None:
    """The version that would be shown."""
    (found,) = (await cache.read([(person, slot)])).entries
    return None if found is None else int(found.body)


async def change(cache: VerdictCache, *persons: bytes, labs: tuple[str, ...] = ()) -> None:
    """The nation tells of a change."""
    before = await cache.cursor("nation")
    assert before is not None
    assert await cache.apply("nation", before, News(str(int(before) + 1), persons, labs, system_clock()))
