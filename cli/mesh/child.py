"""One service as a process of its own."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.tls.credentials import channel_credentials
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import Principal

STOP_SECONDS = 8.0
"""How long a process may take to drain before it is killed."""
START_SECONDS = 20.0
"""How long a process may take until it is healthy."""
_POLL_SECONDS = 0.05


_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ChildFailedError(Exception):
    """A process ended, or was not healthy in time; the message names its log."""


class Proof(NamedTuple):
    """The certificate to ask a service with, and the name that the service must prove."""

    files: TlsFiles
    peer: Principal


async def healthy(address: str, proof: Proof | None = None) -> bool:
    """Returns whether the service there says that it serves; with `proof`, over TLS."""
    async with _channel(address, proof) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.aio.AioRpcError:
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _channel(address: str, proof: Proof | None) -> grpc.aio.Channel:
    if proof is None:
        return grpc.aio.insecure_channel(address)
    credentials, override = channel_credentials(proof.files.current(), proof.peer)
    return grpc.aio.secure_channel(address, credentials, options=[override])


def _ends_with_parent() -> Callable[[], None]:
    """Returns what a child does first: it asks to be told to drain when its parent ends, however that ends."""
    parent = os.getpid()

    def ask() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # It may have ended before the question.
        if os.getppid() != parent:
            os._exit(1)

    return ask


class Child:
    """A service's process: `python -m module` with these settings, its log appended to a file.

    It ends when this process does. `lock` is a file that it holds open as long as it runs.
    """

    def __init__(
        self,
        name: str,
        module: str,
        address: str,
        environ: Mapping[str, str],
        log: Path,
        proof: Proof | None = None,
        lock: int | None = None,
    ) -> None:
        self.name = name
        self._lock = lock
        self._module = module
        self._address = address
        self._environ = dict(environ)
        self._log = log
        self._proof = proof
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def spawn(self) -> None:
        """Starts the process, without waiting for it to be healthy. Does nothing while it runs."""
        if self.pid is not None:
            return
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._module,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C at the terminal is for the launcher, which ends its children in order.
                start_new_session=True,
                preexec_fn=_ends_with_parent(),
                pass_fds=() if self._lock is None else (self._lock,),
            )

    async def ready(self) -> None:
        """Waits until it is healthy. Raises ChildFailedError."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await healthy(self._address, self._proof):
                    if self.pid is None:
                        raise ChildFailedError(f"{self.name} 已退出，见 / ended, see {self._log}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise ChildFailedError(f"{self.name} 未就绪，见 / is not healthy, see {self._log}") from None

    async def ended(self) -> int:
        """Waits for the process to end; returns its exit status, negative for a signal."""
        if self._process is None:
            raise ChildFailedError(f"{self.name} 未启动 / was not started")
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process, if it runs."""
        if self.pid is not None and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self) -> None:
        """Lets it drain, then makes sure that it has ended. Does nothing while it does not run."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._process.wait()


def inherited_environment() -> dict[str, str]:
    """Returns what a child's environment has besides its own settings: this process's, without settings that are not
    for everyone, and with the modules this process can import."""
    shared = ("HUTONG_OTLP_ENDPOINT", "HUTONG_TRACE_RATIO", "HUTONG_LOG_LEVEL")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("HUTONG_") or key in shared}
    environ["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
    return environ
