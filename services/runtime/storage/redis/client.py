"""One way to ask Redis, however it is deployed: a server or a name, Sentinel, or Cluster.

The URL says which: `redis://user:password@host:6379/0` and `unix://`; `redis+sentinel://host:26379,host:26379/NAME/0`,
where NAME is what the sentinels call the primary; `redis+cluster://host:6379,host:6379`. With `rediss` in the place of
`redis` it is over TLS, and `?ssl_ca_certs=FILE` names who signed the servers' certificates; the options are redis-py's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import unquote, urlsplit

import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

T = TypeVar("T")

RedisDriver = aioredis.Redis | aioredis.RedisCluster

SENTINEL_PORT = 26379
REDIS_PORT = 6379


class Call(NamedTuple):
    """One run of a script, on its keys."""

    keys: Sequence[str]
    args: Sequence[bytes | str | int]


class RedisClient:
    """Asks the Redis of a URL. `seconds` is what one command may take, `most` how many connections there are.

    A connection that was closed, and one to a server that is no primary any more, is made again at once, with whatever
    the name, the sentinels or the cluster say then. All raise redis-py's errors, OSError or TimeoutError.
    """

    def __init__(self, url: str, *, seconds: float, most: int) -> None:
        self._driver: RedisDriver = _driver(url, seconds, most)
        # Who finds no connection waits: the driver would fail. That of a cluster (redis-py 8.1) sends commands that are
        # asked at once to servers that do not have their keys, then closes the connections of the others.
        self._turns = asyncio.Semaphore(1 if isinstance(self._driver, aioredis.RedisCluster) else most)

    def script(self, text: str) -> AsyncScript:
        """Returns a script that this client can run."""
        return self._driver.register_script(text)

    async def run(self, script: AsyncScript, call: Call) -> Any:
        """Runs a script on keys of one server."""
        return await self.ask(lambda driver: script(keys=call.keys, args=call.args, client=driver))

    async def run_all(self, script: AsyncScript, calls: Sequence[Call]) -> Sequence[Any]:
        """Runs a script so many times, on keys of whatever servers; in one message where there is one server."""
        if isinstance(self._driver, aioredis.RedisCluster):
            # Its pipelines take no scripts.
            return [await self.run(script, call) for call in calls]

        async def send(driver: RedisDriver) -> Sequence[Any]:
            async with driver.pipeline(transaction=False) as pipeline:
                for call in calls:
                    # A pipeline is a driver, too.
                    await script(keys=call.keys, args=call.args, client=cast("aioredis.Redis", pipeline))
                answers: Sequence[Any] = await pipeline.execute()
                return answers

        return await self.ask(send)

    async def info(self, section: str, key: str) -> Mapping[str, Any]:
        """Returns a section of what the server of a key tells of itself."""

        async def tell(driver: RedisDriver) -> Mapping[str, Any]:
            if isinstance(driver, aioredis.RedisCluster):
                _ = await driver.initialize()
                told: Mapping[str, Any] = await driver.info(section, target_nodes=driver.get_node_from_key(key))
                return told
            return await driver.info(section)

        return await self.ask(tell)

    async def ask(self, operation: Callable[[RedisDriver], Awaitable[T]]) -> T:
        """Does what may be done twice; a second time when the first met a connection that leads nowhere any more."""
        async with self._turns:
            try:
                return await operation(self._driver)
            except (RedisError, OSError) as error:
                if not _leads_elsewhere(error):
                    raise
            await self._forget_connections()
            return await operation(self._driver)

    async def _forget_connections(self) -> None:
        # A cluster's driver does so by itself. Those in use find out by themselves.
        if isinstance(self._driver, aioredis.Redis):
            await self._driver.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Lets go of connections."""
        await self._driver.aclose()


def is_full(error: Exception) -> bool:
    """Says whether Redis refused to write because it has no room, within a script or outside."""
    # Of an error within a script, an old server's text alone says what it is.
    return isinstance(error, OutOfMemoryError) or "OOM command not allowed" in str(error)


def _leads_elsewhere(error: Exception) -> bool:
    if isinstance(error, RedisTimeoutError | TimeoutError):
        # Who did not answer in time would not the second time, and callers wait.
        return False
    return isinstance(error, RedisConnectionError | ReadOnlyError | OSError) or "READONLY" in str(error)


def _driver(url: str, seconds: float, most: int) -> RedisDriver:
    parts = urlsplit(url)
    scheme, _, deployment = parts.scheme.partition("+")
    options: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
    }
    if not deployment:
        return aioredis.Redis.from_url(url, max_connections=most, **options)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    # What the driver reads from a URL, it reads from one of a single host.
    name, _, database = parts.path.strip("/").partition("/")
    single = parts._replace(scheme=scheme, netloc=parts.netloc.replace(",".join(hosts), hosts[0]), path=f"/{database}")
    told: dict[str, Any] = {
        key: value
        for key, value in parse_url(single.geturl()).items()
        if key not in {"host", "port", "connection_class"}
    }
    told["ssl"] = scheme == "rediss"
    if deployment == "cluster":
        return aioredis.RedisCluster(
            startup_nodes=[ClusterNode(*_address(host, REDIS_PORT)) for host in hosts],
            max_connections=most,
            **options,
            **told,
        )
    own = {key.removeprefix("sentinel_"): told.pop(key) for key in list(told) if key.startswith("sentinel_")}
    over = {key: value for key, value in told.items() if key.startswith("ssl")}
    sentinel = aioredis.Sentinel(  # type: ignore[no-untyped-call]  # redis-py types its methods, not its making
        [_address(host, SENTINEL_PORT) for host in hosts], sentinel_kwargs={**options, **over, **own}, **options, **told
    )
    primary: aioredis.Redis = sentinel.master_for(unquote(name), max_connections=most)
    return primary


def _address(host: str, default: int) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    return parts.hostname or "", parts.port or default
