"""Server, laboratories and database are killed at random points; then what was acknowledged is compared with what is
there.

A kill of processes leaves what the operating system holds for the disk, so this is what an acknowledgement is worth
when programs die; that it survives a power cut rests on the stores' syncs, which these stores have switched on.
HUTONG_CRASH_ROUNDS sets how many kills each store sees.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import monotonic
from uuid import uuid4

import asyncpg
import pytest
from hutong.records.v1.record_pb2 import TestRecord

from bench.servers.postgres import CannotStartError, PostgresServer, start
from cli.mesh.ports import free_port
from services.records.store.values.feed import ChangeRow
from tests.testkit.faults.recording import Measured
from tests.testkit.needs import missing
from tests.testkit.secret import SECRET
from tests.testkit.servers.forks import Forks
from tests.testkit.servers.intake_client import BATCH, source_id
from tests.testkit.servers.records_service import opened
from tests.testkit.servers.store_urls import sqlite_url

ROUNDS = int(os.environ.get("HUTONG_CRASH_ROUNDS", "50"))
LABORATORIES = 3

_KILL_BACKENDS = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and random() < $1
"""
_AT_WORK = """
select count(*) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
"""


class Laboratory:
    """A laboratory's process, and the file of what was acknowledged to it."""

    def __init__(self, number: int, forks: Forks, address: str, folder: Path) -> None:
        self.number = number
        self.session = str(uuid4())
        self.acknowledged = 0
        self._forks = forks
        self._address = address
        self._file = folder / f"acknowledged-{number}"
        self._file.touch()
        self._lines = self._file.open(encoding="utf-8")
        self._begun = ""
        self._pid = 0

    async def start(self) -> None:
        """Starts it; it goes on where its session stands."""
        arguments = self._address, self.session, str(self.number), str(self._file)
        self._pid = await self._forks.fork("laboratory", *arguments)

    async def kill(self) -> None:
        """Ends it without a word."""
        assert await self._forks.kill(self._pid) == -signal.SIGKILL

    def look(self) -> int:
        """The last batch that it wrote down as durable: an acknowledgement, or what a session was opened with, which is
        never less than what was acknowledged before."""
        *whole, self._begun = (self._begun + self._lines.read()).split("\n")
        for batch in map(int, whole):
            assert batch >= self.acknowledged, f"{self.acknowledged} was acknowledged, then only {batch} stood"
            self.acknowledged = batch
        return self.acknowledged


class Sqlite:
    """A SQLite store."""

    def __init__(self, folder: Path) -> None:
        self.url = sqlite_url(folder)
        self._log = Path(f"{self.url.removeprefix('sqlite:///')}-wal")

    async def commits(self) -> bool:
        """Tells if a transaction is being written: the log has just grown, or was begun anew."""

        def state() -> tuple[int, int]:
            stat = self._log.stat()
            return stat.st_size, stat.st_mtime_ns

        before = state()
        await asyncio.sleep(0.0005)
        return state() != before


class Postgres:
    """A store in a PostgreSQL server of its own, which may be killed as well."""

    def __init__(self, url: str, server: PostgresServer) -> None:
        self.url = url
        self._server = server

    async def commits(self) -> bool:
        """Tells if a transaction is under way."""
        connection = await asyncpg.connect(self.url)
        try:
            return bool(await connection.fetchval(_AT_WORK))
        finally:
            await connection.close()

    async def kill_backends(self, share: float) -> None:
        """Ends some of the server's connections, whatever they do."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(_KILL_BACKENDS, share)
        finally:
            await connection.close()

    async def crash(self, pause: float) -> None:
        """Kills all of the server, and starts it again after a pause."""
        await asyncio.to_thread(self._server.crash)
        await asyncio.sleep(pause)
        await asyncio.to_thread(self._server.revive)


Store = Sqlite | Postgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each kind of store, empty and durable."""
    if request.param == "sqlite":
        yield Sqlite(tmp_path)
        return
    try:
        server = await asyncio.to_thread(start, durable=True)
    except CannotStartError as error:
        missing(f"no PostgreSQL: {error}")
    yield Postgres(await server.create_database(), server)
    await asyncio.to_thread(server.stop)


class Crashes:
    """A records service and its laboratories, and the ways in which they die."""

    def __init__(self, store: Store, forks: Forks, folder: Path) -> None:
        self._store = store
        self._forks = forks
        self._chance = random.Random(20220805)
        self._address = f"127.0.0.1:{free_port()}"
        self._server = 0
        self.laboratories = [Laboratory(number, forks, self._address, folder) for number in range(LABORATORIES)]
        self.ways: dict[str, Callable[[], Awaitable[None]]] = {
            "the server": self._kill_server,
            "a laboratory": self._kill_laboratory,
            "both": self._kill_both,
            "the server in a commit": self._kill_in_a_commit,
            "the server while a session opens": self._kill_at_the_opening,
            "the server while it shuts down": self._kill_in_a_shutdown,
        }
        if isinstance(store, Postgres):
            self.ways |= {"connections of the database": self._kill_backends, "the database": self._kill_database}

    async def start(self) -> None:
        """Starts all."""
        await self._start_server()
        for laboratory in self.laboratories:
            await laboratory.start()

    async def progress(self) -> None:
        """Waits until each laboratory got an acknowledgement more."""
        before = [one.look() for one in self.laboratories]
        until = monotonic() + 60.0
        while any(one.look() <= was for one, was in zip(self.laboratories, before, strict=True)):
            assert monotonic() < until, (
                f"{before}, then {[one.acknowledged for one in self.laboratories]}\n{self._said()}"
            )
            await asyncio.sleep(0.005)

    def _said(self) -> str:
        return self._forks.log.read_text()[-3000:]

    async def end(self) -> int:
        """Ends all, the server in good order; its exit status."""
        for laboratory in self.laboratories:
            await laboratory.kill()
            laboratory.look()
        return await self._forks.kill(self._server, signal.SIGTERM)

    async def _start_server(self) -> None:
        environ = {
            "HUTONG_REGION": "430000",
            "HUTONG_STORE_URL": self._store.url,
            "HUTONG_STORE_MIGRATE": "true",
            "HUTONG_LISTEN": self._address,
            "HUTONG_MESH_SECRET": SECRET,
            # The laboratories' streams never end by themselves.
            "HUTONG_DRAIN_GRACE": "0.05",
        }
        self._server = await self._forks.fork("records", environ=environ)

    async def _pause(self, most: float) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, most))

    async def _kill_server(self) -> None:
        await self._pause(0.1)
        assert await self._forks.kill(self._server) == -signal.SIGKILL
        await self._start_server()

    async def _kill_laboratory(self) -> None:
        victim = self._chance.choice(self.laboratories)
        await self._pause(0.1)
        await victim.kill()
        await victim.start()

    async def _kill_both(self) -> None:
        await self._pause(0.05)
        await self.laboratories[0].kill()
        await self._kill_server()
        await self.laboratories[0].start()

    async def _kill_in_a_commit(self) -> None:
        until = monotonic() + 2.0
        while not await self._store.commits():
            assert monotonic() < until, "nothing is committed"
        assert await self._forks.kill(self._server) == -signal.SIGKILL
        await self._start_server()

    async def _kill_at_the_opening(self) -> None:
        victim = self._chance.choice(self.laboratories)
        await victim.kill()
        await victim.start()
        await self._pause(0.05)
        assert await self._forks.kill(self._server) == -signal.SIGKILL
        await self._start_server()

    async def _kill_in_a_shutdown(self) -> None:
        os.kill(self._server, signal.SIGTERM)
        await self._pause(0.1)
        # It may be gone already.
        assert await self._forks.kill(self._server) in (0, -signal.SIGKILL)
        await self._start_server()

    async def _kill_backends(self) -> None:
        assert isinstance(self._store, Postgres)
        await self._pause(0.05)
        await self._store.kill_backends(self._chance.choice((0.3, 1.0)))

    async def _kill_database(self) -> None:
        assert isinstance(self._store, Postgres)
        await self._pause(0.05)
        await self._store.crash(self._chance.uniform(0.0, 0.2))

    def chosen(self) -> str:
        """One of the ways; that of the database is the slowest and the rarest."""
        weights = [1 if way == "the database" else 4 for way in self.ways]
        return self._chance.choices(list(self.ways), weights)[0]


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * ROUNDS)
async def test_kills_lose_nothing_and_double_nothing(store: Store, tmp_path: Path, measured: Measured) -> None:
    """Whatever dies at whatever instant, again and again: 0 lost, 0 doubled, no gap in the feed."""
    forks = Forks(tmp_path / "log")
    await forks.start()
    try:
        crashes = Crashes(store, forks, tmp_path)
        await crashes.start()
        await crashes.progress()
        for way in [*crashes.ways, *(crashes.chosen() for _ in range(ROUNDS - len(crashes.ways)))]:
            await crashes.ways[way]()
            await crashes.progress()
        assert await crashes.end() == 0
    finally:
        await forks.close()

    async with opened(store.url) as stored:
        head = await stored.head()
        changes: list[ChangeRow] = []
        while len(changes) < head.sequence:
            changes += await stored.changes(len(changes), 5000)
        stands = [await stored.batches(f"laboratory/{one.session}") for one in crashes.laboratories]
    assert list(range(1, head.sequence + 1)) == [change.sequence for change in changes]
    found = Counter(TestRecord.FromString(change.body).source_id for change in changes)
    expected: Counter[str] = Counter()
    for laboratory, stand in zip(crashes.laboratories, stands, strict=True):
        assert 0 < laboratory.acknowledged <= stand
        expected.update(source_id(laboratory.number, n) for n in range(stand * BATCH))
    lost, doubled = expected - found, found - expected
    measured.of().saw("kills", ROUNDS)
    measured.of().saw("rows acknowledged", sum(one.acknowledged for one in crashes.laboratories) * BATCH)
    measured.of().lose(lost.total() + doubled.total())
    assert ([], []) == (sorted(lost), sorted(doubled))
