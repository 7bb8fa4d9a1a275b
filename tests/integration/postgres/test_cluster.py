"""A Citus cluster under intake: a node that crashes and is back, and shards that move. Nothing is lost or doubled."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from services.common.errors import Unavailable
from services.records.store.postgres.store import PostgresStore
from tests.testkit.builders.records import person, result, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.citus import CITUS, needs_citus
from tests.testkit.servers.records_service import Records

pytestmark = [pytest.mark.postgres, needs_citus]

WRITERS = 4
ROWS = 60
"""In a batch."""
SECONDS = 240.0
"""How long a batch may take: a transaction that was in doubt is settled after as much as a minute."""


@pytest.fixture
async def store(citus_url: str) -> AsyncIterator[PostgresStore]:
    """A distributed store."""
    store = PostgresStore(citus_url, statement_seconds=10.0)
    yield store
    await store.close()


def on_worker(url: str, number: int) -> str:
    """The URL of the same database on a worker."""
    return urlunsplit(urlsplit(CITUS[number])._replace(path=urlsplit(url).path))


async def offer(records: Records, batch: int) -> int:
    """Offers a batch until each row of it is answered; how often that took more than one attempt."""
    offers = [
        submission(f"TUBE-{number}", person(number), result()) for number in range(batch * ROWS, (batch + 1) * ROWS)
    ]
    failed = 0
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                response = await records.submit_many(offers)
            except Unavailable:
                failed += 1
                await asyncio.sleep(0.2)
            else:
                assert {1} == {row.revision for row in response.rows}
                return failed


async def under_intake(store: PostgresStore, disturb: Callable[[], Awaitable[None]]) -> tuple[int, int]:
    """Writes batch after batch until what disturbs has been done, and a little longer; how many rows were acknowledged,
    and how many attempts failed."""
    records = Records(store, ManualClock())
    numbers = iter(range(100_000))
    done = asyncio.Event()
    batches: list[int] = []
    failures: list[int] = []

    async def write() -> None:
        while not done.is_set():
            batch = next(numbers)
            failures.append(await offer(records, batch))
            batches.append(batch)

    async def wait_for(count: int) -> None:
        async with asyncio.timeout(SECONDS):
            while len(batches) < count:
                await asyncio.sleep(0.05)

    async def disturbed() -> None:
        try:
            await wait_for(2 * WRITERS)
            await disturb()
            await wait_for(len(batches) + 2 * WRITERS)
        finally:
            done.set()

    await asyncio.gather(disturbed(), *(write() for _ in range(WRITERS)))
    return len(batches) * ROWS, sum(failures)


async def assert_whole(store: PostgresStore, rows: int) -> None:
    """Each record is there once, under its person and its id, and the feed gives each number once."""
    assert rows == (await store.head()).sequence
    sequences: list[int] = []
    while changes := await store.changes(len(sequences), 500):
        sequences += [change.sequence for change in changes]
    assert list(range(1, rows + 1)) == sequences
    connection = await asyncpg.connect(store._connections._database.url)
    try:
        for table in ("revision", "identity"):
            assert (rows, rows) == tuple(
                await connection.fetchrow(f"select count(*), count(distinct source_id) from {table}")
            )
    finally:
        await connection.close()


@pytest.mark.timeout(600)
async def test_a_worker_that_crashes_loses_nothing(store: PostgresStore, citus_url: str) -> None:
    """One of its processes is killed, upon which it ends all of them and recovers: what was prepared there is settled
    by the coordinator, and who was not answered asks again."""
    worker = await asyncpg.connect(on_worker(citus_url, 1))
    pid = await worker.fetchval("select pg_backend_pid()")
    if "postgres" not in _name(pid):
        pytest.skip("the cluster's nodes run on another machine")

    async def crash() -> None:
        os.kill(pid, signal.SIGKILL)

    rows, failed = await under_intake(store, crash)
    assert 0 < failed
    await assert_whole(store, rows)


@pytest.mark.timeout(1200)
async def test_shards_move_under_intake(store: PostgresStore, citus_url: str) -> None:
    """One worker gives all it has to the other, by Citus's own rebalancer. Its jobs need room in `max_worker_processes`
    beside those that maintain each database."""
    connection = await asyncpg.connect(citus_url)
    leaving = urlsplit(CITUS[-1])

    async def rebalance() -> None:
        name = f"'{leaving.hostname}', {leaving.port}"
        await connection.execute(f"select citus_set_node_property({name}, 'shouldhaveshards', false)")
        await connection.execute("select citus_rebalance_start()")
        async with asyncio.timeout(15 * 60):
            while await connection.fetchval(
                "select count(*) from pg_dist_background_job where state not in ('finished', 'cancelled', 'failed')"
            ):
                await asyncio.sleep(0.5)

    before = await _shards(connection, leaving.port)
    rows, _ = await under_intake(store, rebalance)
    states = await connection.fetch("select distinct state::text from pg_dist_background_job")
    assert ["finished"] == [row[0] for row in states]
    assert (True, 0) == (before > 0, await _shards(connection, leaving.port))
    await assert_whole(store, rows)
    await connection.close()


async def _shards(connection: asyncpg.Connection, port: int | None) -> int:
    query = "select count(*) from citus_shards where nodeport = $1 and citus_table_type = 'distributed'"
    return int(await connection.fetchval(query, port))


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""
