"""Server and laboratories are killed at random points; then what was acknowledged is compared with what is there.

HUTONG_CRASH_ROUNDS sets how many kills each store sees; without it there are few, so that the suite stays short.
"""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from hutong.records.v1.record_pb2 import TestRecord

from services.records.store.protocol import ChangeRow
from tests.contract.record_backends import opened, sqlite_url
from tests.integration.intake_client import BATCH, source_id
from tests.integration.records_process import ROOT, RecordsProcess
from tests.support.postgres import postgres_server, postgres_url  # noqa: F401

ROUNDS = int(os.environ.get("HUTONG_CRASH_ROUNDS", "12"))
LABORATORIES = 2


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind of store, empty."""
    return sqlite_url(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


class Laboratory:
    """A laboratory's process, and the file of what was acknowledged to it."""

    def __init__(self, number: int, address: str, folder: Path) -> None:
        self.number = number
        self.session = str(uuid4())
        self.file = folder / f"acknowledged-{number}"
        self._address = address
        self._process: Process | None = None

    async def start(self) -> None:
        """Starts it; it goes on where its session stands."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.intake_client"),
            *(self._address, self.session, str(self.number), str(self.file)),
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"},
            cwd=ROOT,
            stderr=DEVNULL,
        )

    async def kill(self) -> None:
        """Ends it without a word."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    def acknowledged(self) -> int:
        """The greatest batch whose acknowledgement it wrote down."""
        # The last line may have been cut off.
        lines = self.file.read_text().split("\n")[:-1] if self.file.exists() else []
        return max(map(int, lines), default=0)


async def progress(laboratories: list[Laboratory], seconds: float) -> None:
    """Waits until each laboratory got an acknowledgement more."""
    before = [laboratory.acknowledged() for laboratory in laboratories]
    async with asyncio.timeout(seconds):
        while any(one.acknowledged() <= was for one, was in zip(laboratories, before, strict=True)):
            await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * ROUNDS)
async def test_kills_lose_nothing_and_double_nothing(store_url: str, tmp_path: Path) -> None:
    """Kill -9 of the server or of a laboratory at a random instant, again and again: 0 lost, 0 doubled, no gap in the
    feed."""
    chance = random.Random(20220805)
    server = RecordsProcess("430000", store_url)
    await server.start()
    laboratories = [Laboratory(number, server.address, tmp_path) for number in range(LABORATORIES)]
    for laboratory in laboratories:
        await laboratory.start()
    await progress(laboratories, 60)
    for _ in range(ROUNDS):
        await asyncio.sleep(chance.uniform(0.0, 0.15))
        if chance.random() < 0.5:
            assert await server.end(signal.SIGKILL) == -signal.SIGKILL
            await server.start()
        else:
            victim = chance.choice(laboratories)
            await victim.kill()
            await victim.start()
        await progress(laboratories, 60)
    for laboratory in laboratories:
        await laboratory.kill()
    assert await server.end(signal.SIGTERM) == 0

    async with opened(store_url) as store:
        head = await store.head()
        changes: list[ChangeRow] = []
        while len(changes) < head.sequence:
            changes += await store.changes(len(changes), 5000)
        stands = [await store.batches(f"laboratory/{one.session}") for one in laboratories]
    assert list(range(1, head.sequence + 1)) == [change.sequence for change in changes]
    stored = Counter(TestRecord.FromString(change.body).source_id for change in changes)
    for laboratory, stand in zip(laboratories, stands, strict=True):
        assert laboratory.acknowledged() <= stand
        expected = [source_id(laboratory.number, n) for n in range(stand * BATCH)]
        found = [one for one in stored if one.startswith(f"L{laboratory.number}-")]
        lost, doubled = set(expected) - set(found), [one for one in found if stored[one] != 1]
        assert ([], [], len(expected)) == (sorted(lost), doubled, len(found))
