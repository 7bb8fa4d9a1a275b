"""`hutong up` as people run it: a process of its own, at its own ports, with its data in a folder of its own."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import httpx

from cli.mesh.endpoints import Endpoints, read_endpoints

READY_SECONDS = 60.0
END_SECONDS = 30.0


def child_environment() -> dict[str, str]:
    """This process's environment, with the modules it can import, and `hutong` found where Python is."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONUNBUFFERED": "1",
        "PATH": path,
    }


@dataclass
class Up:
    """A running `hutong up`."""

    process: Process
    data: Path
    endpoints: Endpoints
    printed: str
    seconds: float
    """From its launch to its first line."""

    async def show(self, person: dict[str, str], region: str, **options: object) -> dict[str, object]:
        """The code of a person, over HTTP."""
        async with httpx.AsyncClient(base_url=self.endpoints.http, timeout=10) as client:
            reply = await client.post("/v1/healthCode:show", json={"document": person, "region": region, **options})
        assert reply.status_code == 200, reply.text
        answer: dict[str, object] = reply.json()
        return answer

    async def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Sends a signal; returns the exit status and what was still said on standard output and error."""
        self.process.send_signal(number)
        out, err = await asyncio.wait_for(self.process.communicate(), END_SECONDS)
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


Start = Callable[..., AbstractAsyncContextManager[Up]]


async def run_cli(*arguments: str, cwd: Path | None = None, stdin: bytes = b"") -> tuple[int, str, str]:
    """Runs one `hutong` command to its end, with this on standard input; returns exit status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=child_environment(),
        cwd=cwd,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin), READY_SECONDS)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def running(data: Path, *arguments: str, cwd: Path | None = None) -> AsyncIterator[Up]:
    """`hutong up` with its data there, once it has printed where to look; killed afterwards if it still runs."""
    began = perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "cli", "up", "--port", "0", "--data", str(data), *arguments),
        stdout=PIPE,
        stderr=PIPE,
        env=child_environment(),
        cwd=cwd,
    )
    try:
        printed = await asyncio.wait_for(_welcome(process), READY_SECONDS)
        seconds = perf_counter() - began
        endpoints = read_endpoints(data)
        assert endpoints is not None
        yield Up(process, data, endpoints, printed, seconds)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.communicate(), END_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _welcome(process: Process) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[str] = []
    while line := await process.stdout.readline():
        lines.append(line.decode())
        if line.startswith(b"Ctrl-C"):
            return "".join(lines)
    raise AssertionError(f"ended before it was ready: {(await process.stderr.read()).decode()}")
