"""Rollouts, scaling and long absences cost no code: names whose addresses change, under a load of uncached codes."""

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

import grpc
import msgspec
import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.gateway.v1.health_code_service_pb2 import HealthCodeQuery, ShowHealthCodeRequest, ShowHealthCodeResponse
from hutong.records.v1 import record_read_service_pb2, record_write_service_pb2
from hutong.verdict.v1.verdict_pb2 import Status
from hutong.verdict.v1.verdict_service_pb2 import ComputeVerdictRequest, VerdictQuery
from hutong.verdict.v1.verdict_service_pb2_grpc import VerdictServiceStub

from gateway.__main__ import wire
from gateway.settings import GatewaySettings
from services.lookup.composition import build as build_lookup
from services.lookup.settings import Settings as LookupSettings
from services.records.composition import build as build_records
from services.records.settings import Settings as RecordsSettings
from services.runtime.rpc import server as server_module
from services.runtime.rpc.binding import Binding, local
from services.runtime.rpc.call import enter, leave, within
from services.runtime.service import Service
from services.runtime.settings.directory import read_directory
from services.verdict.composition import build as build_verdict
from services.verdict.settings import Settings as VerdictSettings
from tests.testkit.directories import directory_file
from tests.testkit.fakes.record_store import RecordStore
from tests.testkit.secret import SECRET
from tests.testkit.servers.cluster import Build, Cluster, Load, Replica, StuckError, Workload, cluster
from tests.testkit.servers.gateway_pod import GatewayPod, KeptConnections
from tests.testkit.tools import ROOT

READ = record_read_service_pb2.DESCRIPTOR.services_by_name["RecordReadService"]
WRITE = record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"]
PARTNERS_CONFIG = '{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}'
NATION, HOME = "nation", "110000"
CALL_SECONDS = 60.0
"""A call may be slow on a machine that is busy, and is not lost for that."""
SOURCE_SECONDS = 15.0
PATIENT_TICK = 0.02

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class Codes(Protocol):
    """A gateway."""

    async def ShowHealthCode(self, request: ShowHealthCodeRequest, /) -> ShowHealthCodeResponse:
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
    cached."""

    cluster: Cluster
    nation: Workload[Replica]
    home: Workload[Replica]
    lookup: Workload[Replica]
    verdict: Workload[Replica]
    gateway: Workload[GatewayPod]
    ask: Callable[[], Awaitable[None]]
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
async def mesh_on_names(data: Path, ttl: float, times: Times | None = None) -> AsyncIterator[MeshOnNames]:
    """Two replicas of records, of lookup and of verdict, and a gateway; `gateway` has none yet."""
    numbers = count(1)
    drain, ready = times or Times(ttl + 1.5, ttl + 1.5)
    async with cluster(ttl=ttl, drain_seconds=drain, ready_seconds=ready) as names:
        nation = names.workload("records-nation", lambda: _records(NATION, data / "directory.yaml"))
        home = names.workload("records-110000", lambda: _records(HOME))
        stores = {NATION: nation.target, HOME: home.target}
        directory = directory_file(data / "directory.yaml", stores)
        news = directory_file(data / "news.yaml", {NATION: nation.target})
        lookup = names.workload(
            "lookup",
            lambda: build_lookup(
                LookupSettings(
                    mesh_secret=SECRET,
                    # Nobody here links or switches: what a database would be to the replicas is a copy for each.
                    store_url=f"sqlite:///{_copy_of_links(data, next(numbers))}",
                    store_migrate=True,
                    directory=directory,
                    source_timeout=SOURCE_SECONDS,
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

        gateways = names.workload_of("gateway", lambda address: GatewayPod(settings, address, names.port))
        async with gateway.service.running():
            yield MeshOnNames(names, nation, home, lookup, verdict, gateways, ask, settings)


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


async def test_with_the_committed_times_no_code_fails_while_names_are_told_for_30_seconds(tmp_path):
    """Answers may be as old as a usual cluster's: what a new pod waits and an old one serves on is longer, together."""
    async with mesh_on_names(tmp_path, 30.0, committed_times()) as mesh, Load(mesh.ask, 4) as load:
        await load.calls(100)
        await asyncio.gather(
            mesh.verdict.roll_as_deployment(),
            mesh.lookup.roll_as_stateful_set(),
            mesh.nation.roll_as_stateful_set(),
            mesh.home.roll_as_stateful_set(),
        )
        await load.calls(100)
    assert [] == load.failures


async def test_a_second_rollout_begins_while_the_first_goes_on(tmp_path):
    """Scaled out, rolled twice with no pause for the second, and scaled in again: what a hurried evening looks like."""
    async with mesh_on_names(tmp_path, 0.5) as mesh, Load(mesh.ask, 4) as load:
        await load.calls(100)
        for workload in mesh.workloads:
            await workload.scale(3)
        first = asyncio.create_task(mesh.verdict.roll_as_deployment())
        await asyncio.sleep(1.0)
        await asyncio.gather(
            mesh.verdict.roll_as_deployment(),
            *(workload.roll_as_stateful_set() for workload in (mesh.lookup, mesh.nation, mesh.home)),
        )
        await first
        # The whole of a node is drained: one pod of each, at once.
        await asyncio.gather(*(workload.scale(2) for workload in mesh.workloads))
        await load.calls(100)
    assert [] == load.failures


@pytest.mark.parametrize("wrong", ["image", "setting", "secret"])
async def test_a_wrong_rollout_stops_before_it_costs_a_call_and_the_right_one_heals_it(tmp_path, wrong: str):
    """A program that ends, an address where nobody is, another mesh's secret: the new pod is never Ready."""
    async with mesh_on_names(tmp_path, 0.5) as mesh:
        await mesh.gateway.scale(2)
        async with KeptConnections(mesh.gateway, 10) as kept:
            await kept.answers(50)
            right, before = mesh.gateway.pod, list(mesh.gateway.replicas)
            mesh.gateway.pod = lambda address: GatewayPod(_wrong(mesh.settings, wrong), address, mesh.cluster.port)
            with pytest.raises(StuckError):
                await mesh.gateway.roll_as_deployment()
            assert before == mesh.gateway.replicas
            mesh.gateway.pod = right
            await mesh.gateway.roll_as_deployment()
            assert set(before).isdisjoint(mesh.gateway.replicas)
            await kept.answers(50)
        assert ([], 0) == (kept.failures, kept.lost)


WRONG_SECONDS = 4.0
"""How long a pod that is set up wrongly is given: it never gets ready, however long."""
OTHER_SECRET = "the secret of quite another mesh"


@pytest.mark.parametrize("wrong", ["image", "setting", "secret"])
async def test_what_is_rolled_out_wrongly_behind_the_gateway_stops_and_the_right_one_heals_it(tmp_path, wrong: str):
    """Verdict, lookup and a region's records at once: the first new pod of each is never Ready; the others answer."""
    async with mesh_on_names(tmp_path, 0.5) as mesh, Load(mesh.ask, 2) as load:
        await load.calls(20)
        workloads = (mesh.verdict, mesh.lookup, mesh.home)
        right = [workload.pod for workload in workloads]
        before = [list(workload.replicas) for workload in workloads]
        builds = (_wrong_verdict(mesh, wrong), _wrong_lookup(tmp_path, wrong), await _wrong_records(tmp_path, wrong))
        for workload, build in zip(workloads, builds, strict=True):
            workload.pod = partial(Replica, build, port=mesh.cluster.port, start_seconds=WRONG_SECONDS)
        stops = await asyncio.gather(
            mesh.verdict.roll_as_deployment(),
            mesh.lookup.roll_as_stateful_set(),
            mesh.home.roll_as_stateful_set(),
            return_exceptions=True,
        )
        assert [StuckError] * 3 == [type(stop) for stop in stops], stops
        # A Deployment surges; a StatefulSet has ended one by then, and goes no further.
        assert [2, 1, 1] == [len(workload.replicas) for workload in workloads]
        for workload, pod in zip(workloads, right, strict=True):
            workload.pod = pod
        await asyncio.gather(*(workload.scale(2) for workload in workloads))
        await asyncio.sleep(mesh.cluster.ready_seconds)
        await asyncio.gather(
            mesh.verdict.roll_as_deployment(), mesh.lookup.roll_as_stateful_set(), mesh.home.roll_as_stateful_set()
        )
        for workload, old in zip(workloads, before, strict=True):
            assert set(old).isdisjoint(workload.replicas)
        await load.calls(20)
    assert [] == load.failures


def _wrong_verdict(mesh: MeshOnNames, what: str) -> Build:
    changes = {
        "image": {"policies": "/nowhere"},
        "setting": {"lookup": "127.0.0.1:9"},
        "secret": {"mesh_secret": OTHER_SECRET},
    }
    right = VerdictSettings(mesh_secret=SECRET, lookup=mesh.lookup.target, plaintext=True)
    return partial(build_verdict, msgspec.structs.replace(right, **changes[what]))


def _wrong_lookup(data: Path, what: str) -> Build:
    changes = {
        "image": {"directory": "/nowhere"},
        "setting": {"store_url": f"sqlite:///{data}/nowhere/lookup.db"},
        "secret": {"mesh_secret": OTHER_SECRET},
    }
    right = LookupSettings(
        mesh_secret=SECRET,
        store_url=f"sqlite:///{(data / 'lookup-first').read_text()}",
        directory=str(data / "directory.yaml"),
        plaintext=True,
    )
    return partial(build_lookup, msgspec.structs.replace(right, **changes[what]))


async def test_a_lookup_with_a_wrong_list_of_members_is_never_ready_and_costs_no_code(tmp_path):
    """Without a region, without the nation, with two addresses swapped, or one where nobody is: the nation goes by
    another list, or who is there is another. The right list, applied, is Ready at once."""
    async with mesh_on_names(tmp_path, 0.5) as mesh, Load(mesh.ask, 2) as load:
        await load.calls(20)
        right = {NATION: mesh.nation.target, HOME: mesh.home.target}
        lists = {
            "none": {},
            "a region less": {NATION: right[NATION]},
            "no nation": {HOME: right[HOME]},
            "swapped": {NATION: right[HOME], HOME: right[NATION]},
            "nobody": {**right, HOME: "127.0.0.1:9"},
            "one more": {**right, "310000": "127.0.0.1:9"},
        }
        before, pod = list(mesh.lookup.replicas), mesh.lookup.pod
        pods = []
        for what, addresses in lists.items():
            build = _lookup_with(tmp_path, directory_file(tmp_path / f"{what}.yaml", addresses), what)
            pods.append(Replica(build, next(mesh.cluster.free), mesh.cluster.port, WRONG_SECONDS))
        ends = await asyncio.gather(*(pod.start() for pod in pods), return_exceptions=True)
        await asyncio.gather(*(pod.terminate(0.0) for pod in pods))
        assert dict.fromkeys(lists, TimeoutError) == {what: type(end) for what, end in zip(lists, ends, strict=True)}, (
            ends
        )
        # One of them is rolled out: it goes no further than its first pod, and the right one heals it.
        stale = _lookup_with(tmp_path, str(tmp_path / "a region less.yaml"), "rolled")
        mesh.lookup.pod = partial(Replica, stale, port=mesh.cluster.port, start_seconds=WRONG_SECONDS)
        with pytest.raises(StuckError):
            await mesh.lookup.roll_as_stateful_set()
        mesh.lookup.pod = pod
        await mesh.lookup.scale(2)
        await mesh.lookup.roll_as_stateful_set()
        assert set(before).isdisjoint(mesh.lookup.replicas)
        await load.calls(20)
    assert [] == load.failures


def _lookup_with(data: Path, directory: str, name: str) -> Build:
    """Returns how a lookup with this list is built, on the store that the others have."""
    path = data / f"lookup-{name}.db"

    def build() -> Service:
        with (
            closing(sqlite3.connect((data / "lookup-first").read_text())) as made,
            closing(sqlite3.connect(path)) as copy,
        ):
            made.backup(copy)
        path.chmod(0o600)
        return build_lookup(
            LookupSettings(mesh_secret=SECRET, store_url=f"sqlite:///{path}", directory=directory, plaintext=True)
        )

    return build


async def _wrong_records(data: Path, what: str) -> Build:
    """Beside the stores of the mesh, in memory, one in a file: it knows whose it is, and under what secret."""
    right = RecordsSettings(region=HOME, mesh_secret=SECRET, store_url=f"sqlite:///{data / 'home.db'}", plaintext=True)
    async with build_records(msgspec.structs.replace(right, store_migrate=True)).running():
        pass
    changes = {
        "image": {"store_url": f"sqlite:///{data}/nowhere/home.db"},
        "setting": {"region": "310000"},
        "secret": {"mesh_secret": OTHER_SECRET},
    }
    return partial(build_records, msgspec.structs.replace(right, **changes[what]))


def _wrong(settings: GatewaySettings, what: str) -> GatewaySettings:
    changes = {
        # What a program does that is not the one that was meant: it does not begin to serve.
        "image": {"directory": "/nowhere"},
        "setting": {"lookup": "127.0.0.1:9", "verdict": "127.0.0.1:9"},
        "secret": {"mesh_secret": OTHER_SECRET},
    }
    return msgspec.structs.replace(settings, **changes[what])


async def test_no_kept_connection_meets_an_end_that_was_not_announced(tmp_path):
    """60 of them, to gateways that are rolled as everything behind them is; each is told which answer is its last."""
    async with mesh_on_names(tmp_path, 0.5) as mesh:
        await mesh.gateway.scale(2)
        async with KeptConnections(mesh.gateway, 60) as kept:
            await kept.answers(200)
            await asyncio.gather(
                mesh.gateway.roll_as_deployment(),
                mesh.verdict.roll_as_deployment(),
                *(workload.roll_as_stateful_set() for workload in (mesh.lookup, mesh.nation, mesh.home)),
            )
            await kept.answers(200)
        assert ([], 0, True) == (kept.failures, kept.lost, kept.last_answers >= 60)


async def test_a_partner_that_knows_only_a_name_loses_no_call(tmp_path):
    """An ordinary client of grpcio with the options of docs/clients.md, nothing of ours; verdict is rolled twice."""
    options = [("grpc.service_config", PARTNERS_CONFIG), ("grpc.dns_min_time_between_resolutions_ms", 1000)]
    documents = count(1)
    async with (
        mesh_on_names(tmp_path, 0.5) as mesh,
        grpc.aio.insecure_channel(mesh.verdict.target, options) as channel,
    ):
        verdict = VerdictServiceStub(channel)

        async def ask() -> None:
            document = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=f"E{next(documents):08d}")
            query = VerdictQuery(subject=Subject(document=document), region=HOME)
            request = ComputeVerdictRequest(query=query, purpose=Purpose.PURPOSE_REGIONAL_SERVICE)
            response = await verdict.ComputeVerdict(
                request, timeout=CALL_SECONDS, metadata=[("hutong-caller", "region-110000")]
            )
            assert Status.STATUS_UNDETERMINED != response.verdict.status

        async with Load(ask, 4) as load:
            await load.calls(100)
            for _ in range(2):
                await mesh.verdict.roll_as_deployment()
            await load.calls(100)
        assert [] == load.failures


def test_the_page_for_clients_says_what_is_tested():
    """The very text of the service config."""
    assert PARTNERS_CONFIG in (ROOT / "docs/clients.md").read_text(encoding="utf-8")


async def test_a_service_that_was_away_for_long_is_found_at_once(tmp_path):
    """Its name had no address meanwhile, so that gRPC's resolver asks ever more seldom, here for the next time 13 s
    later; two seconds after it is Ready again codes are shown. They are counted in ticks of the test's own loop: a
    machine that is busy makes them longer."""
    async with mesh_on_names(tmp_path, 0.5) as mesh, Load(mesh.ask, 2) as load:
        await load.calls(20)
        mesh.cluster.drain_seconds = 0.0
        await mesh.lookup.scale(0)
        await asyncio.sleep(30)
        assert load.failures
        await mesh.lookup.scale(1)
        ready = time.monotonic()
        for _ in range(round((2 + mesh.cluster.names.ttl) / PATIENT_TICK)):
            if load.last_success >= ready:
                break
            await asyncio.sleep(PATIENT_TICK)
        assert load.last_success >= ready


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
