"""Each kind of caller, which knows of others by name alone, finds who comes back, and gives who is added a share."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import RecordSubmission, SubmitRecordRequest
from hutong.records.v1.record_write_service_pb2_grpc import RecordWriteServiceStub

from services.lookup.ports import RecordsSource
from services.records.composition import build as build_records
from services.records.settings import Settings as RecordsSettings
from services.runtime.rpc import server as server_module
from services.runtime.rpc.binding import local
from services.runtime.rpc.call import enter, leave, within
from services.runtime.service import Service
from tests.testkit.directories import directory_file
from tests.testkit.fakes.record_store import content
from tests.testkit.secret import SECRET
from tests.testkit.servers.cluster import Load, Replica, Workload, cluster
from tests.testkit.servers.mesh_on_names import HOME, NATION, mesh_on_names

AWAY_SECONDS = 19.0
"""After so long gRPC's own resolver asks for a name that has no address for the next time some 7 s later."""
BOUND_SECONDS = 2.0
SHARE_SECONDS = 60.0
"""How soon who was added has a share."""
TTL = 0.5
TICK = 0.02
PERSON = bytes(15) + b"\1"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    ("name", "callers"),
    [("verdict", ["ask"]), ("lookup", ["ask", "ask_results"]), ("home", ["ask"])],
    ids=["gateway-verdict", "verdict-and-gateway-lookup", "lookup-records"],
)
async def test_a_service_that_was_away_for_long_is_found_at_once(
    tmp_path: Path, name: str, callers: Sequence[str]
) -> None:
    """Its name had no address meanwhile, so that gRPC's resolver asks ever more seldom; two seconds after it is Ready
    again it is asked. They are counted in ticks of the test's own loop: a machine that is busy makes them longer."""
    async with mesh_on_names(tmp_path, TTL) as mesh, AsyncExitStack() as stack:
        loads = [await stack.enter_async_context(Load(getattr(mesh, caller), 1)) for caller in callers]
        workload: Workload[Replica] = getattr(mesh, name)
        for load in loads:
            await load.calls(5)
        mesh.cluster.drain_seconds = 0.0
        await workload.scale(0)
        await asyncio.sleep(AWAY_SECONDS)
        assert all(load.failures for load in loads)
        await workload.scale(1)
        ready = time.monotonic()
        for _ in range(round((BOUND_SECONDS + TTL) / TICK)):
            if all(load.last_success >= ready for load in loads):
                break
            await asyncio.sleep(TICK)
        assert all(load.last_success >= ready for load in loads)


async def test_a_region_that_was_away_for_long_is_followed_again_at_once(tmp_path: Path) -> None:
    """The nation reads its feed: what is written when it is back is known to the nation within two seconds."""
    async with cluster(ttl=TTL, drain_seconds=0.0, ready_seconds=0.0) as names:
        home = names.workload("records-110000", lambda: _store(HOME, tmp_path))
        directory = directory_file(tmp_path / "directory.yaml", {HOME: home.target})
        nation = _store(NATION, tmp_path, directory)
        async with nation.running():
            await home.scale(1)
            await _submit(home.replicas[0], names.port, "before")
            async with asyncio.timeout(30):
                while await _known(nation) != ["before"]:
                    await asyncio.sleep(TICK)
            await home.scale(0)
            await asyncio.sleep(AWAY_SECONDS)
            await home.scale(1)
            await _submit(home.replicas[0], names.port, "after")
            for _ in range(round((BOUND_SECONDS + TTL) / TICK)):
                if "after" in await _known(nation):
                    break
                await asyncio.sleep(TICK)
            assert ["after", "before"] == await _known(nation)


def _store(region: str, data: Path, directory: str = "") -> Service:
    url = f"sqlite:///{data / f'{region}.db'}"
    return build_records(
        RecordsSettings(
            region=region,
            mesh_secret=SECRET,
            store_url=url,
            store_migrate=True,
            directory=directory,
            plaintext=True,
        )
    )


async def _submit(replica: Replica, port: int, source_id: str) -> None:
    submission = RecordSubmission(
        region=HOME, source_id=source_id, subject=Subject(person_key=PERSON), content=content()
    )
    request = SubmitRecordRequest(submission=submission, purpose=Purpose.PURPOSE_RECORD_KEEPING)
    async with grpc.aio.insecure_channel(f"{replica.address}:{port}") as channel:
        await RecordWriteServiceStub(channel).SubmitRecord(request, metadata=[("hutong-caller", "test")])


async def _known(nation: Service) -> Sequence[str]:
    store = local(RecordsSource, nation.bindings, service="records", caller="test")
    request = BatchListRecordsRequest(subjects=[Subject(person_key=PERSON)], purpose=Purpose.PURPOSE_REGIONAL_SERVICE)
    token = enter(within(10.0))
    try:
        response = await store.BatchListRecords(request)
    finally:
        leave(token)
    return sorted(record.source_id for record in response.people[0].records)


async def test_replicas_that_are_added_get_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections age, and those who open them anew ask for the addresses: here after two seconds instead of thirty.
    Of everything behind the gateway: verdict, lookup, and a region's records."""
    committed = dict(server_module._OPTIONS)["grpc.max_connection_age_ms"] / 1_000
    # A tenth more at random, and a name that is told for up to 20 s.
    assert committed * 1.1 + 20 < SHARE_SECONDS
    options = dict(server_module._OPTIONS) | {"grpc.max_connection_age_ms": 2_000}
    monkeypatch.setattr(server_module, "_OPTIONS", list(options.items()))
    async with mesh_on_names(tmp_path, TTL) as mesh, Load(mesh.ask, 4) as load:
        await load.calls(50)
        asked = (mesh.verdict, mesh.lookup, mesh.home)
        for workload in mesh.workloads:
            await workload.scale(4)
        await asyncio.sleep(6)
        before = {workload.name: [replica.calls for replica in workload.replicas] for workload in asked}
        await load.calls(200)
        shares = {
            workload.name: [
                replica.calls - calls for replica, calls in zip(workload.replicas, before[workload.name], strict=True)
            ]
            for workload in asked
        }
    assert [] == load.failures
    for name, calls in shares.items():
        assert min(calls) > sum(calls) / 4 / 3, (name, shares)
