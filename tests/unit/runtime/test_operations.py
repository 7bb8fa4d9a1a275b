"""Operators are answered by a thread of their own, whatever the process's own loop has to do."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from services.runtime.operations import listener as module
from services.runtime.operations.answers import Answers
from services.runtime.operations.heartbeat import Heartbeat
from services.runtime.operations.listener import OperationsListener
from services.runtime.rpc.health import Readiness
from services.runtime.rpc.listening import CannotListenError
from services.runtime.rpc.server import Server


@contextlib.contextmanager
def listening(answers: Answers) -> Iterator[httpx.Client]:
    """Serves these answers meanwhile, with a client."""
    serving = OperationsListener(answers, "127.0.0.1:0", "test")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{serving.port}", timeout=20) as client:
            yield client
    finally:
        serving.stop()


def well() -> Readiness:
    """Nothing is wrong."""
    return Readiness(True, {"store": ""})


def test_a_loop_that_stands_still_is_not_alive():
    """Whatever still answers: a process that never comes to its work is to be restarted."""
    heartbeat = Heartbeat()
    with listening(Answers(heartbeat, well, stuck_seconds=0.2)) as operators:
        time.sleep(0.3)
        alive, ready = operators.get("/healthz"), operators.get("/readyz")
        assert (503, "STUCK") == (alive.status_code, alive.json()["status"])
        assert (503, "NOT_READY", {"store", "loop"}) == (
            ready.status_code,
            ready.json()["status"],
            set(ready.json()["components"]),
        )


@pytest.mark.parametrize(
    ("readiness", "status", "word"),
    [
        (well(), 200, "READY"),
        (Readiness(True, {"store": "slow"}), 200, "DEGRADED"),
        (Readiness(False, {"store": "gone"}), 503, "NOT_READY"),
    ],
    ids=["ready", "degraded", "not-ready"],
)
def test_readiness_is_told_with_its_components(readiness: Readiness, status: int, word: str):
    """As the process has last looked at them."""
    with listening(Answers(Heartbeat(), lambda: readiness)) as operators:
        reply = operators.get("/readyz")
        assert (status, {"status": word, "components": readiness.components}) == (reply.status_code, reply.json())
        assert 200 == operators.get("/healthz").status_code


def test_what_is_not_there_is_not_found():
    """Nothing else is served, and nothing is taken."""
    with listening(Answers(Heartbeat(), well)) as operators:
        assert [404, 405] == [operators.get("/").status_code, operators.post("/healthz").status_code]
        assert (200, b"") == (operators.head("/healthz").status_code, operators.head("/healthz").content)


def test_heads_without_end_and_connections_without_requests_keep_nobody_out(monkeypatch):
    """A head has a size, a connection has seconds, and there are so many."""
    monkeypatch.setattr(module, "CONNECTION_SECONDS", 1.0)
    with listening(Answers(Heartbeat(), well)) as operators, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", operators.base_url.port or 0)
        endless = stack.enter_context(socket.create_connection(address, timeout=20))
        with contextlib.suppress(OSError):
            for _ in range(1_000):
                endless.sendall(b"x-more: y\r\n" * 1_000)
        with contextlib.suppress(ConnectionError):
            assert b"" == endless.recv(1)
        for _ in range(module.CONNECTIONS):
            stack.enter_context(socket.create_connection(address, timeout=20))
        deadline = time.monotonic() + 20
        while True:
            try:
                assert 200 == operators.get("/healthz").status_code
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "they have had their seconds"


def test_a_taken_port_is_an_error():
    """It names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CannotListenError) as raised:
            OperationsListener(Answers(Heartbeat(), well), f"127.0.0.1:{taken.getsockname()[1]}", "test")
    assert "HUTONG_OPERATIONS_LISTEN" == raised.value.variable


async def test_a_server_answers_while_its_loop_is_busy():
    """One long turn of the loop: callers wait, operators do not; and from SIGTERM on the server is not ready."""
    server = Server("test", [], operations_listen="127.0.0.1:0")
    await server.start("127.0.0.1:0")
    try:
        said: list[int] = []
        asked = threading.Event()

        def ask() -> None:
            said.append(httpx.get(f"http://127.0.0.1:{server.operations_port}/healthz", timeout=20).status_code)
            asked.set()

        threading.Thread(target=ask).start()
        # The loop does nothing else until operators have been answered.
        assert asked.wait(20)
        assert [200] == said
        draining = asyncio.create_task(server.drain(0.5, 0.1))
        await asyncio.sleep(0.1)
        async with httpx.AsyncClient() as operators:
            reply = await operators.get(f"http://127.0.0.1:{server.operations_port}/readyz")
        assert (503, "draining") == (reply.status_code, reply.json()["components"]["SIGTERM"])
        await draining
    finally:
        await server.drain(0, 0.1)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.operations_port)
