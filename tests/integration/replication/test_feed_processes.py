"""Two processes write one PostgreSQL and serve its feed; one is killed again and again, and a follower that stops and
starts goes from one to the other. It sees every change once, each person's in order."""

import asyncio
import random
import signal
from typing import Any

import pytest
from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1.record_write_service_pb2 import BatchSubmitRecordsRequest

from services.common.errors import ServiceError
from services.common.identities import secret_fingerprint
from services.common.instants import HOUR, Instant, to_timestamp
from services.records.replication.follower import RegionFollower
from services.runtime.clock import system_clock
from services.runtime.feeds.commit_signal import CommitSignal
from tests.testkit.builders.records import KEEP, person, result, sampling, submission
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url

PEOPLE = 5
WRITERS = 3
"""For each process."""
BATCHES = 6


async def write(process: RecordsProcess, name: str, chance: random.Random) -> None:
    """Samples, some of which get their results from whoever comes next, in batches of any size; each is sent until it
    is acknowledged."""
    sampled, reported = sampling(), result()
    for content in (sampled, reported):
        content.sampled_at.CopyFrom(to_timestamp(Instant(system_clock() - 2 * HOUR)))
    reported.reported_at.CopyFrom(to_timestamp(Instant(system_clock() - HOUR)))
    for batch in range(BATCHES):
        rows = [
            submission(f"{name}-{batch}-{n}", person(chance.randrange(PEOPLE)), sampled)
            for n in range(chance.choice((1, 3, 40, 250)))
        ]
        results = [submission(row.source_id, row.subject.person_key, reported) for row in rows if chance.random() < 0.5]
        for submissions in filter(None, (rows, results)):
            request = BatchSubmitRecordsRequest(submissions=submissions, purpose=KEEP)
            while True:
                try:
                    await process.calls.BatchSubmitRecords(request)
                    break
                except ServiceError:
                    # Killed before it answered; whether it had committed, nobody knows.
                    await asyncio.sleep(0.05)


async def follow(processes: list[RecordsProcess], store: Any, signal: CommitSignal, chance: random.Random) -> None:
    """Follows now one process, now the other, each for as long as it likes."""
    while True:
        follower = RegionFollower(
            name="nation",
            region="430000",
            source=chance.choice(processes).calls,
            store=store,
            signal=signal,
            secret_fingerprint=secret_fingerprint(SECRET.encode()),
            clock=system_clock,
        )
        task = asyncio.create_task(follower.run())
        try:
            await asyncio.sleep(chance.random() * 0.5)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def whole_feed(calls: Any) -> list[fpb.Change]:
    """All that a feed tells, page by page."""
    changes: list[fpb.Change] = []
    cursor = fpb.FeedCursor()
    while True:
        page = await calls.ListChanges(fpb.ListChangesRequest(cursor=cursor, page_size=997))
        changes += page.changes
        cursor = page.cursor
        if page.HasField("as_of"):
            return changes


@pytest.mark.parametrize("seed", [1, 2])
async def test_two_processes_and_a_follower_that_comes_and_goes(tmp_path: Any, postgres_url: str, seed: int) -> None:
    """What the follower has is the feed, and the feed is all that was acknowledged, without a gap."""
    chance = random.Random(seed)
    processes = [RecordsProcess("430000", postgres_url) for _ in range(2)]
    await processes[0].start()
    await processes[1].start()
    try:
        async with opened(sqlite_url(tmp_path, "nation"), "nation") as store:
            whole = Records(store, system_clock, "nation")  # type: ignore[arg-type]  # time as it is
            following = asyncio.create_task(follow(processes, store, CommitSignal(), chance))
            writing = asyncio.gather(
                *(
                    write(process, f"P{place}W{writer}", random.Random(seed * 100 + place * 10 + writer))
                    for place, process in enumerate(processes)
                    for writer in range(WRITERS)
                )
            )
            while not writing.done():
                await asyncio.wait({writing}, timeout=chance.uniform(0.3, 1.0))
                if not writing.done():
                    await processes[1].replace()
            await writing
            told = await whole_feed(processes[0].calls)
            assert [change.sequence for change in told] == list(range(1, len(told) + 1))
            assert told == await whole_feed(processes[1].calls)
            async with asyncio.timeout(30):
                while (await store.head()).sequence < len(told):
                    await asyncio.sleep(0.05)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            # The nation numbers what it took in the order it took it.
            assert await whole_feed(whole.calls) == told
            instants = [change.record.recorded_at.ToNanoseconds() for change in told]
            assert instants == sorted(instants)
            revisions = {(c.record.source_id, c.record.revision) for c in told}
            assert len(revisions) == len(told)
    finally:
        for process in processes:
            await process.end(signal.SIGKILL)
