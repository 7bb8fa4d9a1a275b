"""Rollouts, scaling and long absences cost no code: names whose addresses change, under a load of uncached codes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType
from hutong.gateway.v1.health_code_service_pb2 import HealthCodeQuery, ShowHealthCodeRequest, ShowHealthCodeResponse
from hutong.records.v1 import record_read_service_pb2, record_write_service_pb2
from hutong.verdict.v1.verdict_pb2 import Status

from gateway.__main__ import wire
from gateway.settings import GatewaySettings
from services.lookup.composition import build as build_lookup
from services.lookup.settings import Settings as LookupSettings
from services.runtime.rpc import server as server_module
from services.runtime.rpc.binding import Binding, local
from services.runtime.rpc.call import enter, leave, within
from services.runtime.service import Service
from services.verdict.composition import build as build_verdict
from services.verdict.settings import Settings as VerdictSettings
from tests.testkit.directories import directory_file
from tests.testkit.fakes.record_store import RecordStore
from tests.testkit.secret import SECRET
from tests.testkit.servers.cluster import Cluster, Load, Workload, cluster

READ = record_read_service_pb2.DESCRIPTOR.services_by_name["RecordReadService"]
WRITE = record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"]
NATION, HOME = "nation", "110000"
CALL_SECONDS = 5.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Codes(Protocol):
    """A gateway."""

    async def ShowHealthCode(self, request: ShowHealthCodeRequest, /) -> ShowHealthCodeResponse:
        """See hutong.gateway.v1.HealthCodeService."""


class MeshOnNames(NamedTuple):
    """A mesh whose services know each other by name alone, and how its gateway is asked for a code that is not
    cached."""

    cluster: Cluster
    nation: Workload
    home: Workload
    lookup: Workload
    verdict: Workload
    ask: Callable[[], Awaitable[None]]

    @property
    def workloads(self) -> Sequence[Workload]:
        """Everything behind the gateway."""
        return self.nation, self.home, self.lookup, self.verdict


def _records(region: str) -> Service:
    store = RecordStore(region)
    return Service(f"records-{region}", [Binding(READ, store), Binding(WRITE, store)])


@asynccontextmanager
async def mesh_on_names(data: Path, ttl: float) -> AsyncIterator[MeshOnNames]:
    """Two replicas of records, of lookup and of verdict."""
    numbers = count(1)
    async with cluster(ttl=ttl, drain_seconds=ttl + 1.5, ready_seconds=ttl + 1.5) as names:
        nation = names.workload("records-nation", lambda: _records(NATION))
        home = names.workload("records-110000", lambda: _records(HOME))
        stores = {NATION: nation.target, HOME: home.target}
        directory = directory_file(data / "directory.yaml", stores)
        news = directory_file(data / "news.yaml", {NATION: nation.target})
        lookup = names.workload(
            "lookup",
            lambda: build_lookup(
                LookupSettings(
                    mesh_secret=SECRET,
                    # Nobody here links or switches: what a database would be to the replicas is a file for each.
                    store_url=f"sqlite:///{data / f'lookup-{next(numbers)}.db'}",
                    store_migrate=True,
                    directory=directory,
                    plaintext=True,
                )
            ),
        )
        verdict = names.workload(
            "verdict",
            lambda: build_verdict(VerdictSettings(mesh_secret=SECRET, lookup=lookup.target, plaintext=True)),
        )
        for workload in (nation, home, lookup, verdict):
            await workload.scale(2)
        settings = GatewaySettings(
            mesh_secret=SECRET,
            verdict=verdict.target,
            lookup=lookup.target,
            directory=news,
            plaintext=True,
        )
        gateway = wire(settings)
        codes = local(Codes, gateway.service.bindings, service="gateway", caller="spiffe://hutong/development/test")

        async def ask() -> None:
            document = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=f"E{next(numbers):08d}")
            query = HealthCodeQuery(document=document, region=HOME, refresh=True)
            token = enter(within(CALL_SECONDS))
            try:
                response = await codes.ShowHealthCode(ShowHealthCodeRequest(query=query))
            finally:
                leave(token)
            if response.verdict.status == Status.STATUS_UNDETERMINED:
                raise AssertionError(f"undetermined: {response.verdict.coverage}")

        async with gateway.service.running():
            yield MeshOnNames(names, nation, home, lookup, verdict, ask)


@pytest.mark.parametrize("ttl", [0.5, 3.0])
async def test_everything_is_upgraded_at_once_twice_and_no_code_fails(tmp_path, ttl):
    """Deployments surge, StatefulSets replace one by one; afterwards all replicas are others, at other addresses."""
    async with mesh_on_names(tmp_path, ttl) as mesh, Load(mesh.ask, 4) as load:
        await load.calls(100)
        for _ in range(2):
            before = {replica.address for workload in mesh.workloads for replica in workload.replicas}
            await asyncio.gather(
                mesh.verdict.roll_as_deployment(),
                mesh.lookup.roll_as_stateful_set(),
                mesh.nation.roll_as_stateful_set(),
                mesh.home.roll_as_stateful_set(),
            )
            assert before.isdisjoint(replica.address for workload in mesh.workloads for replica in workload.replicas)
        await load.calls(100)
    assert [] == load.failures


async def test_a_service_that_was_away_for_long_is_found_at_once(tmp_path):
    """Its name had no address meanwhile, so that gRPC's resolver asks ever more seldom; two seconds after it is Ready
    again codes are shown."""
    async with mesh_on_names(tmp_path, 0.5) as mesh, Load(mesh.ask, 2) as load:
        await load.calls(20)
        mesh.cluster.drain_seconds = 0.0
        await mesh.lookup.scale(0)
        await asyncio.sleep(25)
        assert load.failures
        await mesh.lookup.scale(1)
        ready = time.monotonic()
        async with asyncio.timeout(2 + mesh.cluster.names.ttl):
            while load.last_success < ready:
                await asyncio.sleep(0.02)


async def test_replicas_that_are_added_get_their_share(tmp_path, monkeypatch):
    """Connections age, and those who open them anew ask for the addresses: here after two seconds instead of thirty."""
    options = dict(server_module._OPTIONS) | {"grpc.max_connection_age_ms": 2_000}
    monkeypatch.setattr(server_module, "_OPTIONS", list(options.items()))
    async with mesh_on_names(tmp_path, 0.5) as mesh, Load(mesh.ask, 4) as load:
        await load.calls(50)
        for workload in mesh.workloads:
            await workload.scale(4)
        await asyncio.sleep(6)
        counts = [_served(replica.service) for replica in mesh.home.replicas]
        await load.calls(200)
        shares = [_served(r.service) - n for r, n in zip(mesh.home.replicas, counts, strict=True)]
    assert [] == load.failures
    assert min(shares) > sum(shares) / 4 / 3, shares


def _served(service: Service | None) -> int:
    assert service is not None
    store = service.bindings[0].servicer
    assert isinstance(store, RecordStore)
    return store.calls
