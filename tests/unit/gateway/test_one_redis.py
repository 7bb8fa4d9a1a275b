"""The cache and the limiter know together that their Redis cannot be reached, and each by itself that it is slow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.codes.cache.protocol import CacheDownError
from gateway.codes.cache.redis import RedisCache
from services.runtime.clock import system_clock
from services.runtime.limits.buckets import BucketsDownError, Taking
from services.runtime.limits.rules import Rule
from services.runtime.resilience.circuit import Circuit
from services.runtime.storage.redis.token_buckets import RedisBuckets

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
async def uses(port: int, circuit: Circuit) -> AsyncIterator[tuple[RedisBuckets, RedisCache]]:
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
    circuit, silent, port = Circuit(LONG, LONG), Silent(), await free_port()
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


async def test_that_it_is_slow_for_one_says_nothing_of_the_other() -> None:
    """An answer that does not come in time is that use's own."""
    circuit, silent = Circuit(LONG, LONG), Silent()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with uses(server.sockets[0].getsockname()[1], circuit) as (buckets, cache):
        with pytest.raises(BucketsDownError):
            await buckets.take([TAKING])
        connections = silent.connections
        assert connections
        with pytest.raises(CacheDownError):
            await cache.cursor("nation")
        assert silent.connections > connections
    server.close()
    assert not circuit.open
