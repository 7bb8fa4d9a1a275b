"""Each revision says who wrote it: the name that was proven, on every backend, whichever way it was written."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1 import record_read_service_pb2 as rpb
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1 import restoration_service_pb2 as back_pb
from hutong.records.v1.change_feed_service_pb2 import ListChangesRequest
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.record_pb2 import TestRecord, TestResult

from services.records.store.protocols.record_store import RecordStore
from services.runtime.rpc.connection import Connection
from services.runtime.rpc.server import Server
from services.runtime.tls.identity import UNPROVEN, principal
from tests.testkit.builders.records import KEEP, fresh_id, hours, person, result, sampling, submission
from tests.testkit.calls import local, remote
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, all_changes, follow, nation, opened, refused
from tests.testkit.servers.store_urls import sqlite_url

LABORATORY = principal("region/430000/laboratory/xiangya")
SYSTEM = principal("region/430000/system")
LOOKUP = principal("mesh/lookup")
POSITIVE = result(reported=-0.5, outcome=TestResult.TEST_RESULT_POSITIVE)
Write = Callable[[Any, str], Awaitable[Any]]


def called_by(records: Records, name: str) -> Any:
    """Returns the service's methods as a caller of this name calls them within the process."""
    return local(records.service.name, name, records.service.bindings)


async def writers(records: Records, source_id: str) -> list[str]:
    """Returns who wrote each revision of a record, oldest first."""
    return [revision.written_by for revision in await records.history(source_id)]


async def submit(calls: Any, source_id: str) -> Any:
    """By SubmitRecord."""
    asked = submission(source_id, person(1), result())
    answer = await calls.SubmitRecord(wpb.SubmitRecordRequest(submission=asked, purpose=KEEP))
    return answer.record


async def batch(calls: Any, source_id: str) -> None:
    """By BatchSubmitRecords."""
    rows = [submission(fresh_id(), person(1), result()), submission(source_id, person(1), result())]
    await calls.BatchSubmitRecords(wpb.BatchSubmitRecordsRequest(submissions=rows, purpose=KEEP))


async def stream(calls: Any, source_id: str, rows: int = 1) -> None:
    """By StreamRecords; of many new rows a store takes another way in than of few."""

    async def requests() -> Any:
        yield StreamRecordsRequest(session_id=str(uuid4()), purpose=KEEP)
        others = [submission(fresh_id(), person(number), result()) for number in range(1, rows)]
        yield StreamRecordsRequest(
            batch=1, submissions=[submission(source_id, person(1), result()), *others], purpose=KEEP
        )

    assert [0, 1] == [answer.batch async for answer in calls.StreamRecords(requests())]


async def stream_many(calls: Any, source_id: str) -> None:
    """By StreamRecords, hundreds at once."""
    await stream(calls, source_id, 300)


async def amend(calls: Any, source_id: str) -> TestRecord:
    """By AmendRecord."""
    asked = wpb.AmendRecordRequest(
        region="430000", source_id=source_id, revision=1, content=POSITIVE, cause="更正", purpose=KEEP
    )
    answer: TestRecord = (await calls.AmendRecord(asked)).record
    return answer


async def retract(calls: Any, source_id: str) -> TestRecord:
    """By RetractRecord."""
    asked = wpb.RetractRecordRequest(region="430000", source_id=source_id, revision=1, cause="误报", purpose=KEEP)
    answer: TestRecord = (await calls.RetractRecord(asked)).record
    return answer


async def settle(calls: Any, source_id: str) -> None:
    """By SettleConflict, after another person's test was offered under the id."""
    asked = submission(source_id, person(2), result())
    await refused(calls.SubmitRecord(wpb.SubmitRecordRequest(submission=asked, purpose=KEEP)))
    listed = await calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP, page_size=1_000))
    [conflict] = [one for one in listed.conflicts if one.source_id == source_id]
    await calls.SettleConflict(
        cpb.SettleConflictRequest(
            conflict_id=conflict.conflict_id,
            settlement=cpb.Settlement.SETTLEMENT_OFFERED_TAKEN,
            cause="核实",
            purpose=KEEP,
        )
    )


@pytest.mark.parametrize("write", [submit, batch, stream, stream_many])
async def test_a_new_record_says_who_wrote_it(records: Records, write: Write) -> None:
    """Whichever way it came, one of few or of many."""
    source_id = fresh_id()
    record = await write(called_by(records, LABORATORY), source_id)
    assert [LABORATORY] == await writers(records, source_id)
    if record is not None:
        assert record == (await records.history(source_id))[0]


@pytest.mark.parametrize("write", [amend, retract])
async def test_each_revision_has_its_own_writer(records: Records, write: Write) -> None:
    """What was there keeps its writer; the answer tells what is stored."""
    source_id = fresh_id()
    await submit(called_by(records, LABORATORY), source_id)
    record = await write(called_by(records, SYSTEM), source_id)
    history = await records.history(source_id)
    assert [LABORATORY, SYSTEM] == [revision.written_by for revision in history]
    assert record == history[1]


async def test_who_settles_a_conflict_writes_what_follows(records: Records) -> None:
    """Neither who stored nor who offered."""
    source_id = fresh_id()
    await submit(called_by(records, LABORATORY), source_id)
    await settle(called_by(records, SYSTEM), source_id)
    assert SYSTEM == (await writers(records, source_id))[-1]


@pytest.mark.parametrize("write", [submit, batch, stream])
async def test_who_says_the_same_again_wrote_nothing(records: Records, write: Write) -> None:
    """A duplicate is no revision, and the first stays the writer."""
    source_id = fresh_id()
    await write(called_by(records, LABORATORY), source_id)
    await write(called_by(records, SYSTEM), source_id)
    assert [LABORATORY] == await writers(records, source_id)


async def test_a_sampling_record_and_its_result_may_be_two_writers(records: Records) -> None:
    """The sample was taken down by one, and reported by another."""
    source_id = fresh_id()
    rows = [submission(source_id, person(1), sampling())]
    await called_by(records, SYSTEM).BatchSubmitRecords(wpb.BatchSubmitRecordsRequest(submissions=rows, purpose=KEEP))
    await submit(called_by(records, LABORATORY), source_id)
    assert [SYSTEM, LABORATORY] == await writers(records, source_id)


async def test_a_name_that_is_only_claimed_is_not_kept(records: Records) -> None:
    """Over a wire without certificates, whatever name is given, a principal's too: it says that nothing proves it."""
    server = Server(records.service.name, records.service.bindings)
    port = await server.start("127.0.0.1:0")
    try:
        for claimed in ("laboratory", LABORATORY):
            source_id, connection = fresh_id(), Connection(f"127.0.0.1:{port}")
            contracts = [binding.contract for binding in records.service.bindings]
            await submit(remote(records.service.name, claimed, connection, contracts), source_id)
            await connection.close()
            assert [UNPROVEN] == await writers(records, source_id)
    finally:
        await server.drain(0.0, 1.0)


@pytest.mark.parametrize("purpose", [value for value in Purpose.values() if value != Purpose.PURPOSE_UNSPECIFIED])
async def test_a_purpose_is_told_who_wrote_or_is_not(records: Records, purpose: Purpose.ValueType) -> None:
    """Who keeps records, supervises or copies is told; who asks about a person's health is told all but that."""
    told = purpose in (Purpose.PURPOSE_RECORD_KEEPING, Purpose.PURPOSE_SUPERVISION, Purpose.PURPOSE_REPLICATION)
    source_id = fresh_id()
    await submit(called_by(records, LABORATORY), source_id)
    [whole] = await records.history(source_id)
    expected = TestRecord()
    expected.CopyFrom(whole)
    if not told:
        expected.written_by = ""
    key = Subject(person_key=person(1))
    at = rpb.InstantQuestion(known_at=hours(1.0), subjects=[key])
    listed = await records.calls.ListRecords(rpb.ListRecordsRequest(subject=key, purpose=purpose, page_size=1_000))
    many = await records.calls.BatchListRecords(rpb.BatchListRecordsRequest(subjects=[key], purpose=purpose))
    then = await records.calls.BatchListRecordsAtInstants(
        rpb.BatchListRecordsAtInstantsRequest(questions=[at], purpose=purpose)
    )
    for answer in (listed.records, many.people[0].records, then.answers[0].people[0].records):
        assert [expected] == [record for record in answer if record.source_id == source_id]


async def test_the_feed_and_every_copy_say_who_wrote(store: RecordStore, tmp_path: Path) -> None:
    """A follower keeps the revisions of a region as they are, their writers too."""
    async with opened(sqlite_url(tmp_path, "region")) as regional:
        region, whole = Records(regional, ManualClock()), nation(store, {})
        await submit(called_by(region, LABORATORY), "S1")
        await amend(called_by(region, SYSTEM), "S1")
        told = [change.record.written_by for change in await all_changes(region)]
        assert [LABORATORY, SYSTEM] == told
        await follow(whole, region)
        assert list(await region.history("S1")) == list(await whole.history("S1"))


async def test_what_is_given_back_keeps_its_writer(records: Records, tmp_path: Path) -> None:
    """A store that was made anew has of its follower the revisions as they were."""
    async with opened(sqlite_url(tmp_path, "lost")) as lost:
        former = Records(lost, ManualClock())
        source_id = fresh_id()
        await submit(called_by(former, LABORATORY), source_id)
        await amend(called_by(former, LOOKUP), source_id)
        history = await former.history(source_id)
    feed_id = (await records.calls.ListChanges(ListChangesRequest())).cursor.feed_id
    given = history_of(history)
    await called_by(records, principal("nation/records")).GiveBack(
        back_pb.GiveBackRequest(feed_id=feed_id, records=[given], purpose=Purpose.PURPOSE_REPLICATION)
    )
    assert [LABORATORY, LOOKUP] == await writers(records, source_id)


@pytest.mark.parametrize(
    ("writer", "reason"),
    [
        ("spiffe://hutong/region/11010519491231002X/system", "DOCUMENT_NUMBER_NOT_ALLOWED"),
        ("somebody", "WRITER_FORMAT"),
        ("spiffe://hutong/a b", "WRITER_FORMAT"),
        ("spiffe://hutong/" + "a" * 2_048, "WRITER_FORMAT"),
    ],
)
async def test_what_is_given_back_names_nobody_by_a_number(records: Records, writer: str, reason: str) -> None:
    """A writer is a principal or nobody."""
    source_id = fresh_id()
    record = TestRecord(
        region="430000",
        source_id=source_id,
        revision=1,
        person_key=person(1),
        content=result(),
        recorded_at=hours(-0.5),
        written_by=writer,
    )
    feed_id = (await records.calls.ListChanges(ListChangesRequest())).cursor.feed_id
    error = await refused(
        records.calls.GiveBack(
            back_pb.GiveBackRequest(
                feed_id=feed_id, records=[history_of([record])], purpose=Purpose.PURPOSE_REPLICATION
            )
        )
    )
    assert [("records[0].revisions.written_by", reason)] == [(one.field, one.reason) for one in error.violations]


def history_of(revisions: list[TestRecord]) -> back_pb.RecordHistory:
    """Returns the revisions of one record as they are given back."""
    return back_pb.RecordHistory(revisions=revisions)
