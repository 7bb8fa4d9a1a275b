"""The feed is complete and ordered though many write at once and commit slowly, for readers that stop and start."""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hutong.records.v1.change_feed_service_pb2 import Change, FeedCursor, ListChangesRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.records.domain.content import digest
from services.records.domain.decisions import Submission, decide_submission
from services.records.domain.revisions import NewRevision, RecordId
from services.records.store.postgres import unit_of_work
from services.records.store.postgres.store import PostgresStore
from services.records.store.unit_of_work import Known, Plan, Touch
from tests.testkit.builders.records import person, result, sampling
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url

WRITERS = 6
PEOPLE = 4

seeds = st.integers(0, 2**32)
few = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


async def slowly(store: Any, touch: Touch, plan: Callable[[Known], Plan], clock: ManualClock, pause: float) -> None:
    """A transaction that is long between its writing and its commit."""
    if isinstance(store, PostgresStore):
        async with store._connection() as connection, connection.transaction():
            await unit_of_work.transact(connection, touch, plan, clock, clock, False, False)
            await asyncio.sleep(pause)
        return

    def late(known: Known) -> Plan:
        time.sleep(pause)
        return plan(known)

    await store.commit(touch, late, clock)


async def write(records: Records, writer: int, chance: random.Random) -> None:
    """One writer's records: samples, some of which receive their results, in batches that commit sooner or later."""
    for number in range(8):
        ids = [RecordId("430000", f"W{writer}-{number}-{n}") for n in range(chance.randint(1, 4))]
        who = {record_id: person(chance.randrange(PEOPLE)) for record_id in ids}

        def plan(known: Known, ids: list[RecordId] = ids, who: dict[RecordId, bytes] = who) -> Plan:
            made: list[NewRevision] = []
            for record_id in ids:
                history = known.histories.get(record_id, ())
                content = result() if history else sampling()
                decided = decide_submission(history, Submission(record_id, who[record_id], content, digest(content)))
                made += [] if decided.appended is None else [decided.appended]
            return Plan(lambda _: b"", made)

        for _ in range(chance.randint(1, 2)):
            await slowly(records.store, Touch(dict(who)), plan, records.clock, chance.random() * 0.004)


async def follow(records: Records, chance: random.Random, written: asyncio.Event) -> list[Change]:
    """A reader that remembers nothing but its cursor and what it has seen, and pauses when it likes."""
    seen: list[Change] = []
    cursor = FeedCursor()
    while True:
        over = written.is_set()
        request = ListChangesRequest(cursor=cursor, page_size=chance.choice((1, 3, 17, 500)))
        page = await records.calls.ListChanges(request)
        if chance.random() < 0.3:
            # It dies before it keeps what it read: it will be told again.
            await asyncio.sleep(chance.random() * 0.01)
            continue
        seen += page.changes
        cursor = page.cursor
        if over and page.HasField("as_of"):
            return seen
        await asyncio.sleep(chance.random() * 0.005)


async def scenario(url: str, seed: int) -> None:
    """Writes and follows at once, and compares what was seen with what is stored."""
    chance = random.Random(seed)
    async with opened(url) as store:
        records = Records(store, ManualClock())
        first = (await store.head()).sequence
        written = asyncio.Event()
        readers = [asyncio.create_task(follow(records, random.Random(chance.random()), written)) for _ in range(3)]
        await asyncio.gather(
            *(write(records, n + seed * WRITERS, random.Random(chance.random())) for n in range(WRITERS))
        )
        written.set()
        end = (await store.head()).sequence
        assert end > first
        for reader in readers:
            seen = await asyncio.wait_for(reader, 20)
            assert list(range(1, end + 1)) == [change.sequence for change in seen]
            histories: dict[str, list[Any]] = {}
            for change in seen:
                histories.setdefault(change.record.source_id, []).append(change.record)
            for source_id, told in histories.items():
                assert await records.history(source_id) == told
            instants = [(c.record.recorded_at.seconds, c.record.recorded_at.nanos) for c in seen]
            assert instants == sorted(instants)


@few
@given(seeds)
def test_every_change_once_and_in_order_sqlite(seed: int) -> None:
    """Whatever the writers and readers do, each reader sees each change once, in order, and each record's history."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(scenario(sqlite_url(Path(directory)), seed))


@few
@given(seeds)
def test_every_change_once_and_in_order_postgres(postgres_url: str, seed: int) -> None:
    """The same over PostgreSQL, whose transactions end in any order."""
    asyncio.run(scenario(postgres_url, seed))


def test_the_readers_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenario fails over a store that numbers what is not yet there to be read."""

    async def hole(self: Any, after: int, most: int) -> Any:
        rows = [row for row in await real(self, after, most) if row.sequence % 7]
        return [row._replace(sequence=after + place) for place, row in enumerate(rows, 1)]

    from services.records.store.sqlite.store import SqliteStore

    real = SqliteStore.changes
    monkeypatch.setattr(SqliteStore, "changes", hole)
    with tempfile.TemporaryDirectory() as directory, pytest.raises((AssertionError, TimeoutError)):
        asyncio.run(scenario(sqlite_url(Path(directory)), 1))
