"""A rush: thousands of connections at once. What is too much is refused, and operators are answered throughout."""

import asyncio
import json
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1 import health_code_service_pb2 as gateway_pb
from hutong.gateway.v1 import health_code_service_pb2_grpc as gateway_grpc
from hutong.records.v1 import record_read_service_pb2 as read_pb
from hutong.records.v1 import record_read_service_pb2_grpc as read_grpc

from cli.mesh.ports import free_port
from gateway.settings import GatewaySettings
from services.runtime.resilience.tasks import end
from services.runtime.rpc.errors import from_rpc_error
from tests.testkit.fakes.mesh import DOCUMENT, Mesh, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import document_message

CONNECTIONS = 2_500
PROBE_SECONDS = 3.0
"""How long the probe of liveness waits, in k8s/."""


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Lets this process have both ends of all connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 3 * CONNECTIONS:
        pytest.skip(f"this machine gives a process {before[1]} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def probing(port: int) -> Iterator[Counter[str]]:
    """Asks for life again and again meanwhile, on a connection each, as a cluster does; counts what is answered."""
    answers: Counter[str] = Counter()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                reply = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=PROBE_SECONDS)
                answers[str(reply.json()["status"])] += 1
            except httpx.HTTPError as error:
                answers[type(error).__name__] += 1
            time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


async def test_operators_are_answered_in_the_middle_of_a_rush():
    """Every connection asks for a code that nobody has computed yet; a thousand wait, the others are told when to come
    again, and once codes are computed all who wait are served."""
    mesh = Mesh()
    mesh.gate = asyncio.Event()
    operations = free_port()
    settings = GatewaySettings(
        mesh_secret=SECRET,
        http_listen="127.0.0.1:0",
        operations_listen=f"127.0.0.1:{operations}",
        compute_seconds=60.0,
        request_seconds=60.0,
    )
    body = json.dumps({"document": DOCUMENT, "region": "110000"}).encode()
    request = (
        b"POST /v1/healthCode:show HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )
    statuses: Counter[bytes] = Counter()
    async with serving(mesh, settings) as (port, _), asyncio.timeout(120):

        async def ask() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                statuses[head[9:12]] += 1
                assert (b"retry-after: 1" in head) == head.startswith(b"HTTP/1.1 503")
            finally:
                writer.close()

        with probing(operations) as answers:
            asking = [asyncio.create_task(ask()) for _ in range(CONNECTIONS)]
            while statuses[b"503"] < CONNECTIONS - settings.concurrency:
                await asyncio.sleep(0.05)
            async with httpx.AsyncClient() as operators:
                told = await operators.get(f"http://127.0.0.1:{operations}/metrics")
            assert 'hutong_overloaded_total{weight="LIGHT"}' in told.text
            mesh.gate.set()
            await asyncio.gather(*asking)
    assert {b"200": settings.concurrency, b"503": CONNECTIONS - settings.concurrency} == statuses
    assert {"ALIVE"} == set(answers)


CALLS = 8_000
CHANNELS = 2
CONCURRENCY = 200
CALL_BYTES = 8_000
MOST_MEMORY = 64 * 1024 * 1024
"""How much more a server may hold after so many calls at once; all of their messages would be as much already, without
anything that belongs to a call."""


@contextmanager
def busy_server() -> Iterator[tuple[int, int, int]]:
    """A server in a process of its own, whose calls do not end by themselves: its ports, gRPC and operations, and its
    process id."""
    command = [sys.executable, "-m", "tests.testkit.servers.busy_server", str(CONCURRENCY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port, operations = server.stdout.readline().split()
            yield int(port), int(operations), server.pid
        finally:
            server.kill()


def memory(pid: int) -> int:
    """Returns the bytes that a process holds."""
    fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * resource.getpagesize()


async def test_many_thousands_of_calls_at_once_take_no_more_than_their_share():
    """As many go on as may, however many come on each of two connections; each of the others is told when to come
    again, in bounded memory; health is answered over gRPC and to operators throughout; when callers leave there is
    room."""
    request = read_pb.ListRecordsRequest(purpose=Purpose.PURPOSE_SHOW_CODE, page_token="x" * CALL_BYTES)
    refusals: Counter[tuple[str, str, float]] = Counter()
    with busy_server() as (port, operations, pid), probing(operations) as answers:
        async with AsyncExitStack() as channels, asyncio.timeout(120):
            options = [("grpc.use_local_subchannel_pool", 1)]
            opened = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(CHANNELS)]
            for channel in opened:
                await channels.enter_async_context(channel)
            # Typed for the synchronous channel.
            stubs: list[Any] = [read_grpc.RecordReadServiceStub(channel) for channel in opened]
            metadata = [("hutong-caller", "test")]

            async def ask(number: int) -> None:
                try:
                    await stubs[number % CHANNELS].ListRecords(request, timeout=110, metadata=metadata)
                except grpc.aio.AioRpcError as error:
                    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
                    retry = RetryInfo()
                    for one in Status.FromString(details).details:
                        one.Unpack(retry)
                    reason = from_rpc_error(error, "records").reason
                    refusals[error.code().name, reason, retry.retry_delay.ToTimedelta().total_seconds()] += 1

            before = memory(pid)
            asking = [asyncio.create_task(ask(number)) for number in range(CALLS)]
            while refusals.total() < CALLS - CONCURRENCY:
                await asyncio.sleep(0.05)
            health = await health_pb2_grpc.HealthStub(opened[0]).Check(health_pb2.HealthCheckRequest(), timeout=20)
            held = memory(pid) - before
            await end(asking)
            one = read_pb.ListRecordsRequest(purpose=Purpose.PURPOSE_SHOW_CODE, page_size=1)
            while True:
                try:
                    await stubs[0].ListRecords(one, timeout=20, metadata=metadata)
                    break
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                        raise
                    await asyncio.sleep(0.05)
    assert {("RESOURCE_EXHAUSTED", "OVERLOADED", 1.0): CALLS - CONCURRENCY} == refusals
    assert health_pb2.HealthCheckResponse.SERVING == health.status
    assert {"ALIVE"} == set(answers)
    assert held < MOST_MEMORY


@pytest.mark.parametrize("heavy", ["BatchShowHealthCodes", "CheckDestinations", "ListResults"])
async def test_both_doors_of_a_gateway_count_as_one(heavy: str):
    """A quarter of what may be under way may be heavy, over HTTP and gRPC together; codes go on."""
    mesh = Mesh()
    mesh.gate = asyncio.Event()
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", concurrency=4)
    document = gateway_pb.HealthCodeQuery(document=document_message(), region="110000")
    requests: dict[str, Any] = {
        "BatchShowHealthCodes": gateway_pb.BatchShowHealthCodesRequest(queries=[document]),
        "CheckDestinations": gateway_pb.CheckDestinationsRequest(document=document_message(), regions=["110000"]),
        "ListResults": gateway_pb.ListResultsRequest(document=document_message()),
    }
    async with (
        serving(mesh, settings) as (port, grpc_port),
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        asyncio.timeout(60),
    ):
        stub: Any = gateway_grpc.HealthCodeServiceStub(channel)
        metadata = [("hutong-caller", "test")]
        batch = {"queries": [{"document": DOCUMENT, "region": "310000"}]}
        waiting = asyncio.create_task(http.post("/v1/healthCode:batchShow", json=batch))
        while mesh.calls["verdict"] == 0:
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(stub, heavy)(requests[heavy], timeout=5, metadata=metadata)
        assert "OVERLOADED" == from_rpc_error(refused.value, "gateway").reason
        code = gateway_pb.ShowHealthCodeRequest(query=document)
        shown = [stub.ShowHealthCode(code, timeout=30, metadata=metadata) for _ in range(3)]
        mesh.gate.set()
        assert 200 == (await waiting).status_code
        assert ["110000"] * 3 == [(await one).verdict.region for one in shown]


async def test_what_comes_over_grpc_counts_over_http():
    """A batch under way there is one here; a call that has ended is none."""
    mesh = Mesh()
    mesh.gate = asyncio.Event()
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", concurrency=4)
    query = gateway_pb.HealthCodeQuery(document=document_message(), region="110000")
    batch = {"queries": [{"document": DOCUMENT, "region": "310000"}]}
    async with (
        serving(mesh, settings) as (port, grpc_port),
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        asyncio.timeout(60),
    ):
        stub: Any = gateway_grpc.HealthCodeServiceStub(channel)
        request = gateway_pb.BatchShowHealthCodesRequest(queries=[query])
        waiting = asyncio.ensure_future(
            stub.BatchShowHealthCodes(request, timeout=30, metadata=[("hutong-caller", "x")])
        )
        while mesh.calls["verdict"] == 0:
            await asyncio.sleep(0.01)
        refused = await http.post("/v1/healthCode:batchShow", json=batch)
        assert (503, "OVERLOADED", "1") == (
            refused.status_code,
            refused.json()["reason"],
            refused.headers["retry-after"],
        )
        mesh.gate.set()
        await waiting
        assert 200 == (await http.post("/v1/healthCode:batchShow", json=batch)).status_code
