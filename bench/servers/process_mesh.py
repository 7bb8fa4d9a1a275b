"""A mesh as it is deployed, on one machine: a process for each service, PostgreSQL for the stores that are asked, Redis
for the cache; and the processor time of each."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.protocol import CannotRunError
from bench.servers import postgres, redis
from bench.servers.mesh import StoredPlan
from bench.servers.program import thread_seconds
from cli.mesh.client import MeshClient
from cli.mesh.data import mesh_secret
from cli.mesh.per_process import ProcessMesh
from cli.mesh.plan import GATEWAY, LOOKUP, VERDICT
from cli.mesh.ports import free_ports
from services.common.regions import NATION
from services.runtime.limits.rules import NO_LIMITS

POSTGRES, REDIS = "postgresql", "redis"


@dataclass(frozen=True, slots=True)
class DeployedMesh:
    """A running one. `urls` are the databases of the stores that are in PostgreSQL, by name."""

    http: str
    client: MeshClient
    urls: Mapping[str, str]
    redis_url: str
    _mesh: ProcessMesh
    _database: postgres.PostgresServer
    _cache: redis.RedisServer

    def processor_seconds(self) -> Mapping[str, float]:
        """Returns the processor time used so far, by service; "postgresql" has all of its processes together."""
        used = {name: thread_seconds(self._mesh.pid(name) or 0) for name in (GATEWAY, VERDICT, *self.urls)}
        server = self._database.process.pid
        used[POSTGRES] = sum(thread_seconds(pid) for pid in (server, *postgres.children(server)))
        used[REDIS] = thread_seconds(self._cache.pid or 0)
        return used

    async def database_bytes(self, store: str) -> int:
        """Returns the size of a store's database."""
        connection = await asyncpg.connect(self.urls[store])
        try:
            return int(await connection.fetchval("select pg_database_size(current_database())"))
        finally:
            await connection.close()


@asynccontextmanager
async def deployed_mesh(regions: Sequence[str]) -> AsyncIterator[DeployedMesh]:
    """A mesh meanwhile, with audit trails and without limits; the stores of these regions, of the nation and of lookup
    are in PostgreSQL, with fsync. Raises CannotRunError where there is no PostgreSQL or Redis."""
    executable = redis.binary()
    if executable is None:
        raise CannotRunError("没有 redis-server", "There is no redis-server")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hutong-bench-")))
        cache = redis.RedisServer(executable, folder)
        cache.start()
        stack.callback(cache.kill)
        database = await asyncio.to_thread(postgres.start, durable=True)
        stack.callback(database.stop)
        urls = {name: await database.create_database() for name in (*regions, NATION, LOOKUP)}
        data = folder / "mesh"
        data.mkdir()
        plan = StoredPlan(data, mesh_secret(data), free_ports(), redis=cache.url, urls=urls, limits={NO_LIMITS: "true"})
        mesh = ProcessMesh(plan)
        stack.push_async_callback(mesh.stop_all)
        await mesh.start_all()
        client = await stack.enter_async_context(MeshClient(mesh.endpoints, "hutong-bench"))
        yield DeployedMesh(mesh.http, client, urls, cache.url, mesh, database, cache)
