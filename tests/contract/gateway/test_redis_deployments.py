"""The cache over every way in which Redis is deployed, each with real servers: nothing but the URL is another."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from cli.mesh.ports import free_port
from gateway.codes.cache.protocol import CacheDownError, News, VerdictCache
from gateway.codes.cache.redis import RedisCache
from services.runtime.clock import system_clock
from services.runtime.limits.buckets import BucketsDownError, Taking
from services.runtime.limits.rules import Rule
from services.runtime.storage.redis.token_buckets import RedisBuckets
from tests.testkit.builders.cache_entries import LAB, entry
from tests.testkit.needs import missing
from tests.testkit.servers.proxy import Proxy
from tests.testkit.servers.redis import RedisServer, StartRedis
from tests.testkit.servers.server_certificate import sign_server
from tests.testkit.servers.verdict_cache import FEEDS, OTHER, PERSON, SLOT, begun, change, lease, shown

pytestmark = pytest.mark.redis

T = TypeVar("T")

SECONDS = 60.0
"""How long a loaded machine is waited for."""


def cache_at(url: str, timeout: float = 5.0) -> RedisCache:
    """A cache at a URL."""
    return RedisCache(url, feeds=FEEDS, clock=system_clock, mesh="a mesh", timeout=timeout)


async def until_answered(operation: Callable[[], Awaitable[T]]) -> T:
    """Asks again until Redis answers."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            return await operation()
        except (CacheDownError, BucketsDownError):
            assert time.monotonic() < end, "never up again"
            await asyncio.sleep(0.05)


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something of the servers holds, which is asked in a thread."""
    end = time.monotonic() + SECONDS
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < end, "never so"
        await asyncio.sleep(0.05)


async def keep(cache: VerdictCache, version: int = 1, person: bytes = PERSON) -> None:
    """Stores an entry."""
    taken = await lease(cache, person)
    assert [True] == list(await cache.store([(taken, SLOT, entry(version, standing=taken.standing))]))


async def take(url: str) -> None:
    """Takes from twenty buckets, wherever each lies."""
    buckets = RedisBuckets(url, salt=b"salt", timeout=5.0)
    takings = [Taking(Rule("code", 1.0, 10.0), f"asker {number}", 1.0, False) for number in range(20)]
    assert all(left < 0 for left in await until_answered(lambda: buckets.take(takings)))
    await buckets.close()


def primary_and_replica(start_redis: StartRedis) -> tuple[RedisServer, RedisServer]:
    """A server, and one that has all it has."""
    primary = start_redis("--repl-diskless-sync-delay", "0")
    return primary, start_redis("--replicaof", "127.0.0.1", str(primary.port), "--repl-diskless-sync-delay", "0")


def has_all(replica: RedisServer, primary: RedisServer) -> bool:
    """Tells if a replica has what its primary wrote so far."""
    (role, _, _, state, offset) = replica.tell("ROLE")
    (_, written, _) = primary.tell("ROLE")
    return (role, state) == (b"slave", b"connected") and offset >= written


async def test_a_name_that_leads_to_another_primary_costs_no_call(start_redis: StartRedis) -> None:
    """The former primary keeps its connections and is read-only: they are left, and each call is answered at its first
    attempt, the limits' too."""
    primary, replica = await asyncio.to_thread(primary_and_replica, start_redis)
    async with (
        Proxy(f"127.0.0.1:{primary.port}") as name,
        begun(lambda: cache_at(f"redis://{name.address}/0")) as cache,
    ):
        await keep(cache)
        buckets = RedisBuckets(f"redis://{name.address}/0", salt=b"salt", timeout=5.0)
        taking = [Taking(Rule("code", 1.0, 10.0), "somebody", 1.0, False)]
        await buckets.take(taking)
        await until(lambda: has_all(replica, primary))
        await asyncio.to_thread(replica.tell, "REPLICAOF", "NO", "ONE")
        await asyncio.to_thread(primary.tell, "REPLICAOF", "127.0.0.1", str(replica.port))
        name.lead_to(f"127.0.0.1:{replica.port}")
        await keep(cache, 2, OTHER)
        await buckets.take(taking)
        assert [1, 2] == [await shown(cache), await shown(cache, OTHER)]
        await change(cache, PERSON)
        assert await shown(cache) is None
        await buckets.close()


async def test_connections_that_were_closed_cost_no_call(redis_server: RedisServer) -> None:
    """As a proxy does with idle ones."""
    async with (
        Proxy(f"127.0.0.1:{redis_server.port}") as name,
        begun(lambda: cache_at(f"redis://{name.address}/0")) as cache,
    ):
        await keep(cache)
        name.cut()
        name.mend()
        assert 1 == await shown(cache)


async def test_sentinel_says_who_is_primary(start_redis: StartRedis) -> None:
    """The primary is killed: the cache is down until the sentinels agree on the replica, and goes on there with what it
    had."""
    primary, replica = await asyncio.to_thread(primary_and_replica, start_redis)
    monitor = ["--sentinel", "--sentinel monitor", "codes", "127.0.0.1", str(primary.port), "1"]
    pace = ["--sentinel down-after-milliseconds", "codes", "500", "--sentinel failover-timeout", "codes", "3000"]
    sentinel = await asyncio.to_thread(start_redis, *monitor, *pace)
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/codes/0"
    await until(lambda: len(sentinel.tell("SENTINEL", "REPLICAS", "codes")) == 1)
    async with begun(lambda: cache_at(url)) as cache:
        await keep(cache)
        await until(lambda: has_all(replica, primary))
        await asyncio.to_thread(primary.kill)
        await until_answered(lambda: keep(cache, 2, OTHER))
        assert [1, 2] == [await shown(cache), await shown(cache, OTHER)]
        await change(cache, PERSON)
        assert await shown(cache) is None
        await take(url)


def cluster(start_redis: StartRedis) -> list[RedisServer]:
    """Three servers that share the slots."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no")
    servers = [start_redis(*options) for _ in range(3)]
    for number, server in enumerate(servers):
        slots = [str(slot) for slot in range(16384) if slot * 3 // 16384 == number]
        server.tell("CLUSTER", "ADDSLOTS", *slots)
        server.tell("CLUSTER", "MEET", "127.0.0.1", str(servers[0].port))
    return servers


def agree(servers: list[RedisServer]) -> bool:
    """Tells if each of the servers knows that all slots are served."""
    told = [server.tell("CLUSTER", "INFO") for server in servers]
    return all(b"cluster_state:ok" in one and b"cluster_slots_ok:16384" in one for one in told)


def move_slot(servers: list[RedisServer], slot: str) -> None:
    """Moves a slot to a server that does not have it, as redis-cli does."""
    ids = [server.tell("CLUSTER", "MYID").decode() for server in servers]
    (source,) = (n for n, server in enumerate(servers) if server.tell("CLUSTER", "COUNTKEYSINSLOT", slot))
    target = (source + 1) % len(servers)
    servers[target].tell("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    servers[source].tell("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    keys = [key.decode() for key in servers[source].tell("CLUSTER", "GETKEYSINSLOT", slot, "100")]
    servers[source].tell("MIGRATE", "127.0.0.1", str(servers[target].port), "", "0", "5000", "KEYS", *keys)
    for number in (target, source, 3 - target - source):
        servers[number].tell("CLUSTER", "SETSLOT", slot, "NODE", ids[target])


async def test_a_cluster_moves_what_it_has(start_redis: StartRedis) -> None:
    """A mesh's cache is on one of the servers, whose slot moves to another; buckets are on all."""
    servers = await asyncio.to_thread(cluster, start_redis)
    await until(lambda: agree(servers))
    url = f"redis+cluster://127.0.0.1:1,127.0.0.1:{servers[1].port}"
    async with begun(lambda: cache_at(url)) as cache:
        await keep(cache)
        await change(cache, OTHER)
        slot = await asyncio.to_thread(servers[0].tell, "CLUSTER", "KEYSLOT", "hutong:3:{a mesh}:state")
        await asyncio.to_thread(move_slot, servers, str(slot))
        assert 1 == await until_answered(lambda: shown(cache))
        await until_answered(lambda: keep(cache, 2, OTHER))
        await cache.ping()
        assert (await cache.usage()).bytes > 0
        await take(url)


async def test_a_server_of_the_cluster_dies(start_redis: StartRedis) -> None:
    """One that has nothing of the mesh costs its cache nothing."""
    servers = await asyncio.to_thread(cluster, start_redis)
    await until(lambda: agree(servers))
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
    async with begun(lambda: cache_at(url)) as cache:
        await keep(cache)
        for server in servers:
            if b"state" not in await asyncio.to_thread(server.everything):
                await asyncio.to_thread(server.kill)
                break
        assert 1 == await until_answered(lambda: shown(cache))
        await until_answered(lambda: keep(cache, 2, OTHER))


RIGHTS = "~hutong:* -@all +@read +@write +@scripting +@connection +time +info +cluster"
"""The rights that docs/redis.md says a gateway needs."""


async def test_a_user_with_a_gateways_rights_is_enough(start_redis: StartRedis, repository: Path) -> None:
    """Nobody else may do anything; a wrong password is a cache that is down."""
    rights = RIGHTS.split(" ")
    assert RIGHTS in (repository / "docs/redis.md").read_text()
    server = await asyncio.to_thread(
        start_redis, "--user", "gateway", "on", ">word", *rights, "--user", "default", "off", "-@all"
    )
    async with begun(lambda: cache_at(f"redis://gateway:word@127.0.0.1:{server.port}/0")) as cache:
        await keep(cache)
        await change(cache, PERSON, labs=(LAB,))
        await keep(cache, 2)
        assert 2 == await shown(cache)
        await cache.ping()
        assert (await cache.usage()).bytes > 0
        assert await cache.lead("me", 5)
        await cache.forget(PERSON)
    await take(f"redis://gateway:word@127.0.0.1:{server.port}/0")
    for user in ("gateway:other", "", "default:word"):
        refused = cache_at(f"redis://{user}@127.0.0.1:{server.port}/0")
        with pytest.raises(CacheDownError):
            await refused.ping()
        await refused.close()


async def test_tls_proves_the_server(start_redis: StartRedis, tmp_path: Path) -> None:
    """With the authority that signed for it; without, and under another name, nothing is said to it."""
    if not shutil.which("openssl") or not has_tls():
        missing("a redis-server with TLS on the PATH, such as Debian's, and openssl")
    await asyncio.to_thread(sign_server, tmp_path)
    files = ["--tls-cert-file", "server.pem", "--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.pem"]
    paths = [word if word.startswith("--") else str(tmp_path / word) for word in files]
    server = await asyncio.to_thread(
        start_redis, "--tls-port", str(port := free_port()), "--tls-auth-clients", "no", *paths
    )
    assert server.port != port
    trusted = f"?ssl_ca_certs={tmp_path}/ca.pem"
    async with begun(lambda: cache_at(f"rediss://127.0.0.1:{port}/0{trusted}")) as cache:
        await keep(cache)
        assert 1 == await shown(cache)
    for url in (f"rediss://127.0.0.1:{port}/0", f"rediss://localhost:{port}/0{trusted}"):
        refused = cache_at(url)
        with pytest.raises(CacheDownError):
            await refused.ping()
        await refused.close()


async def test_a_full_redis_serves_what_it_has_and_stays_true(start_redis: StartRedis) -> None:
    """Nothing more is stored, no call fails, and changes still reach what is kept; once there is room it goes on."""
    server = await asyncio.to_thread(start_redis, "--maxmemory", "0", "--maxmemory-policy", "noeviction")
    async with begun(lambda: cache_at(server.url)) as cache:
        await keep(cache)
        await keep(cache, 2, OTHER)
        taken = await lease(cache)
        assert await cache.lead("me", 5)
        await asyncio.to_thread(server.tell, "CONFIG", "SET", "maxmemory", "1")
        assert [1, 2] == [await shown(cache), await shown(cache, OTHER)]
        assert [False] == list(await cache.store([(taken, SLOT, entry(3))]))
        assert [None] == list(await cache.lease([b"r" * 16]))
        before = (await cache.read([(PERSON, SLOT)])).news["nation"]
        await change(cache, PERSON)
        assert [None, 2] == [await shown(cache), await shown(cache, OTHER)]
        assert (await cache.read([(PERSON, SLOT)])).news["nation"] > before
        await change(cache, labs=(LAB,))
        assert await shown(cache, OTHER) is None
        assert await cache.lead("me", 5)
        await cache.begin("nation", News(cursor="9", as_of=system_clock()))
        await asyncio.to_thread(server.tell, "CONFIG", "SET", "maxmemory", "0")
        await keep(cache, 3)
        assert 3 == await shown(cache)


async def test_after_a_flush_other_changes_have_the_same_numbers(redis_server: RedisServer) -> None:
    """A replica remembers the standing of laboratories by their number of changes: after a flush, and as many changes,
    it must not take the former ones for these."""
    async with begun(lambda: cache_at(redis_server.url)) as cache:
        await keep(cache)
        await change(cache, labs=("430000-another",))
        assert 1 == await shown(cache)
        await asyncio.to_thread(redis_server.flush)
        async with begun(lambda: cache_at(redis_server.url)) as follower:
            await keep(cache)
            await change(follower, labs=(LAB,))
            assert await shown(cache) is None


async def test_a_redis_that_went_back_says_so_by_its_news(redis_server: RedisServer) -> None:
    """Restored from a backup it has its old entries, and its old news and cursors with them: a reader takes the entries
    for as old as they are, and whoever follows goes on from there, so that what changed since is dropped again. A lease
    from before does not outlive that."""
    async with begun(lambda: cache_at(redis_server.url)) as cache:
        await keep(cache)
        taken = await lease(cache, OTHER)
        old = await cache.read([(PERSON, SLOT)])
        await asyncio.to_thread(redis_server.tell, "SAVE")
        await change(cache, PERSON, OTHER)
        assert await shown(cache) is None
        await asyncio.to_thread(redis_server.kill)
        await asyncio.to_thread(redis_server.start)
        restored = await until_answered(lambda: cache.read([(PERSON, SLOT)]))
        assert restored == old
        assert not await cache.apply("nation", "1", News("2", as_of=system_clock()))
        assert "0" == await cache.cursor("nation")
        await change(cache, PERSON, OTHER)
        assert await shown(cache) is None
        assert [False] == list(await cache.store([(taken, SLOT, entry())]))


def has_tls() -> bool:
    """Tells if the system's server has TLS."""
    executable = shutil.which("redis-server")
    if executable is None:
        return False
    said = subprocess.run([executable, "--port", "0", "--tls-port", "1"], capture_output=True, text=True, check=False)
    return "FATAL CONFIG" not in said.stdout + said.stderr
