"""Intake over a stream, on every store: each batch committed, then acknowledged, in order, never twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import pytest
from hutong.records.v1.change_feed_service_pb2 import ListChangesRequest
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest, StreamRecordsResponse
from hutong.records.v1.record_pb2 import Origin
from hutong.records.v1.record_write_service_pb2 import RecordSubmission, SubmitOutcome

from services.common.errors import ServiceError
from services.records.store.unit_of_work import Decide, Touch
from services.runtime.clock import Clock
from tests.testkit.builders.records import KEEP, person, result, sampling, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened


def rows(count: int, start: int = 0) -> list[RecordSubmission]:
    """Returns so many new rows, each of another person."""
    return [submission(f"R{n:06d}", person(n + 1), result()) for n in range(start, start + count)]


async def stream(session: str, batches: dict[int, list[RecordSubmission]]) -> AsyncIterator[StreamRecordsRequest]:
    """A session opened, then these batches."""
    yield StreamRecordsRequest(session_id=session, purpose=KEEP)
    for number, submissions in batches.items():
        yield StreamRecordsRequest(batch=number, submissions=submissions)


async def taken(records: Records, session: str, batches: dict[int, list[RecordSubmission]]) -> list[Any]:
    """The answers to a whole stream."""
    return [answer async for answer in records.calls.StreamRecords(stream(session, batches))]


async def test_every_batch_is_acknowledged_in_order(records):
    """The opening is answered by where the session stands, each batch by its number and counts."""
    answers = await taken(records, str(uuid4()), {1: rows(300), 2: rows(10, 300), 3: rows(1, 310)})
    assert [(0, 0), (1, 300), (2, 10), (3, 1)] == [(answer.batch, answer.created) for answer in answers]
    assert [[], [], [], []] == [list(answer.rows) for answer in answers]
    for number in (0, 299, 310):
        stored = await records.of(person(number + 1))
        assert [(f"R{number:06d}", 1, result())] == [(one.source_id, one.revision, one.content) for one in stored]


async def test_rows_that_are_no_new_records_are_listed(records):
    """Duplicates, results of samples, conflicts and refused rows, in one batch with new ones and with each other."""
    await records.submit("A", person(1), result())
    await records.submit("B", person(2), sampling())
    await records.submit("C", person(3), result())
    gone = await records.submit("D", person(4), result())
    await records.retract("D", gone.record.revision)
    batch = [
        submission("A", person(1), result()),
        submission("NEW", person(5), sampling()),
        submission("B", person(2), result()),
        submission("C", person(3), result(reported=-0.5)),
        submission("D", person(4), result()),
        submission("", person(6), result()),
        submission("NEW", person(5), result()),
        submission("NEW", person(5), result()),
        submission("A", person(9), result()),
    ]
    _, answer = await taken(records, str(uuid4()), {1: batch})
    outcome = SubmitOutcome.Name
    assert 1 == answer.created
    assert [
        (0, "SUBMIT_OUTCOME_UNCHANGED", 1, []),
        (2, "SUBMIT_OUTCOME_RESULT_ADDED", 2, []),
        (3, "SUBMIT_OUTCOME_CONFLICT", 1, ["RECORD_CONFLICT"]),
        (4, "SUBMIT_OUTCOME_ALREADY_RETRACTED", 2, []),
        (5, "SUBMIT_OUTCOME_REFUSED", 0, ["SOURCE_ID_REQUIRED"]),
        (6, "SUBMIT_OUTCOME_RESULT_ADDED", 2, []),
        (7, "SUBMIT_OUTCOME_UNCHANGED", 2, []),
        (8, "SUBMIT_OUTCOME_CONFLICT", 1, ["PERSON_CONFLICT"]),
    ] == [(row.row, outcome(row.outcome), row.revision, [v.reason for v in row.violations]) for row in answer.rows]
    assert [1, 2] == [one.revision for one in await records.history("NEW")]


async def test_a_large_batch_with_a_few_old_rows(records):
    """Whether the rows can be copied in as they are or not, old ones are found and nothing is doubled."""
    await taken(records, str(uuid4()), {1: rows(5)})
    _, answer = await taken(records, str(uuid4()), {1: rows(1000)})
    assert (995, [0, 1, 2, 3, 4]) == (answer.created, [row.row for row in answer.rows])
    _, again = await taken(records, str(uuid4()), {1: rows(1000)})
    assert (0, 1000) == (again.created, len(again.rows))
    head = await records.store.head()
    changes = await records.store.changes(0, 5000)
    assert list(range(1, 1001)) == [change.sequence for change in changes]
    assert 1000 == head.sequence


async def test_a_session_knows_where_it_stands(records):
    """Opened again, a session says the last batch it committed; a batch sent twice doubles nothing; none is skipped."""
    session = str(uuid4())
    await taken(records, session, {1: rows(3), 2: rows(3, 3)})
    assert [2] == [answer.batch for answer in await taken(records, session, {})]
    answers = await taken(records, session, {2: rows(3, 3), 3: rows(3, 6)})
    assert [(2, 0), (2, 0), (3, 3)] == [(answer.batch, answer.created) for answer in answers]
    with pytest.raises(ServiceError) as caught:
        await taken(records, session, {5: rows(1, 20)})
    assert "BATCH_GAP" == caught.value.reason
    assert [] == await records.of(person(21))
    assert [0] == [answer.batch for answer in await taken(records, str(uuid4()), {})]


async def test_a_session_belongs_to_its_caller(records):
    """Another caller's session of the same id is another session."""
    from tests.testkit.calls import local

    session = str(uuid4())
    await taken(records, session, {1: rows(1)})
    other: Any = local("records", "another", records.service.bindings)
    assert [0] == [answer.batch async for answer in other.StreamRecords(stream(session, {}))]


async def test_a_stream_that_is_wrong_as_a_whole(records):
    """No session, rows in the opening, a batch out of order, an empty or too large one: refused, with what came before
    acknowledged."""
    cases = [
        ([StreamRecordsRequest(session_id="x", purpose=KEEP)], "SESSION_ID_FORMAT", 0),
        ([StreamRecordsRequest(purpose=KEEP)], "SESSION_ID_FORMAT", 0),
        ([StreamRecordsRequest(session_id=str(uuid4()), purpose=KEEP, batch=1)], "OPENING_REQUIRED", 0),
        ([r async for r in stream(str(uuid4()), {1: rows(1), 3: rows(1)})], "BATCH_ORDER", 2),
        ([r async for r in stream(str(uuid4()), {1: rows(1), 2: []})], "BATCH_SIZE", 2),
        ([r async for r in stream(str(uuid4()), {1: rows(5001)})], "BATCH_SIZE", 1),
    ]
    for requests, reason, answered in cases:

        async def every(requests=requests):
            for request in requests:
                yield request

        answers: list[StreamRecordsResponse] = []
        with pytest.raises(ServiceError) as caught:
            async for answer in records.calls.StreamRecords(every()):
                answers.append(answer)
        assert (reason, answered) == (caught.value.violations[0].reason, len(answers))


async def test_a_slow_store_slows_the_client_down(records, monkeypatch):
    """While one batch is being committed the server reads one more, and no further."""
    commit = records.store.commit
    go = asyncio.Semaphore(0)
    read: list[int] = []

    async def slow(touch: Touch, decide: Decide, clock: Clock) -> bytes:
        await go.acquire()
        answer: bytes = await commit(touch, decide, clock)
        return answer

    async def requests():
        yield StreamRecordsRequest(session_id=str(uuid4()), purpose=KEEP)
        for number in range(1, 21):
            read.append(number)
            yield StreamRecordsRequest(batch=number, submissions=rows(2, number * 2))

    monkeypatch.setattr(records.store, "commit", slow)
    async with aclosing(records.calls.StreamRecords(requests())) as answers:
        assert 0 == (await anext(answers)).batch
        for number in range(1, 19):
            waiting = asyncio.ensure_future(anext(answers))
            for _ in range(50):
                await asyncio.sleep(0)
            assert (False, number + 1) == (waiting.done(), read[-1])
            go.release()
            assert number == (await waiting).batch
        go.release()
        go.release()


async def test_many_laboratories_at_once(records):
    """Sessions that send at the same moment, some of them the same rows, are each acknowledged; nothing is doubled."""

    async def laboratory(number: int) -> int:
        own = rows(400, 10_000 * (number // 2))
        answers = await taken(records, str(uuid4()), {1: own[:200], 2: own[200:]})
        return sum(answer.created for answer in answers)

    created = await asyncio.gather(*(laboratory(number) for number in range(6)))
    assert 1200 == sum(created)
    changes = await records.store.changes(0, 5000)
    assert list(range(1, 1201)) == [change.sequence for change in changes]


@pytest.mark.parametrize("count", [2, 300])
async def test_copies_and_conflicts_of_a_stream_are_noted(store_url, count):
    """What arrives by stream is noted as what arrives by call: which are copies, and what could not be taken."""
    async with opened(store_url, "nation") as store:
        await _copies_and_conflicts_are_noted(Records(store, ManualClock()), count)


async def _copies_and_conflicts_are_noted(records: Records, count: int) -> None:
    await records.submit("OLD", person(999_999), result())
    copy = submission("COPY", person(1), result(origin=Origin(region="440000", source_id="ORIGINAL", revision=1)))
    _, first = await taken(records, str(uuid4()), {1: [copy, *rows(count - 1)]})
    assert (count, []) == (first.created, list(first.rows))
    due = await records.store.due_copies(["430000"], 10)
    assert [("430000", "COPY", (await records.store.head()).sequence)] == [(*one.id, one.sequence) for one in due]
    clash = submission("OLD", person(999_999), result(reported=-0.5))
    await taken(records, str(uuid4()), {1: [clash, *rows(count, count)]})
    kept = await records.store.conflicts(0, 10, False)
    assert [("OLD", 1, "RECORD_CONFLICT", "tests", 1)] == [
        (one.source_id, one.revision, one.reason, one.offered_by, one.times) for one in kept
    ]


async def test_a_purge_leaves_cursors_and_marks(records):
    """A cursor in what was purged, or before it, reads on; of what was purged no conflict is kept."""
    await taken(records, str(uuid4()), {1: rows(3), 2: rows(3, 3)})
    await records.submit_many([submission("R000000", person(1), result(reported=-0.5))])
    read = records.calls.ListChanges
    start = (await read(ListChangesRequest(page_size=2))).cursor
    marks = [await records.store.mark(number) for number in range(1, 7)]
    assert 2 == len(set(marks))
    records.clock.forward(3600)
    before = records.clock()
    await records.submit("LATE", person(100), result())
    done = await records.store.purge(before, 0, 100)
    assert (6, None) == done
    assert marks == [await records.store.mark(number) for number in range(1, 7)]
    assert [] == list(await records.store.conflicts(0, 10, True))
    page = await read(ListChangesRequest(cursor=start))
    assert (["LATE"], 7) == ([change.record.source_id for change in page.changes], page.cursor.sequence)
    assert [] == list((await read(ListChangesRequest(cursor=page.cursor))).changes)
