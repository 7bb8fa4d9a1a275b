"""The nation's follower is killed at every single point where it waits for something, and goes on without loss or
doubling; also while it reads a restored region again."""

import asyncio
import random
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1 import record_write_service_pb2 as wpb

from services.common.identities import secret_fingerprint
from services.common.instants import HOUR, Instant, to_timestamp
from services.records.replication.follower import RegionFollower
from services.runtime.clock import system_clock
from services.runtime.feeds.commit_signal import CommitSignal
from tests.testkit.builders.records import KEEP, person, result, sampling, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.directories import directory_file
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url


class Killed(BaseException):
    """The process ends here; whatever it held in memory is gone."""


class Fuse:
    """Kills at the n-th point, counted over all that is wrapped, once."""

    def __init__(self, at: int) -> None:
        self.left = at

    def point(self) -> None:
        """One point at which a process may be killed."""
        self.left -= 1
        if self.left == 0:
            raise Killed


class Fused:
    """An object whose every call may kill before it is made, and after its effect, before its answer."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "WatchChanges":
            return lambda request: self._stream(found(request))
        if not callable(found):
            return found

        async def call(*arguments: Any) -> Any:
            self._fuse.point()
            answer = await found(*arguments)
            self._fuse.point()
            return answer

        return call

    async def _stream(self, stream: Any) -> AsyncIterator[Any]:
        try:
            while True:
                self._fuse.point()
                batch = await anext(stream)
                self._fuse.point()
                yield batch
        finally:
            await stream.aclose()


async def followed_until(true: Callable[[], Awaitable[bool]], region: Records, store: Any, fuse: Fuse) -> bool:
    """Follows a region into a store until something is true; False when it was killed first."""
    source: Any = Fused(region.calls, fuse)
    fused: Any = Fused(store, fuse)
    follower = RegionFollower(
        name="nation",
        region="430000",
        source=source,
        secret_fingerprint=secret_fingerprint(SECRET.encode()),
        store=fused,
        signal=CommitSignal(),
        clock=ManualClock(),
    )
    task = asyncio.ensure_future(follower.run())
    try:
        for _ in range(1000):
            if task.done():
                assert isinstance(task.exception(), Killed)
                return False
            if await true():
                return True
            await asyncio.sleep(0.005)
        raise AssertionError("did not happen in time")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told(records: Records) -> list[Any]:
    """Returns the changes of a feed, without their numbers."""
    page = await records.calls.ListChanges(fpb.ListChangesRequest(page_size=5000))
    return [change.record if change.HasField("record") else change.laboratory for change in page.changes]


async def filled(region: Records) -> None:
    """A few people with histories."""
    for number in range(3):
        await region.submit(f"S{number}", person(number), sampling())
    await region.submit_many([submission(f"S{number}", person(number), result()) for number in range(3)])
    await region.retract("S1", 2)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a PostgreSQL database, or nothing for SQLite."""
    url: str = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return url


async def test_killed_anywhere_it_resumes(tmp_path: Path, database: str) -> None:
    """For every point of the way, killed there: the nation's feed has each of the region's changes once, in order."""
    async with opened(sqlite_url(tmp_path, "region")) as region_store:
        region = Records(region_store, ManualClock())
        await filled(region)
        wanted = await told(region)
        killed = survived = 0
        async with opened(database or sqlite_url(tmp_path, "nation"), "nation") as shared:
            for at in range(1, 40):
                if database:
                    # One database for all rounds: emptied, which costs less than another.
                    async with shared._connection() as connection:
                        await connection.execute(
                            "truncate revision, identity, laboratory, follow, feed_mark; "
                            "update feed_head set sequence = 0, laboratory_sequence = 0"
                        )
                    store, close = shared, None
                else:
                    close = opened(sqlite_url(tmp_path, f"nation-{at}"))
                    store = await close.__aenter__()
                whole = Records(store, ManualClock(), "nation")

                async def arrived(whole: Records = whole) -> bool:
                    return len(await told(whole)) >= len(wanted)

                if await followed_until(arrived, region, store, Fuse(at)):
                    survived += 1
                else:
                    killed += 1
                    assert await followed_until(arrived, region, store, Fuse(10**9))
                assert await told(whole) == wanted
                if close is not None:
                    await close.__aexit__(None, None, None)
    # The way has a number of points, all of which were met, and an end.
    assert killed >= 6
    assert survived >= 1


async def test_killed_anywhere_while_a_restored_region_is_read_again(tmp_path: Path) -> None:
    """Reading again and comparing may be cut off anywhere: in the end the nation says what the region says."""
    killed = 0
    for at in range(1, 60, 2):
        here = tmp_path / str(at)
        async with opened(sqlite_url(here, "nation"), "nation") as store:
            whole = Records(store, ManualClock(), "nation")
            async with opened(sqlite_url(here, "region")) as region_store:
                region = Records(region_store, ManualClock())
                await filled(region)
                with sqlite3.connect(here / "region.db") as source, sqlite3.connect(here / "restored.db") as target:
                    source.backup(target)
                await region.submit("LOST", person(0), result(-9, -8))
                await region.amend("S0", 2, result(reported=-0.5))

                async def arrived(region: Records = region, whole: Records = whole) -> bool:
                    return await told(region) == await told(whole)

                assert await followed_until(arrived, region, store, Fuse(10**9))
            async with opened(sqlite_url(here, "restored")) as region_store:
                region = Records(region_store, ManualClock())
                region.clock.forward(100)
                await region.submit("NEW", person(0), result(-7, -6))
                await region.submit("NEW2", person(0), result(-5, -4))
                await region.submit("NEW3", person(0), result(-4, -3))

                async def same(region: Records = region, whole: Records = whole, store: Any = store) -> bool:
                    cursor = (await store.cursors())["430000"]
                    return not cursor.rereading and await says(region) == await says(whole)

                if not await followed_until(same, region, store, Fuse(at)):
                    killed += 1
                    assert await followed_until(same, region, store, Fuse(10**9))
                assert [record.source_id for record in await told(whole)].count("NEW") == 1
    assert killed >= 8


async def says(records: Records) -> list[Any]:
    """Returns the records of some people, with their contents, and if they stand."""
    answer = await records.batch([person(number) for number in range(3)])
    return [
        (record.source_id, record.content.SerializeToString(), record.action == 3)
        for entry in answer.people
        for record in entry.records
        if record.action != 3
    ]


async def test_the_nation_is_killed_again_and_again(tmp_path: Path) -> None:
    """SIGKILL of the nation's process while a region is written: its feed has each change once, in order."""
    region = RecordsProcess("430000", sqlite_url(tmp_path, "430000"))
    nation = RecordsProcess(
        "nation",
        sqlite_url(tmp_path, "nation"),
        directory_file(tmp_path / "directory.yaml", {"430000": region.address}),
    )
    content = sampling()
    content.sampled_at.CopyFrom(to_timestamp(Instant(system_clock() - HOUR)))
    await region.start()
    chance = random.Random(7)
    written: list[str] = []
    over = asyncio.Event()

    async def write() -> None:
        while not over.is_set():
            ids = [f"K{len(written) + n}" for n in range(20)]
            rows = [submission(source_id, person(n), content) for n, source_id in enumerate(ids)]
            await region.calls.BatchSubmitRecords(wpb.BatchSubmitRecordsRequest(submissions=rows, purpose=KEEP))
            written.extend(ids)
            await asyncio.sleep(0.01)

    writer = asyncio.ensure_future(write())
    try:
        for _ in range(5):
            await nation.start()
            await asyncio.sleep(chance.random() * 0.6)
            await nation.end(signal.SIGKILL)
        over.set()
        await writer
        await nation.start()
        seen: list[Any] = []
        for _ in range(400):
            seen = []
            cursor = fpb.FeedCursor()
            while True:
                page = await nation.calls.ListChanges(fpb.ListChangesRequest(cursor=cursor, page_size=5000))
                seen += page.changes
                cursor = page.cursor
                if page.HasField("as_of"):
                    break
            if len(seen) >= len(written):
                break
            await asyncio.sleep(0.05)
        assert [change.record.source_id for change in seen] == written
        assert [change.sequence for change in seen] == list(range(1, len(written) + 1))
    finally:
        over.set()
        await asyncio.gather(writer, return_exceptions=True)
        await nation.end()
        await region.end()
