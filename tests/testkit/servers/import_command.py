"""`hutong import` as a process."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from tests.testkit.builders.laboratory_files import good_lines
from tests.testkit.tools import ROOT


def file_of(path: Path, rows: int) -> Path:
    """A file of so many good rows."""
    path.write_text("\n".join(good_lines(rows)) + "\n", encoding="utf-8")
    return path


async def started(address: str, file: Path, stderr: int | None = None) -> Process:
    """The command, running."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "import", str(file), "--region", "430000", "--lab", "a", "--to", address),
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"},
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE if stderr is None else stderr,
    )


async def ended(process: Process) -> tuple[int | None, str, str]:
    """Its status and what it said."""
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), (err or b"").decode()


def total(said: str) -> int:
    """The rows that are stored, new or not, as the summary has them."""
    return sum(int(count) for count in re.findall(r"(\d+)  (?:新入库|此前已入库)", said))
