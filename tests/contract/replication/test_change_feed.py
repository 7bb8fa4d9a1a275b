"""The change feed, and what lies behind it, over every backend."""

import asyncio
import random

from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1.record_pb2 import TestResult
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome

from services.common.instants import DAY, Instant, from_timestamp
from services.records.store.values.records import LATEST
from tests.testkit.builders.records import fresh_id, person, result, sampling, submission
from tests.testkit.clocks import NOON, ManualClock
from tests.testkit.servers.records_service import Records, all_changes, opened, put_laboratory, refused

CREATED = SubmitOutcome.SUBMIT_OUTCOME_CREATED
UNCHANGED = SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED
CONFLICT = SubmitOutcome.SUBMIT_OUTCOME_CONFLICT
POSITIVE = TestResult.TEST_RESULT_POSITIVE


async def test_the_feed_has_every_change_in_order(records: Records) -> None:
    """Each revision and each standing is one change, numbered from 1 without gaps, whatever the page size."""
    source_id = fresh_id()
    first = (await records.submit(source_id, person(1), result())).record
    laboratory = await put_laboratory(records, "430000-xiangya")
    amended = await records.amend(source_id, 1, result(outcome=POSITIVE))
    await records.submit(source_id, person(1), result())
    expected = [
        fpb.Change(sequence=1, record=first),
        fpb.Change(sequence=2, laboratory=laboratory),
        fpb.Change(sequence=3, record=amended),
    ]
    assert expected == await all_changes(records)
    assert expected == await all_changes(records, page_size=1)


async def test_a_cursor_of_another_history_is_refused(records: Records) -> None:
    """A cursor with another feed's id, or beyond the end, says so instead of waiting for ever."""
    await records.submit(fresh_id(), person(1), result())
    page = await records.calls.ListChanges(fpb.ListChangesRequest())
    for cursor in (
        fpb.FeedCursor(feed_id="other", sequence=1),
        fpb.FeedCursor(feed_id=page.cursor.feed_id, sequence=2),
        fpb.FeedCursor(sequence=1),
    ):
        error = await refused(records.calls.ListChanges(fpb.ListChangesRequest(cursor=cursor)))
        assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "FEED_REBUILT")
        stream = records.calls.WatchChanges(fpb.WatchChangesRequest(cursor=cursor))
        assert (await refused(anext(stream))).reason == "FEED_REBUILT"


async def test_a_watcher_hears_at_once(records: Records) -> None:
    """A commit reaches a watcher of the same process without waiting for a poll, and silence gives a sign of life."""
    stream = records.calls.WatchChanges(fpb.WatchChangesRequest())
    greeting = await anext(stream)
    assert list(greeting.changes) == []
    assert greeting.HasField("as_of")
    heard = asyncio.ensure_future(anext(stream))
    record = (await records.submit(fresh_id(), person(1), result())).record
    # On a loaded machine there may have been silence before.
    batch = await heard
    while not batch.changes:
        batch = await asyncio.wait_for(anext(stream), 30)
    assert [record] == [change.record for change in batch.changes]
    life = await asyncio.wait_for(anext(stream), 30)
    assert (list(life.changes), life.cursor) == ([], batch.cursor)
    assert from_timestamp(life.as_of) > from_timestamp(batch.as_of)
    await stream.aclose()


async def test_a_watcher_hears_of_another_replica(records: Records, store_url: str) -> None:
    """A commit of another process is found by polling."""
    stream = records.calls.WatchChanges(fpb.WatchChangesRequest())
    await anext(stream)
    async with opened(store_url) as other_store:
        record = (await Records(other_store, records.clock).submit(fresh_id(), person(1), result())).record
        changes: list[fpb.Change] = []
        while not changes:
            changes += (await asyncio.wait_for(anext(stream), 3)).changes
    assert [record] == [change.record for change in changes]
    await stream.aclose()


async def test_many_writers_and_a_follower_that_misses_nothing(records: Records, store_url: str) -> None:
    """While writers of two processes commit at once, a reader sees each change once, in order."""
    writers, rounds, rows = 6, 8, 12
    generator = random.Random(7)
    total = 0
    seen: list[fpb.Change] = []
    done = asyncio.Event()

    async def follow() -> None:
        async for batch in records.calls.WatchChanges(fpb.WatchChangesRequest()):
            seen.extend(batch.changes)
            if done.is_set() and batch.HasField("as_of") and len(seen) >= total:
                return

    async def write(to: Records) -> int:
        written = 0
        for _ in range(rounds):
            batch = [submission(fresh_id(), person(generator.randrange(40)), sampling()) for _ in range(rows)]
            await to.submit_many(batch)
            chosen = batch[generator.randrange(rows)]
            await to.amend(chosen.source_id, 1, result())
            written += rows + 1
        return written

    async with opened(store_url) as other_store:
        other = Records(other_store, records.clock)
        follower = asyncio.ensure_future(follow())
        total = sum(await asyncio.gather(*(write((records, other)[n % 2]) for n in range(writers))))
        done.set()
        await asyncio.wait_for(follower, 20)
    assert [change.sequence for change in seen] == list(range(1, total + 1))
    keys = [(change.record.source_id, change.record.revision) for change in seen]
    assert len(set(keys)) == total
    moments = [from_timestamp(change.record.recorded_at) for change in seen]
    assert moments == sorted(moments)


async def test_writers_of_one_record_are_one_after_another(records: Records, store_url: str) -> None:
    """Of many who submit one id at once, one creates it; the others find it or are in conflict with it."""
    source_id = fresh_id()
    async with opened(store_url) as other_store:
        other = Records(other_store, records.clock)

        async def one(number: int) -> int:
            batch = [submission(source_id, person(number % 3), result()), submission(fresh_id(), person(9), result())]
            generous = batch if number % 2 else batch[::-1]
            response = await (records, other)[number % 2].submit_many(generous)
            return next(row.outcome for row, asked in zip(response.rows, generous, strict=True) if asked == batch[0])

        outcomes = await asyncio.gather(*(one(number) for number in range(12)))
    assert outcomes.count(CREATED) == 1
    assert outcomes.count(UNCHANGED) == 3
    assert outcomes.count(CONFLICT) == 8
    assert len(await records.history(source_id)) == 1


async def test_a_store_opened_again_knows_everything(store_url: str) -> None:
    """Records, laboratories, the feed's id and number, and recorded_at go on where they stood."""
    clock = ManualClock()
    async with opened(store_url) as store:
        records = Records(store, clock)
        first = (await records.submit(fresh_id(), person(1), result())).record
        laboratory = await put_laboratory(records, "430000-xiangya")
        head = await store.head()
    async with opened(store_url) as store:
        again = Records(store, ManualClock(Instant(NOON - DAY // 2)))
        assert [first] == await again.of(person(1))
        assert [laboratory] == list((await again.batch([person(1)])).laboratories)
        assert head == await store.head()
        later = (await again.submit(fresh_id(), person(1), result(-20, -19))).record
        assert from_timestamp(later.recorded_at) > from_timestamp(laboratory.recorded_at)


async def test_reading_nobody_tells_how_far_laboratories_have_come(records: Records) -> None:
    """The watermark of laboratories comes with every read, even one of no people."""
    assert (await records.store.people((), LATEST)).laboratories == 0
    await records.submit(fresh_id(), person(1), result())
    await put_laboratory(records, "430000-xiangya")
    assert (await records.store.people((), LATEST)).laboratories == 2
