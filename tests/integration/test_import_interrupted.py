"""`hutong import` of a large file as people run it: interrupted, killed, gone on with, in bounded memory."""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.record_backends import sqlite_url
from tests.integration.records_process import ROOT, RecordsProcess
from tests.integration.test_import_rows import good_lines

ROWS = 40_000
_RUN = """
import resource, sys
from cli.main import main
status = main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(status)
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[RecordsProcess]:
    """A records service in a process of its own."""
    process = RecordsProcess("430000", sqlite_url(tmp_path))
    await process.start()
    yield process
    await process.end()


def file_of(path: Path, rows: int) -> Path:
    """A file of so many good rows."""
    path.write_text("\n".join(good_lines(rows)) + "\n", encoding="utf-8")
    return path


async def started(store: RecordsProcess, file: Path) -> Process:
    """The command, running."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _RUN, "import", str(file), "--region", "430000", "--lab", "a", "--to", store.address),
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"},
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
    )


async def ended(process: Process) -> tuple[int | None, str, str]:
    """Its status and what it said."""
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), err.decode()


async def acknowledged(file: Path, batches: int) -> None:
    """Waits until so many batches stand in the journal."""
    journal = file.with_name(f"{file.name}.resume")
    async with asyncio.timeout(60):
        while not journal.exists() or journal.read_bytes().count(b"\n") <= batches:
            await asyncio.sleep(0.005)


def total(said: str) -> int:
    """The rows that are stored, new or not, as the summary has them."""
    return sum(int(count) for count in re.findall(r"(\d+)  (?:新入库|此前已入库)", said))


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_ctrl_c_and_on(store: RecordsProcess, tmp_path: Path) -> None:
    """Ctrl-C ends with status 130 and the way to go on; the same command does, and the summary is of the whole file."""
    file = file_of(tmp_path / "large.csv", ROWS)
    process = await started(store, file)
    await acknowledged(file, 2)
    process.send_signal(signal.SIGINT)
    status, out, err = await ended(process)
    assert (130, True) == (status, "same command" in err)
    assert 0 < total(out) < ROWS
    status, out, _ = await ended(await started(store, file))
    assert (0, ROWS) == (status, total(out))
    assert f"{ROWS}  新入库" in out
    assert not (tmp_path / "large.csv.resume").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_and_on(store: RecordsProcess, tmp_path: Path) -> None:
    """Killed at any instant, the same command goes on; every row is there once."""
    file = file_of(tmp_path / "large.csv", ROWS)
    for batches in (1, 5):
        process = await started(store, file)
        await acknowledged(file, batches)
        process.kill()
        await process.wait()
    status, out, _ = await ended(await started(store, file))
    assert (0, ROWS) == (status, total(out))
    again = await ended(await started(store, file))
    assert f"{ROWS}  此前已入库" in again[1]


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_memory_does_not_grow_with_the_file(store: RecordsProcess, tmp_path: Path) -> None:
    """A file ten times as long peaks within a few megabytes of the shorter one."""
    peaks = []
    for rows in (ROWS // 10, ROWS):
        status, out, _ = await ended(await started(store, file_of(tmp_path / f"{rows}.csv", rows)))
        assert 0 == status
        peaks.append(int(re.findall(r"peak (\d+)", out)[0]) / 1024)
    small, large = peaks
    assert large - small < 12, f"{small:.0f} MB, then {large:.0f} MB"
