"""The whole move as an operator makes it: under intake and under a follower, killed again and again, then switched."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from hutong.records.v1 import following_service_pb2
from hutong.records.v1.record_pb2 import TestRecord

from services.records.store.values.feed import ChangeRow
from services.runtime.rpc.connection import Connection
from tests.testkit.calls import remote
from tests.testkit.directories import directory_file
from tests.testkit.servers.forks import Forks
from tests.testkit.servers.intake_client import BATCH, source_id
from tests.testkit.servers.intake_progress import acknowledged, progress
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.servers.records_service import opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.tools import ROOT

REGION = "430000"
LABORATORIES = 2
KILLS = 4
PAUSE = "0.05"
"""Seconds after each batch: an intake that takes all of a machine leaves a move none of it."""

_FOLLOWING = following_service_pb2.DESCRIPTOR.services_by_name["FollowingService"]


async def _start_move(old: str, new: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "records", "move", "--store-url", old, "--to", new),
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"},
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
    )


async def _followed(address: str) -> following_service_pb2.FollowedRegion:
    async with Connection(address) as connection:
        nation = remote("records", "tests", connection, [_FOLLOWING])
        (region,) = (await nation.ListFollowedRegions(following_service_pb2.ListFollowedRegionsRequest())).regions
        followed: following_service_pb2.FollowedRegion = region
        return followed


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_moved_under_intake(kind: str, tmp_path: Path, postgres_server: PostgresServer) -> None:
    """0 lost, 0 doubled, no gap; the nation follows on as if nothing had been."""
    chance = random.Random(20221113)
    old = sqlite_url(tmp_path, "old") if kind == "sqlite" else await postgres_server.create_database()
    new = await postgres_server.create_database()
    region = RecordsProcess(REGION, old, HUTONG_DRAIN_GRACE="0.05")
    directory = directory_file(tmp_path / "directory.yaml", {REGION: region.address})
    nation = RecordsProcess("nation", sqlite_url(tmp_path, "nation"), directory)
    forks = Forks(tmp_path / "log")
    await forks.start()
    files = [tmp_path / f"acknowledged-{number}" for number in range(LABORATORIES)]
    sessions = [str(uuid4()) for _ in files]
    laboratories = []
    try:
        await region.start()
        await nation.start()
        for number, (file, session) in enumerate(zip(files, sessions, strict=True)):
            file.touch()
            laboratories.append(await forks.fork("laboratory", region.address, session, str(number), str(file), PAUSE))
        await progress(files, 40)
        feed_before = (await _followed(nation.address)).feed_id

        for _ in range(KILLS):
            move = await _start_move(old, new)
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            if move.returncode is None:
                move.kill()
            await move.communicate()
        move = await _start_move(old, new)
        async with asyncio.timeout(90):
            _, err = await move.communicate()
        # Where a kill came after the switch, there is nothing left to do.
        assert move.returncode == 0 or b"was moved to" in err, err.decode()

        await region.end(signal.SIGKILL)
        region.move_to(new)
        await region.start()
        await progress(files, 20)
        for pid in laboratories:
            assert await forks.kill(pid) == -signal.SIGKILL
        assert await region.end() == 0
        async with opened(new, REGION) as store:
            head = await store.head()
            changes: list[ChangeRow] = []
            while len(changes) < head.sequence:
                changes += await store.changes(len(changes), 5000)
            stands = [await store.batches(f"laboratory/{session}") for session in sessions]
        await region.start()
        async with asyncio.timeout(60):
            while (followed := await _followed(nation.address)).sequence < head.sequence:
                assert followed.state != following_service_pb2.FollowedState.FOLLOWED_STATE_REFUSED
                await asyncio.sleep(0.1)
        assert (feed_before, head.feed_id, "") == (followed.feed_id, feed_before, followed.met_feed_id)
    finally:
        await forks.close()
        await region.end()
        await nation.end()
    assert list(range(1, head.sequence + 1)) == [change.sequence for change in changes]
    stored = Counter(TestRecord.FromString(change.body).source_id for change in changes)
    expected: Counter[str] = Counter()
    for number, (file, stand) in enumerate(zip(files, stands, strict=True)):
        assert 0 < acknowledged(file) <= stand
        expected.update(source_id(number, n) for n in range(stand * BATCH))
    assert (Counter(), Counter()) == (expected - stored, stored - expected)
    async with opened(sqlite_url(tmp_path, "nation"), "nation") as store:
        cursor = (await store.cursors())[REGION]
    assert (feed_before, head.sequence, False) == (cursor.feed_id, cursor.sequence, cursor.rereading)
