"""A rush: thousands of connections at once. What is too much is refused, and operators are answered throughout."""

import asyncio
import json
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from cli.mesh.ports import free_port
from gateway.settings import GatewaySettings
from tests.testkit.fakes.mesh import DOCUMENT, Mesh, serving
from tests.testkit.secret import SECRET

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
        b"POST /v1/healthCode:show HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
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
            while statuses[b"503"] < CONNECTIONS - settings.http_concurrency:
                await asyncio.sleep(0.05)
            async with httpx.AsyncClient() as operators:
                told = await operators.get(f"http://127.0.0.1:{operations}/metrics")
            assert "OVERLOADED" in told.text
            mesh.gate.set()
            await asyncio.gather(*asking)
    assert {b"200": settings.http_concurrency, b"503": CONNECTIONS - settings.http_concurrency} == statuses
    assert {"ALIVE"} == set(answers)
