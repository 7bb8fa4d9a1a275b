"""Processes that start in milliseconds: one that has imported everything forks them.

What is forked runs the same `main` as `python -m` would, in a process of its own that can be killed. Run as a module it
is the parent: a line of JSON on its standard input starts a process or waits for one, and is answered by a line with
the process's id or its exit status. When its input ends, it kills what it started.
"""

import asyncio
import json
import os
import signal
import sys
import traceback
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.testkit.tools import ROOT


class Forks:
    """The forking parent, seen from the test. `log` gets what it and its processes write to standard error."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Starts it."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.testkit.servers.forks"),
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"},
                cwd=ROOT,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
            )

    async def fork(self, what: str, *arguments: str, environ: Mapping[str, str] | None = None) -> int:
        """Starts `records` or `laboratory`; its process id."""
        return await self._ask({"what": what, "arguments": arguments, "environ": dict(environ or {})})

    async def wait(self, pid: int) -> int:
        """Waits for a process to end; its exit status, or the negative number of the signal that ended it."""
        return await self._ask({"wait": pid})

    async def kill(self, pid: int, how: signal.Signals = signal.SIGKILL) -> int:
        """Sends a process a signal and waits for its end."""
        os.kill(pid, how)
        return await self.wait(pid)

    async def close(self) -> None:
        """Ends it, and whatever it started."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def _ask(self, question: dict[str, Any]) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn, asyncio.timeout(30):
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            return int(await self._process.stdout.readline())


def _records() -> None:
    from services.records.__main__ import serving
    from services.records.settings import Settings
    from services.runtime.program import main

    main("records", Settings, serving)


def _laboratory() -> None:
    from tests.testkit.servers.intake_client import run

    run(sys.argv)


_MAINS: dict[str, Callable[[], None]] = {"records": _records, "laboratory": _laboratory}


def _fork(question: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(nothing, descriptor)
        os.environ.update(question["environ"])
        sys.argv = [question["what"], *question["arguments"]]
        _MAINS[question["what"]]()
        status = 0
    except BaseException:  # noqa: BLE001  # nothing of the parent's may run in the child
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _serve() -> None:
    # Whatever is imported here need not be imported by what is forked. No thread is started by it.
    for name in (
        "services.records.__main__",
        "services.records.store.postgres.store",
        "tests.testkit.servers.intake_client",
    ):
        import_module(name)

    going: set[int] = set()
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            _, status = os.waitpid(question["wait"], 0)
            going.discard(question["wait"])
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = _fork(question)
            going.add(answer)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for pid in going:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _serve()
