"""The gateway as a process, and as a span among spans."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.mesh.ports import free_port
from gateway.settings import GatewaySettings
from services.runtime.telemetry.trace import tracing
from tests.testkit.directories import directory_file
from tests.testkit.fakes.mesh import DOCUMENT, PERSON, Mesh, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.otlp import Collector, collecting
from tests.testkit.servers.redis import RedisServer
from tests.testkit.tools import ROOT

SHOW = "/v1/healthCode:show"


@contextmanager
def process(**variables: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m gateway`, ended with the test."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")]),
        **{f"HUTONG_{name}": value for name, value in variables.items()},
    }
    running = subprocess.Popen(
        [sys.executable, "-m", "gateway"], env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


async def until_alive(port: int, running: subprocess.Popen[str]) -> None:
    """Waits until it answers operators."""
    deadline = time.monotonic() + 30
    async with httpx.AsyncClient() as http:
        while True:
            try:
                await http.get(f"http://127.0.0.1:{port}/healthz")
            except httpx.TransportError:
                assert running.poll() is None
                assert time.monotonic() < deadline
            else:
                return


async def test_process_serves_both_doors_and_ends_on_sigterm(tmp_path: Path) -> None:
    """Without its services it lives, is not ready, says why, and goes when told."""
    http_port, grpc_port, operations_port = free_port(), free_port(), free_port()
    nobody = f"127.0.0.1:{free_port()}"
    with process(
        MESH_SECRET=SECRET,
        HTTP_LISTEN=f"127.0.0.1:{http_port}",
        OPERATIONS_LISTEN=f"127.0.0.1:{operations_port}",
        DIRECTORY=directory_file(tmp_path / "directory.yaml", {"nation": "127.0.0.1:1"}),
        LISTEN=f"127.0.0.1:{grpc_port}",
        VERDICT=nobody,
        LOOKUP=nobody,
        DEVELOPMENT=str(tmp_path / "development"),
    ) as running:
        await until_alive(operations_port, running)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", timeout=15) as http:
            ready = await http.get(f"http://127.0.0.1:{operations_port}/readyz")
            assert (ready.status_code, ready.json()["components"]["verdict"] != "") == (503, True)
            shown = await http.post(SHOW, json={"document": DOCUMENT, "region": "110000"})
            assert (shown.status_code, shown.json()["reason"]) == (503, "SERVICE_UNREACHABLE")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
        running.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0


async def test_process_says_which_port_is_taken(tmp_path: Path) -> None:
    """A taken port ends it with status 2 and a sentence, not a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        directory = directory_file(tmp_path / "directory.yaml", {"nation": "127.0.0.1:1"})
        with process(MESH_SECRET=SECRET, HTTP_LISTEN=address, DIRECTORY=directory) as running:
            _, said = running.communicate(timeout=30)
    assert (running.returncode, f"cannot listen on {address}" in said) == (2, True)
    assert said.splitlines()[-1].startswith("hutong gateway: HUTONG_HTTP_LISTEN: ")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MESH_SECRET": "short"}, "the mesh's secret needs at least 16 bytes"),
        ({"MESH_SECRET": SECRET, "CACHE_ENTRIES": "many"}, "HUTONG_CACHE_ENTRIES"),
    ],
)
def test_process_says_which_setting_is_wrong(variables: dict[str, str], said: str) -> None:
    """A wrong setting ends it before anything is served."""
    with process(**variables) as running:
        _, error = running.communicate(timeout=30)
    assert (running.returncode, said in error, "Traceback" in error) == (2, True, False)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that this process's spans go to meanwhile."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    with collecting() as collector:
        tracing.configure(OTLPSpanExporter(endpoint=collector.endpoint, insecure=True), 0.0)
        try:
            yield collector
        finally:
            tracing.configure(None, 0.0)


@pytest.mark.redis
async def test_sampled_request_is_a_span_with_its_redis_commands(
    collector: Collector, redis_server: RedisServer
) -> None:
    """A sampled request names region, scope, status and cache outcome, and the commands it sent; no person."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    settings = GatewaySettings(
        mesh_secret=SECRET, http_listen="127.0.0.1:0", redis_url=redis_server.url, redis_timeout=2.0
    )
    traces = {"MISS": "4bf92f3577b34da6a3ce929d0e0e4736", "HIT": "5bf92f3577b34da6a3ce929d0e0e4736"}
    async with (
        serving(mesh, settings) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        for trace_id in traces.values():
            headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
            await http.post(SHOW, json={"document": DOCUMENT, "region": "110000"}, headers=headers)
        tracing.flush()
    shown = ("region", "scope", "status", "cache.outcome")
    for outcome, commands in (("MISS", ["redis LEASE", "redis READ", "redis STORE"]), ("HIT", ["redis READ"])):
        assert collector.trees(traces[outcome], shown) == [
            {
                "service": "gateway",
                "name": f"POST {SHOW}",
                "attributes": {
                    "region": "110000",
                    "scope": "NATIONAL",
                    "status": "RECOGNISED",
                    "cache.outcome": outcome,
                },
                "children": [{"service": "gateway", "name": command} for command in commands],
            }
        ]
    assert PERSON.hex() not in str(collector.spans)


async def test_request_that_is_not_sampled_leaves_no_span(collector: Collector) -> None:
    """Nothing is recorded of a request nobody asked to trace."""
    async with (
        serving(Mesh()) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        await http.post(SHOW, json={"document": DOCUMENT, "region": "110000"})
        tracing.flush()
    assert collector.spans == []
