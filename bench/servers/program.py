"""A server as a program of its own, whose CPU is told apart from that of whoever asks it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.protocol import CannotRunError
from cli.mesh.child import inherited_environment

ROOT = Path(__file__).parents[2]
"""The checkout: benchmarks are not installed."""

START_SECONDS = 60.0
STOP_SECONDS = 10.0


def cpu_seconds(pid: int) -> float:
    """The user and system time a process has used so far, all its threads. Raises CannotRunError without /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        raise CannotRunError("需要 Linux 的 /proc", "This needs the /proc of Linux") from None
    # utime and stime, fields 14 and 15 of proc(5), of which the first two lie before the bracket.
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def thread_seconds(pid: int) -> float:
    """The processor time that the living threads of a process have used so far, to the nanosecond where the kernel
    keeps it: short stretches are measured by it. Raises CannotRunError without /proc."""
    try:
        stats = [path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except FileNotFoundError:
        stats = []
    if not stats:
        return cpu_seconds(pid)
    return sum(int(stat.split()[0]) for stat in stats) / 1e9


@asynccontextmanager
async def program(arguments: Sequence[str], log: Path) -> AsyncIterator[tuple[int, str]]:
    """Runs `python -m` with these arguments meanwhile. Gives its process id and the first line it prints, which says
    that it serves. Its errors go to `log`. Raises CannotRunError with the last of them when it ends first."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *arguments),
            env=inherited_environment() | {"PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = (await process.stdout.readline()).decode().strip()
        if not line:
            raise CannotRunError(*_ended(arguments[0], log))
        yield process.pid, line
    finally:
        await ended(process)


def _ended(module: str, log: Path) -> tuple[str, str]:
    why = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    return f"{module} 未能启动：{why}", f"{module} did not start: {why}"


async def ended(process: asyncio.subprocess.Process) -> None:
    """Lets a process end, and makes sure that it has."""
    try:
        process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except ProcessLookupError:
        pass
    except TimeoutError:
        process.kill()
        await process.wait()
