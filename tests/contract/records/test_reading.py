"""People's records are read, over every backend."""

import random

from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1 import record_read_service_pb2 as rpb
from hutong.records.v1.record_pb2 import TestResult
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome

from services.common.instants import Instant, from_timestamp
from services.records.store.protocols.record_store import RecordStore
from tests.testkit.builders.records import SHOW, fresh_id, person, result, sampling, submission
from tests.testkit.clocks import NOON
from tests.testkit.servers.records_service import Records, refused

CREATED = SubmitOutcome.SUBMIT_OUTCOME_CREATED
POSITIVE = TestResult.TEST_RESULT_POSITIVE


async def test_a_batch_answers_in_the_order_asked(records: Records) -> None:
    """One entry for each subject: several times who was named so, empty for whom the store does not know."""
    for number in (1, 2):
        await records.submit(fresh_id(), person(number), result())
    asked = [person(2), person(7), person(1), person(2)]
    response = await records.batch(asked)
    assert [entry.person_key for entry in response.people] == asked
    assert [len(entry.records) for entry in response.people] == [1, 0, 1, 1]
    assert NOON < from_timestamp(response.as_of) <= records.clock.now


async def test_a_batch_of_a_thousand(records: Records) -> None:
    """A full batch is written and read in one call each."""
    rows = [submission(fresh_id(), person(number), result()) for number in range(1000)]
    response = await records.submit_many(rows)
    assert {row.outcome for row in response.rows} == {CREATED}
    answer = await records.batch([person(number) for number in range(1000)])
    assert [entry.records[0].source_id for entry in answer.people] == [row.source_id for row in rows]


async def test_wrong_subjects_are_named_by_position(records: Records) -> None:
    """Every wrong subject of a batch has its own violation."""
    subjects = [Subject(person_key=person(1)), Subject(person_key=b"x"), Subject()]
    error = await refused(records.calls.BatchListRecords(rpb.BatchListRecordsRequest(subjects=subjects, purpose=SHOW)))
    assert [(v.field, v.reason) for v in error.violations] == [
        ("subjects[1].person_key", "PERSON_KEY_LENGTH"),
        ("subjects[2]", "SUBJECT_REQUIRED"),
    ]


async def test_records_stand_newest_sample_first(records: Records) -> None:
    """Order is by sampling time, and by report where no sampling time is known."""
    contents = [result(-9, -8), result(None, -5), result(-2, -1), sampling(-7)]
    ids = [fresh_id() for _ in contents]
    await records.submit_many([submission(i, person(1), content) for i, content in zip(ids, contents, strict=True)])
    assert [ids[2], ids[1], ids[3], ids[0]] == [record.source_id for record in await records.of(person(1))]


async def test_the_past_can_be_read(records: Records) -> None:
    """A read as known at an instant shows what was current then."""
    source_id = fresh_id()
    before = records.clock()
    first = (await records.submit(source_id, person(1), result(outcome=POSITIVE))).record
    amended = await records.amend(source_id, 1, result())
    retracted = await records.retract(source_id, 2)
    assert await records.of(person(1), before) == []
    for revision in (first, amended, retracted):
        assert [revision] == await records.of(person(1), from_timestamp(revision.recorded_at))
    just_before = Instant(from_timestamp(retracted.recorded_at) - 1)
    assert [amended] == await records.of(person(1), just_before)


async def test_commits_are_recorded_in_order_though_the_clock_goes_back(records: Records) -> None:
    """recorded_at grows from commit to commit, whatever the clock does."""
    first = (await records.submit(fresh_id(), person(1), result())).record
    records.clock.forward(-3600)
    second = (await records.submit(fresh_id(), person(1), result(-9, -8))).record
    assert from_timestamp(first.recorded_at) < from_timestamp(second.recorded_at)


async def test_pages_of_one_person(records: Records) -> None:
    """Pages follow each other without gap or repetition, and show what was known when the first was read."""
    ids = [fresh_id() for _ in range(7)]
    await records.submit_many([submission(i, person(1), result(-3 - n, -2)) for n, i in enumerate(ids)])
    subject = Subject(person_key=person(1))
    seen: list[str] = []
    token = ""
    while True:
        page = await records.calls.ListRecords(
            rpb.ListRecordsRequest(subject=subject, purpose=SHOW, page_size=3, page_token=token)
        )
        seen += [record.source_id for record in page.records]
        token = page.next_page_token
        if not token:
            break
        await records.submit(fresh_id(), person(1), result(-4.5, -2))
    assert ids == seen


async def test_a_page_token_belongs_to_its_question(records: Records) -> None:
    """A token of another person's pages, or no token at all, is refused."""
    for number in (1, 1, 2):
        await records.submit(fresh_id(), person(number), result(-number - random.random(), 0))
    page = await records.calls.ListRecords(
        rpb.ListRecordsRequest(subject=Subject(person_key=person(1)), purpose=SHOW, page_size=1)
    )
    for token in (page.next_page_token, "nonsense", "=", "世"):
        error = await refused(
            records.calls.ListRecords(
                rpb.ListRecordsRequest(subject=Subject(person_key=person(2)), purpose=SHOW, page_token=token)
            )
        )
        assert [v.reason for v in error.violations] == ["PAGE_TOKEN"]


async def test_everybody_comes_once_and_in_order(records: Records, store: RecordStore) -> None:
    """However many records a person has, and however small the pages are."""
    people = sorted(person(number) for number in range(7))
    for key in people:
        for _ in range(2):
            await records.submit(fresh_id(), key, result())
    assert [] == await store.person_keys(people[-1], 5)
    roll: list[bytes] = []
    while page := await store.person_keys(roll[-1] if roll else b"", 3):
        assert len(page) <= 3
        roll += page
    assert people == roll
