"""Rollouts, scaling and long absences cost no code: names whose addresses change, under a load of uncached codes.

`ROLLOUTS=all` tries every wrong version behind every door, and names that are told for longer; otherwise one of each.
"""

import asyncio
import os
import sqlite3
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import grpc
import msgspec
import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.verdict.v1.verdict_pb2 import Status
from hutong.verdict.v1.verdict_service_pb2 import ComputeVerdictRequest, VerdictQuery
from hutong.verdict.v1.verdict_service_pb2_grpc import VerdictServiceStub

from gateway.settings import GatewaySettings
from services.lookup.composition import build as build_lookup
from services.lookup.settings import Settings as LookupSettings
from services.records.composition import build as build_records
from services.records.settings import Settings as RecordsSettings
from services.runtime.service import Service
from services.verdict.composition import build as build_verdict
from services.verdict.settings import Settings as VerdictSettings
from tests.testkit.directories import directory_file
from tests.testkit.secret import SECRET
from tests.testkit.servers.cluster import Build, Load, Replica, StuckError
from tests.testkit.servers.gateway_pod import GatewayPod, KeptConnections
from tests.testkit.servers.mesh_on_names import (
    CALL_SECONDS,
    HOME,
    NATION,
    MeshOnNames,
    Times,
    committed_times,
    mesh_on_names,
)
from tests.testkit.tools import ROOT

PARTNERS_CONFIG = '{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}'
PATIENT_TICK = 0.02
WHOLE = os.environ.get("ROLLOUTS") == "all"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize("ttl", [0.5, 3.0] if WHOLE else [0.5])
async def test_everything_is_upgraded_at_once_twice_and_no_code_fails(tmp_path, ttl, measured):
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
    measured.of().saw("codes", load.done)
    measured.of().lose(len(load.failures))
    assert [] == load.failures


async def test_with_the_committed_times_no_code_fails_while_names_are_told_for_30_seconds(tmp_path):
    """A drain, or a second rollout, ends a pod when another is Ready, while names are told as they were 30 s ago: that
    pod serves on until the other is known. All of it is ten times as fast here."""
    times = Times(committed_times().drain / FASTER, 0.0)
    async with mesh_on_names(tmp_path, NAME_SECONDS / FASTER, times) as mesh, Load(mesh.ask, 4) as load:
        await load.calls(100)
        await asyncio.gather(
            mesh.verdict.roll_as_deployment(),
            mesh.lookup.roll_as_stateful_set(),
            mesh.nation.roll_as_stateful_set(),
            mesh.home.roll_as_stateful_set(),
        )
        await load.calls(100)
    assert [] == load.failures


NAME_SECONDS = 30.0
"""As old as a usual cluster's answers may be."""
FASTER = 10.0


@pytest.mark.postgres
async def test_two_lookups_on_one_database_are_rolled_twice_and_no_code_fails(tmp_path, postgres_url):
    """The second time as soon as the first has its last pod Ready; the list of members is proven once, for all."""
    times = Times(WAIT_SECONDS, 0.0)
    async with mesh_on_names(tmp_path, 0.5, times, lookup_store=postgres_url) as mesh, Load(mesh.ask, 4) as load:
        await load.calls(100)
        before = {replica.address for replica in mesh.lookup.replicas}
        for _ in range(2):
            await mesh.lookup.roll_as_stateful_set()
        assert before.isdisjoint(replica.address for replica in mesh.lookup.replicas)
        await load.calls(100)
    assert [] == load.failures


WAIT_SECONDS = 1.6
"""Longer than names are told there, and a channel takes to ask again."""


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


@pytest.mark.parametrize("wrong", ["image", "setting", "secret"] if WHOLE else ["secret"])
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


@pytest.mark.parametrize("wrong", ["image", "setting", "secret"] if WHOLE else ["setting"])
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
