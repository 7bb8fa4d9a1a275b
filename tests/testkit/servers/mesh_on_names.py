"""A mesh whose services know each other by name alone, on a cluster that is none: replicas that come and go."""

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

from hutong.common.v1.subject_pb2 import Document, DocumentType
from hutong.gateway.v1.health_code_service_pb2 import (
    HealthCodeQuery,
    ListResultsRequest,
    ListResultsResponse,
    ShowHealthCodeRequest,
    ShowHealthCodeResponse,
)
from hutong.records.v1 import record_read_service_pb2, record_write_service_pb2
from hutong.verdict.v1.verdict_pb2 import Status

from gateway.__main__ import wire
from gateway.settings import GatewaySettings
from services.lookup.composition import build as build_lookup
from services.lookup.settings import Settings as LookupSettings
from services.runtime.rpc.binding import Binding, local
from services.runtime.rpc.call import enter, leave, within
from services.runtime.service import Service
from services.runtime.settings.directory import read_directory
from services.verdict.composition import build as build_verdict
from services.verdict.settings import Settings as VerdictSettings
from tests.testkit.directories import directory_file
from tests.testkit.fakes.record_store import RecordStore
from tests.testkit.secret import SECRET
from tests.testkit.servers.cluster import Cluster, Replica, Workload, cluster
from tests.testkit.servers.gateway_pod import GatewayPod
from tests.testkit.tools import ROOT

READ = record_read_service_pb2.DESCRIPTOR.services_by_name["RecordReadService"]
WRITE = record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"]
NATION, HOME = "nation", "110000"
CALL_SECONDS = 60.0
"""A call may be slow on a machine that is busy, and is not lost for that."""
SOURCE_SECONDS = 15.0


class Codes(Protocol):
    """A gateway."""

    async def ShowHealthCode(self, request: ShowHealthCodeRequest, /) -> ShowHealthCodeResponse:
        """See hutong.gateway.v1.HealthCodeService."""

    async def ListResults(self, request: ListResultsRequest, /) -> ListResultsResponse:
        """See hutong.gateway.v1.HealthCodeService."""


class Times(NamedTuple):
    """HUTONG_DRAIN_WAIT and minReadySeconds, in seconds."""

    drain: float
    ready: float


def committed_times() -> Times:
    """Returns those of the committed manifests, which are the same for all workloads."""
    (drain,) = re.findall(r"HUTONG_DRAIN_WAIT=(\d+)", (ROOT / "k8s/components/shared/kustomization.yaml").read_text())
    files = [*(ROOT / "k8s/mesh").glob("*/*.yaml"), ROOT / "k8s/records/records.yaml"]
    (ready,) = {found for file in files for found in re.findall(r"minReadySeconds: (\d+)", file.read_text())}
    return Times(float(drain), float(ready))


class MeshOnNames(NamedTuple):
    """A mesh whose services know each other by name alone, and how its gateway is asked for a code that is not
    cached, for which it asks verdict, or for somebody's results, for which it asks lookup itself."""

    cluster: Cluster
    nation: Workload[Replica]
    home: Workload[Replica]
    lookup: Workload[Replica]
    verdict: Workload[Replica]
    gateway: Workload[GatewayPod]
    ask: Callable[[], Awaitable[None]]
    ask_results: Callable[[], Awaitable[None]]
    settings: GatewaySettings

    @property
    def workloads(self) -> Sequence[Workload[Replica]]:
        """Everything behind the gateway."""
        return self.nation, self.home, self.lookup, self.verdict


def _records(region: str, directory: Path | None = None) -> Service:
    """Builds a store in memory; the nation's says by which list it goes, of the file `directory`."""
    store = RecordStore(region)
    if directory is not None:
        store.identity.directory_version = read_directory(str(directory)).version
    return Service(f"records-{region}", [Binding(READ, store), Binding(WRITE, store)])


def _lookup(data: Path, store: str, directory: str, number: int) -> Service:
    """Builds one replica of lookup, of this number. Where they share no database, nobody links or switches: what it
    would be to them is a copy for each."""
    return build_lookup(
        LookupSettings(
            mesh_secret=SECRET,
            store_url=store or f"sqlite:///{_copy_of_links(data, number)}",
            store_migrate=True,
            replica=f"lookup-{number}",
            directory=directory,
            source_timeout=SOURCE_SECONDS,
            plaintext=True,
        )
    )


def _copy_of_links(data: Path, number: int) -> Path:
    """Returns the file of one replica of lookup: a copy of the first one's, which makes them one store."""
    path, first = data / f"lookup-{number}.db", data / "lookup-first"
    if first.exists():
        with closing(sqlite3.connect(first.read_text())) as made, closing(sqlite3.connect(path)) as copy:
            made.backup(copy)
        path.chmod(0o600)
    else:
        first.write_text(str(path))
    return path


@asynccontextmanager
async def mesh_on_names(
    data: Path, ttl: float, times: Times | None = None, lookup_store: str = ""
) -> AsyncIterator[MeshOnNames]:
    """Two replicas of records, of lookup and of verdict, and a gateway; `gateway` has none yet. `lookup_store` is the
    URL of a database that all replicas of lookup share; without one each has a copy of a SQLite file."""
    numbers = count(1)
    drain, ready = times or Times(ttl + 1.5, ttl + 1.5)
    async with cluster(ttl=ttl, drain_seconds=drain, ready_seconds=ready) as names:
        nation = names.workload("records-nation", lambda: _records(NATION, data / "directory.yaml"))
        home = names.workload("records-110000", lambda: _records(HOME))
        stores = {NATION: nation.target, HOME: home.target}
        directory = directory_file(data / "directory.yaml", stores)
        news = directory_file(data / "news.yaml", {NATION: nation.target})
        lookup = names.workload("lookup", lambda: _lookup(data, lookup_store, directory, next(numbers)))
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
            development=str(data / "issuer"),
            compute_seconds=SOURCE_SECONDS,
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

        async def ask_results() -> None:
            document = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=f"E{next(numbers):08d}")
            token = enter(within(CALL_SECONDS))
            try:
                await codes.ListResults(ListResultsRequest(document=document))
            finally:
                leave(token)

        gateways = names.workload_of("gateway", lambda address: GatewayPod(settings, address, names.port))
        async with gateway.service.running():
            yield MeshOnNames(names, nation, home, lookup, verdict, gateways, ask, ask_results, settings)
