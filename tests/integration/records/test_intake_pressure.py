"""Intake under pressure: a database that stands still holds the client back; many laboratories share the service."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest

from bench.machine import peak_memory
from services.runtime.rpc.connection import Connection
from tests.testkit.builders.records import KEEP, person, result, submission
from tests.testkit.calls import remote
from tests.testkit.servers.import_command import ended, file_of, started, total
from tests.testkit.servers.records_process import CONTRACTS, RecordsProcess
from tests.testkit.servers.records_service import opened

ROWS = 2_000
BATCHES = 150
MOST_ON_THE_WAY_MIB = 12.0
"""What one stream may take of the service's memory: two batches as messages, and what HTTP/2's windows let through."""
LABORATORIES = 50


def new_rows(laboratory: int, batches: int, rows: int) -> Iterator[StreamRecordsRequest]:
    """Batches of new rows."""
    for number in range(1, batches + 1):
        ids = [f"L{laboratory}-{number:05d}-{row:05d}" for row in range(rows)]
        submissions = [submission(one, person(at + 1), result()) for at, one in enumerate(ids)]
        yield StreamRecordsRequest(batch=number, submissions=submissions)


@asynccontextmanager
async def standing_still(url: str) -> AsyncIterator[None]:
    """Meanwhile no transaction of the database can append anything."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("select 1 from feed_head for update")
            yield
    finally:
        await connection.close()


class Sending:
    """A laboratory that sends as fast as it is let. `taken` batches were asked for, `acknowledged` are durable."""

    def __init__(self) -> None:
        self.taken = 0
        self.acknowledged = 0

    async def run(self, calls: Any, batches: Iterator[StreamRecordsRequest]) -> None:
        """Sends all in a session of its own."""

        async def requests() -> AsyncIterator[StreamRecordsRequest]:
            yield StreamRecordsRequest(session_id=str(uuid4()), purpose=KEEP)
            for one in batches:
                self.taken += 1
                yield one

        async for answer in calls.StreamRecords(requests()):
            self.acknowledged = answer.batch


async def settled(sending: Sending) -> int:
    """Waits until no more is asked for; how much was."""
    quiet, before = 0, -1
    async with asyncio.timeout(30):
        while quiet < 20:
            quiet, before = (quiet + 1, before) if sending.taken == before else (0, sending.taken)
            await asyncio.sleep(0.05)
    return before


@pytest.mark.slow
@pytest.mark.postgres
async def test_a_database_that_stands_still_holds_the_client_back(postgres_url: str) -> None:
    """While nothing can be committed, a client that would send 300,000 rows is asked for a few batches and no more, in
    bounded memory of the service; when the database goes on, every row is there once."""
    service = RecordsProcess("430000", postgres_url, HUTONG_STATEMENT_TIMEOUT="60")
    await service.start()
    warm = Sending()
    await warm.run(service.calls, new_rows(1, 5, ROWS))
    before, sending = peak_memory(service.pid), Sending()
    async with standing_still(postgres_url):
        whole = asyncio.create_task(sending.run(service.calls, new_rows(0, BATCHES, ROWS)))
        taken = await settled(sending)
        assert 0 == sending.acknowledged
        assert 2 <= taken < BATCHES // 3
        grown = peak_memory(service.pid) - before
        assert grown < MOST_ON_THE_WAY_MIB, f"{before:.0f} MiB, and {grown:.1f} more for {taken} batches"
    await asyncio.wait_for(whole, 120)
    assert BATCHES == sending.acknowledged == sending.taken
    await service.end()
    async with opened(postgres_url) as store:
        assert ROWS * (BATCHES + 5) == (await store.head()).sequence


@pytest.mark.slow
@pytest.mark.postgres
async def test_an_import_outlasts_a_database_that_stands_still(postgres_url: str, tmp_path: Path) -> None:
    """Commits that take too long fail, and the command tries again until the database goes on: all is stored, once."""
    rows = 20_000
    service = RecordsProcess("430000", postgres_url, HUTONG_STATEMENT_TIMEOUT="0.5")
    await service.start()
    async with standing_still(postgres_url):
        process = await started(service.address, file_of(tmp_path / "large.csv", rows))
        await asyncio.sleep(2.0)
        assert process.returncode is None
    status, out, err = await ended(process)
    assert (0, rows) == (status, total(out)), err
    assert 0 == await service.end(signal.SIGTERM)
    async with opened(postgres_url) as store:
        assert rows == (await store.head()).sequence


@pytest.mark.slow
async def test_many_laboratories_at_once_share_the_service(store_url: str) -> None:
    """Fifty streams, each as fast as it is let: none starves. When the first is done, each has done a quarter."""
    service = RecordsProcess("430000", store_url)
    await service.start()
    batches, rows = 12, 40
    laboratories = [Sending() for _ in range(LABORATORIES)]
    async with Connection(service.address) as channel:
        calls = remote("records", "tests", channel, CONTRACTS)
        tasks = [
            asyncio.create_task(one.run(calls, new_rows(number, batches, rows)))
            for number, one in enumerate(laboratories)
        ]
        async with asyncio.timeout(120):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            slowest = min(one.acknowledged for one in laboratories)
            await asyncio.gather(*tasks)
    assert slowest >= batches // 4
    assert [batches] * LABORATORIES == [one.acknowledged for one in laboratories]
    await service.end()
    async with opened(store_url) as store:
        assert LABORATORIES * batches * rows == (await store.head()).sequence
