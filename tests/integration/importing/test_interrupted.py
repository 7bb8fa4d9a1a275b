"""`hutong import` of a large file as people run it: interrupted, killed, gone on with, watched."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.importing.batches import BATCH_ROWS
from tests.testkit.servers.import_command import ended, file_of, started, total
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.servers.store_urls import sqlite_url

pytestmark = pytest.mark.timeout(300)

ROWS = 40_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[RecordsProcess]:
    """A records service in a process of its own."""
    process = RecordsProcess("430000", sqlite_url(tmp_path))
    await process.start()
    yield process
    await process.end()


async def acknowledged(file: Path, batches: int) -> None:
    """Waits until so many batches stand in the journal."""
    journal = file.with_name(f"{file.name}.resume")
    async with asyncio.timeout(60):
        while not journal.exists() or journal.read_bytes().count(b"\n") <= batches:
            await asyncio.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("batches", [0, 2, ROWS // BATCH_ROWS - 2])
async def test_ctrl_c_and_on(store: RecordsProcess, tmp_path: Path, batches: int) -> None:
    """Ctrl-C at the beginning, in the middle and near the end: status 130 and the way to go on; the same command does,
    and the summary is of the whole file."""
    file = file_of(tmp_path / "large.csv", ROWS)
    process = await started(store.address, file)
    await acknowledged(file, batches)
    process.send_signal(signal.SIGINT)
    status, out, err = await ended(process)
    if batches <= 2 or status:
        assert (130, True) == (status, "same command" in err)
        assert total(out) < ROWS
    status, out, _ = await ended(await started(store.address, file))
    assert (0, ROWS) == (status, total(out))
    assert not (tmp_path / "large.csv.resume").exists()


@pytest.mark.slow
async def test_ctrl_c_while_connecting(store: RecordsProcess, tmp_path: Path) -> None:
    """Ctrl-C ends at once while a store that does not answer is waited for, and nothing was lost by it."""
    file = file_of(tmp_path / "large.csv", ROWS)
    connected = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        process = await started(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", file)
        await asyncio.wait_for(connected.wait(), 30)
        process.send_signal(signal.SIGINT)
        status, out, err = await asyncio.wait_for(ended(process), 5)
    assert (130, 0, True) == (status, total(out), "same command" in err)
    status, out, _ = await ended(await started(store.address, file))
    assert (0, ROWS) == (status, total(out))


@pytest.mark.slow
async def test_a_terminal_is_shown_the_pace(store: RecordsProcess, tmp_path: Path) -> None:
    """On a terminal: the share, rows a second and the time left, while it goes on; nothing of it into a file."""
    file = file_of(tmp_path / "large.csv", ROWS)
    ours, theirs = pty.openpty()
    shown: list[bytes] = []
    asyncio.get_running_loop().add_reader(ours, lambda: shown.append(os.read(ours, 65536)))
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    status, _, _ = await ended(await started(store.address, file, theirs))
    asyncio.get_running_loop().remove_reader(ours)
    for descriptor in (ours, theirs):
        os.close(descriptor)
    said = b"".join(shown).decode()
    assert 0 == status
    assert re.search(r"\d+ 行 rows · [\d,]+ 行/秒 rows/s · 剩余 left \d+:\d\d", said), said
    assert "" == (await ended(await started(store.address, file)))[2]


@pytest.mark.slow
async def test_killed_and_on(store: RecordsProcess, tmp_path: Path) -> None:
    """Killed at any instant, the same command goes on; every row is there once."""
    file = file_of(tmp_path / "large.csv", ROWS)
    for batches in (1, 5):
        process = await started(store.address, file)
        await acknowledged(file, batches)
        process.kill()
        await process.wait()
    status, out, _ = await ended(await started(store.address, file))
    assert (0, ROWS) == (status, total(out))
    again = await ended(await started(store.address, file))
    assert f"{ROWS}  此前已入库" in again[1]
