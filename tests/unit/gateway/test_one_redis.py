"""The cache and the limiter know together that their Redis cannot be reached or is frozen, and each by itself that it
is slow."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from redis.exceptions import NoPermissionError

from gateway.codes.cache.protocol import CacheDownError
from gateway.codes.cache.redis import RedisCache
from services.runtime.clock import system_clock
from services.runtime.limits.buckets import BucketsDownError, Taking
from services.runtime.limits.rules import Rule
from services.runtime.resilience.circuit import SharedCircuit
from services.runtime.storage.redis.reach import Reach
from services.runtime.storage.redis.token_buckets import RedisBuckets
from tests.testkit.servers.redis import StartRedis

LONG = 3_600.0
TAKING = Taking(Rule("code-per-address", 1.0, 1.0), "an address", 1.0, False)


class Silent:
    """A server that takes connections and answers nothing."""

    def __init__(self) -> None:
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.read()
        writer.close()


@asynccontextmanager
async def uses(port: int, circuit: SharedCircuit) -> AsyncIterator[tuple[RedisBuckets, RedisCache]]:
    """The two uses of the Redis at a port."""
    url = f"redis://127.0.0.1:{port}/0"
    buckets = RedisBuckets(url, salt=b"salt", timeout=0.5, circuit=circuit)
    cache = RedisCache(url, feeds=["nation"], clock=system_clock, mesh="a mesh", timeout=0.5, circuit=circuit)
    yield buckets, cache
    await buckets.close()
    await cache.close()


async def free_port() -> int:
    """Returns a port at which nobody listens."""
    server = await asyncio.start_server(Silent(), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@pytest.mark.parametrize("limiter_first", [True, False])
async def test_that_redis_is_gone_is_found_out_once(limiter_first: bool) -> None:
    """Whichever use meets it first: the other does not ask, as a server that is back by then sees."""
    circuit, silent, port = SharedCircuit(LONG, LONG), Silent(), await free_port()
    async with uses(port, circuit) as (buckets, cache):
        asks = [(buckets.take([TAKING]), BucketsDownError), (cache.cursor("nation"), CacheDownError)]
        first, second = asks if limiter_first else reversed(asks)
        with pytest.raises(first[1]):
            await first[0]
        server = await asyncio.start_server(silent, "127.0.0.1", port)
        with pytest.raises(second[1]):
            await second[0]
        server.close()
    assert (0, True) == (silent.connections, circuit.open)


async def answered(
    ask: Callable[[], Awaitable[object]], error: type[Exception], circuit: SharedCircuit, seconds: float = 30.0
) -> None:
    """Asks until there is an answer: a machine that is busy may take longer than half a second."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await ask()
            except error:
                circuit.succeeded()
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("limiter_first", [True, False])
async def test_that_redis_is_frozen_is_found_out_once(limiter_first: bool, start_redis: StartRedis) -> None:
    """Whichever use waits in vain: the other does not wait, even where both were answered a moment ago."""
    server, circuit = start_redis(), SharedCircuit(LONG, LONG)
    async with uses(urlsplit(server.url).port or 0, circuit) as (buckets, cache):
        asks = [(lambda: buckets.take([TAKING]), BucketsDownError), (lambda: cache.cursor("nation"), CacheDownError)]
        for ask, error in asks:
            await answered(ask, error, circuit)
        server.freeze()
        try:
            first, second = asks if limiter_first else reversed(asks)
            with pytest.raises(first[1]):
                await first[0]()
            assert circuit.open
            with pytest.raises(second[1]):
                await second[0]()
        finally:
            server.thaw()


async def test_what_answers_nobody_is_found_out_once() -> None:
    """A server, or something before it, that takes connections: the other use makes none."""
    circuit, silent = SharedCircuit(LONG, LONG), Silent()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with uses(server.sockets[0].getsockname()[1], circuit) as (buckets, cache):
        with pytest.raises(BucketsDownError):
            await buckets.take([TAKING])
        connections = silent.connections
        assert connections
        with pytest.raises(CacheDownError):
            await cache.cursor("nation")
        assert connections == silent.connections
    server.close()
    assert circuit.open


def test_that_it_is_slow_for_one_says_nothing_of_the_other() -> None:
    """An answer that does not come in time, while another use is answered, is that use's own; so is an error that is
    an answer."""
    shared = SharedCircuit(LONG, LONG)
    limiter, cache = Reach(shared), Reach(shared)
    begun = time.monotonic()
    limiter.succeeded()
    cache.failed(TimeoutError(), begun)
    assert (True, False, False) == (cache.open, limiter.open, shared.open)
    other = Reach(shared)
    other.failed(NoPermissionError(), time.monotonic())
    assert (True, False, False) == (other.open, limiter.open, shared.open)
