"""What a records service promises, held over every backend."""

import asyncio
import random
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1 import record_read_service_pb2 as rpb
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.laboratory_pb2 import Interval, Laboratory
from hutong.records.v1.record_pb2 import Origin, RecordContent, RevisionAction, TestRecord, TestResult
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome
from prometheus_client import REGISTRY

from services.common.errors import ServiceError
from services.common.instants import DAY, Instant, from_timestamp
from services.records.store.protocol import LATEST
from tests.contract.record_backends import (
    KEEP,
    NOON,
    SHOW,
    ManualClock,
    Records,
    fresh_id,
    hours,
    opened,
    person,
    request_id,
    result,
    sampling,
    submission,
)

CREATED = SubmitOutcome.SUBMIT_OUTCOME_CREATED
UNCHANGED = SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED
RESULT_ADDED = SubmitOutcome.SUBMIT_OUTCOME_RESULT_ADDED
ALREADY_RETRACTED = SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED
REFUSED = SubmitOutcome.SUBMIT_OUTCOME_REFUSED
CONFLICT = SubmitOutcome.SUBMIT_OUTCOME_CONFLICT
POSITIVE = TestResult.TEST_RESULT_POSITIVE


async def refused(call: Any) -> ServiceError:
    """The error a call ends in."""
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value


async def all_changes(records: Records, page_size: int = 0) -> list[fpb.Change]:
    """The whole feed, page by page."""
    changes: list[fpb.Change] = []
    cursor = fpb.FeedCursor()
    while True:
        page = await records.calls.ListChanges(fpb.ListChangesRequest(cursor=cursor, page_size=page_size))
        changes += page.changes
        cursor = page.cursor
        if page.HasField("as_of"):
            return changes


# Submitting


async def test_what_was_submitted_is_read_back(records: Records) -> None:
    """A new record is revision 1, with everything that was said, and the instant of its commit."""
    source_id = fresh_id()
    before = records.clock.now
    response = await records.submit(source_id, person(1), result())
    assert response.outcome == CREATED
    assert before < from_timestamp(response.record.recorded_at) <= records.clock.now
    assert response.record == TestRecord(
        region="430000",
        source_id=source_id,
        revision=1,
        person_key=person(1),
        content=result(),
        action=RevisionAction.REVISION_ACTION_SUBMITTED,
        recorded_at=response.record.recorded_at,
    )
    assert [response.record] == await records.of(person(1))
    assert [response.record] == await records.history(source_id)


async def test_same_content_again_is_a_no_op(records: Records) -> None:
    """The same submission twice gives the same record, once."""
    source_id = fresh_id()
    first = await records.submit(source_id, person(1), result())
    again = await records.submit(source_id, person(1), result())
    assert again.outcome == UNCHANGED
    assert first.record == again.record
    assert len(await records.history(source_id)) == 1


async def test_other_content_is_a_conflict(records: Records) -> None:
    """Other content under a source id that is taken is refused, and changes nothing."""
    source_id = fresh_id()
    first = await records.submit(source_id, person(1), result())
    error = await refused(records.submit(source_id, person(1), result(outcome=POSITIVE)))
    assert (error.code.name, error.reason) == ("ALREADY_EXISTS", "RECORD_CONFLICT")
    assert [(v.field, v.reason) for v in error.violations] == [("submission.content", "RECORD_CONFLICT")]
    assert [first.record] == await records.of(person(1))


async def test_another_person_under_the_same_id_is_a_conflict(records: Records) -> None:
    """One sample is of one person."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    error = await refused(records.submit(source_id, person(2), result()))
    assert error.reason == "RECORD_CONFLICT"
    assert [v.reason for v in error.violations] == ["PERSON_CONFLICT"]
    assert await records.of(person(2)) == []


async def test_a_sampling_record_receives_its_result(records: Records) -> None:
    """Submitting the result of a sampling record appends it as the next revision."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), sampling())
    response = await records.submit(source_id, person(1), result())
    assert (response.outcome, response.record.revision) == (RESULT_ADDED, 2)
    assert [response.record] == await records.of(person(1))
    late = await records.submit(source_id, person(1), sampling())
    assert (late.outcome, late.record) == (UNCHANGED, response.record)


async def test_a_result_of_another_sample_is_a_conflict(records: Records) -> None:
    """A result that tells of another sampling time does not belong to the sampling record."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), sampling(-2))
    error = await refused(records.submit(source_id, person(1), result(sampled=-3)))
    assert error.reason == "RECORD_CONFLICT"


async def test_a_person_may_be_named_by_document(records: Records) -> None:
    """A document and the key made of it name the same person; its number is nowhere in the answer."""
    document = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="e12345678")
    asked = submission(fresh_id(), person(1), result())
    asked.subject.CopyFrom(Subject(document=document))
    response = await records.calls.SubmitRecord(wpb.SubmitRecordRequest(submission=asked, purpose=KEEP))
    assert len(response.record.person_key) == 16
    assert [response.record] == await records.of(response.record.person_key)
    assert b"12345678" not in response.SerializeToString()


async def test_a_copy_is_an_ordinary_record(records: Records) -> None:
    """A record claimed from another region keeps its origin."""
    origin = Origin(region="440000", source_id="G1", revision=2)
    response = await records.submit(fresh_id(), person(1), result(origin=origin))
    assert response.record.content.origin == origin


async def test_a_batch_judges_each_row_by_itself(records: Records) -> None:
    """A bad row is refused with its reasons and does not sink its batch."""
    taken, doubled, new = fresh_id(), fresh_id(), fresh_id()
    await records.submit(taken, person(1), result())
    bad = submission("", b"short", result(reported=-3), region="440000")
    response = await records.submit_many(
        [
            submission(new, person(1), sampling(-9)),
            bad,
            submission(taken, person(1), result(outcome=POSITIVE)),
            submission(taken, person(1), result()),
            submission(doubled, person(2), sampling()),
            submission(doubled, person(2), sampling()),
            submission(doubled, person(2), result()),
            submission(doubled, person(3), result()),
        ]
    )
    assert [row.outcome for row in response.rows] == [
        CREATED,
        REFUSED,
        CONFLICT,
        UNCHANGED,
        CREATED,
        UNCHANGED,
        RESULT_ADDED,
        CONFLICT,
    ]
    assert [row.revision for row in response.rows] == [1, 0, 1, 1, 1, 1, 2, 2]
    assert [(v.field, v.reason) for v in response.rows[1].violations] == [
        ("region", "REGION_NOT_KEPT"),
        ("source_id", "SOURCE_ID_REQUIRED"),
        ("subject.person_key", "PERSON_KEY_LENGTH"),
        ("content.reported_at", "REPORTED_BEFORE_SAMPLED"),
    ]
    assert [r.source_id for r in await records.of(person(1))] == [taken, new]


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_has_one_to_a_thousand_rows(records: Records, count: int) -> None:
    """Fewer or more are refused."""
    error = await refused(records.submit_many([wpb.RecordSubmission()] * count))
    assert [v.reason for v in error.violations] == ["BATCH_SIZE"]
    error = await refused(records.batch([person(1)] * count))
    assert [v.reason for v in error.violations] == ["BATCH_SIZE"]


async def test_other_regions_are_not_written_here(records: Records) -> None:
    """A store refuses records and laboratories of regions it does not keep."""
    error = await refused(records.submit(fresh_id(), person(1), result(), region="440000"))
    assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "REGION_NOT_KEPT")
    error = await refused(put(records, "440000-lab", region="440000"))
    assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "REGION_NOT_KEPT")


async def test_every_wrong_field_is_named(records: Records) -> None:
    """A refusal lists all that is wrong, by the fields' paths in the request."""
    error = await refused(
        records.calls.SubmitRecord(
            wpb.SubmitRecordRequest(
                submission=wpb.RecordSubmission(region="999999", content=RecordContent(site="12")),
                purpose=KEEP,
                request_id="x",
            )
        )
    )
    assert sorted((v.field, v.reason) for v in error.violations) == [
        ("request_id", "REQUEST_ID_FORMAT"),
        ("submission.content.channel", "CHANNEL_REQUIRED"),
        ("submission.content.kind", "KIND_REQUIRED"),
        ("submission.content.laboratory", "LABORATORY_REQUIRED"),
        ("submission.content.site", "SITE_FORMAT"),
        ("submission.content.tube", "TUBE_REQUIRED"),
        ("submission.region", "REGION_UNKNOWN"),
        ("submission.source_id", "SOURCE_ID_REQUIRED"),
        ("submission.subject", "SUBJECT_REQUIRED"),
    ]


# Amending and retracting


async def test_an_amendment_replaces_the_content(records: Records) -> None:
    """An amendment is a new revision with its cause; the old one stays."""
    source_id = fresh_id()
    first = (await records.submit(source_id, person(1), result(outcome=POSITIVE))).record
    amended = await records.amend(source_id, 1, result(), "sent as positive by mistake")
    assert (amended.revision, amended.cause) == (2, "sent as positive by mistake")
    assert amended.action == RevisionAction.REVISION_ACTION_AMENDED
    assert [amended] == await records.of(person(1))
    assert [first, amended] == await records.history(source_id)


async def test_a_late_duplicate_does_not_undo_an_amendment(records: Records) -> None:
    """Content equal to an earlier revision's is a duplicate, not news."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result(outcome=POSITIVE))
    amended = await records.amend(source_id, 1, result())
    late = await records.submit(source_id, person(1), result(outcome=POSITIVE))
    assert (late.outcome, late.record) == (UNCHANGED, amended)


async def test_an_amendment_names_the_current_revision(records: Records) -> None:
    """Who names another revision has not seen the present one."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    await records.amend(source_id, 1, result(reported=-0.5))
    error = await refused(records.amend(source_id, 1, result(outcome=POSITIVE)))
    assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "REVISION_MISMATCH")
    error = await refused(records.retract(source_id, 1))
    assert error.reason == "REVISION_MISMATCH"


async def test_what_does_not_exist_cannot_be_changed(records: Records) -> None:
    """Amending, retracting or tracing an unknown record is NOT_FOUND, and does not take its id."""
    source_id = fresh_id()
    for call in (records.amend(source_id, 1, result()), records.retract(source_id, 1), records.history(source_id)):
        error = await refused(call)
        assert (error.code.name, error.reason) == ("NOT_FOUND", "RECORD_NOT_FOUND")
    assert (await records.submit(source_id, person(1), result())).outcome == CREATED


async def test_late_duplicate_cannot_resurrect_a_retracted_record(records: Records) -> None:
    """A retraction is final for the content it retracted."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), sampling())
    await records.submit(source_id, person(1), result())
    retracted = await records.retract(source_id, 2)
    assert retracted.action == RevisionAction.REVISION_ACTION_RETRACTED
    assert retracted.content == result()
    for content in (result(), sampling()):
        late = await records.submit(source_id, person(1), content)
        assert (late.outcome, late.record) == (ALREADY_RETRACTED, retracted)
    assert [retracted] == await records.of(person(1))
    error = await refused(records.submit(source_id, person(1), result(outcome=POSITIVE)))
    assert [v.reason for v in error.violations] == ["RECORD_RETRACTED"]
    error = await refused(records.amend(source_id, 3, result(outcome=POSITIVE)))
    assert error.reason == "RECORD_RETRACTED"


async def test_a_retry_gets_the_first_answer(records: Records) -> None:
    """A request repeated under its request_id is answered as it was, whatever has happened since."""
    source_id, submitted, amended = fresh_id(), request_id(), request_id()
    first = await records.submit(source_id, person(1), result(outcome=POSITIVE), submitted)
    second = await records.amend(source_id, 1, result(), request_id=amended)
    await records.retract(source_id, 2)
    assert first == await records.submit(source_id, person(1), result(outcome=POSITIVE), submitted)
    assert second == await records.amend(source_id, 1, result(), request_id=amended)
    batch = [submission(fresh_id(), person(2), result())]
    bulk = request_id()
    answer = await records.submit_many(batch, bulk)
    assert [row.outcome for row in answer.rows] == [CREATED]
    assert answer == await records.submit_many(batch, bulk)
    assert len(await all_changes(records)) == 4


async def test_a_request_id_names_one_request(records: Records) -> None:
    """Another request under a request_id that was answered is refused."""
    used = request_id()
    await records.submit(fresh_id(), person(1), result(), used)
    error = await refused(records.submit(fresh_id(), person(1), result(), used))
    assert [(v.field, v.reason) for v in error.violations] == [("request_id", "REQUEST_ID_REUSED")]


async def test_concurrent_retries_are_one_request(records: Records) -> None:
    """Retries that race each other all get one answer."""
    source_id, same = fresh_id(), request_id()
    await records.submit(source_id, person(1), result())
    answers = await asyncio.gather(
        *(records.amend(source_id, 1, result(outcome=POSITIVE), request_id=same) for _ in range(6))
    )
    assert all(answer == answers[0] for answer in answers)
    assert len(await records.history(source_id)) == 2


async def test_a_refused_request_is_not_remembered(records: Records) -> None:
    """What was refused may be right later, under the same request_id."""
    source_id, same = fresh_id(), request_id()
    assert (await refused(records.retract(source_id, 1, request_id=same))).reason == "RECORD_NOT_FOUND"
    await records.submit(source_id, person(1), result())
    assert (await records.retract(source_id, 1, request_id=same)).revision == 2


async def test_answers_are_forgotten_in_time(records: Records) -> None:
    """An answer is kept for as long as was said, not for ever."""
    await records.submit(fresh_id(), person(1), result(), request_id())
    assert await records.store.forget_answers(NOON) == 0
    assert await records.store.forget_answers(Instant(records.clock() + 1)) == 1


async def test_a_store_that_fails_says_only_that_it_is_not_available(records: Records) -> None:
    """Whatever a database says when it fails stays in the log: the caller learns a stable reason, and may try again."""
    await records.submit(fresh_id(), person(1), result())
    await records.store.close()
    for call in (
        records.submit(fresh_id(), person(1), result()),
        records.of(person(1)),
        records.history("S1"),
        records.calls.ListChanges(fpb.ListChangesRequest()),
        records.calls.GetLaboratory(rpb.GetLaboratoryRequest(laboratory="430000-xiangya")),
    ):
        error = await refused(call)
        assert (error.code.name, error.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
        assert str(error.text) == "记录库暂不可用 / The records store is not available"


async def test_outcomes_are_counted(records: Records) -> None:
    """Every row of an intake is counted under its outcome."""

    def counted(outcome: str) -> float:
        labels = {"store": "430000", "outcome": outcome}
        return REGISTRY.get_sample_value("hutong_records_submitted_total", labels) or 0.0

    before = {outcome: counted(outcome) for outcome in ("CREATED", "UNCHANGED", "REFUSED", "CONFLICT")}
    source_id = fresh_id()
    same = submission(source_id, person(1), result())
    await records.submit_many([same, same, submission("", person(1), result())])
    with pytest.raises(ServiceError):
        await records.submit(source_id, person(2), result())
    assert {outcome: counted(outcome) - start for outcome, start in before.items()} == {
        "CREATED": 1,
        "UNCHANGED": 1,
        "REFUSED": 1,
        "CONFLICT": 1,
    }


# Reading


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


# Laboratories


async def put(
    records: Records, laboratory: str, region: str = "430000", accredited: list[Interval] | None = None
) -> Laboratory:
    """Registers a laboratory."""
    response: wpb.PutLaboratoryResponse = await records.calls.PutLaboratory(
        wpb.PutLaboratoryRequest(
            region=region,
            laboratory=laboratory,
            display_name=LocalizedText(zh="湘雅", en="Xiangya"),
            accredited=accredited or [],
        )
    )
    return response.laboratory


def whole_day() -> Interval:
    """The day before NOON."""
    interval = Interval(to=hours(0))
    getattr(interval, "from").CopyFrom(hours(-24))
    return interval


async def suspend(records: Records, laboratory: str, suspension_id: str = "s1", cause: str = "mixed up") -> Laboratory:
    """Suspends a laboratory for the day before NOON."""
    response: wpb.SuspendLaboratoryResponse = await records.calls.SuspendLaboratory(
        wpb.SuspendLaboratoryRequest(
            laboratory=laboratory, suspension_id=suspension_id, sampled=whole_day(), cause=cause
        )
    )
    return response.laboratory


async def lift(records: Records, laboratory: str, suspension_id: str = "s1", cause: str = "checked") -> Laboratory:
    """Lifts a suspension."""
    response: wpb.LiftSuspensionResponse = await records.calls.LiftSuspension(
        wpb.LiftSuspensionRequest(laboratory=laboratory, suspension_id=suspension_id, cause=cause)
    )
    return response.laboratory


async def test_a_laboratory_is_registered_once(records: Records) -> None:
    """The same registration again changes nothing; another name or accreditation is a new revision."""
    first = await put(records, "430000-xiangya")
    assert (first.revision, first.region) == (1, "430000")
    assert first == await put(records, "430000-xiangya")
    second = await put(records, "430000-xiangya", accredited=[whole_day()])
    assert second.revision == 2
    got = await records.calls.GetLaboratory(rpb.GetLaboratoryRequest(laboratory="430000-xiangya"))
    assert second == got.laboratory


async def test_suspension_and_lifting_reach_every_reader_as_known_then(records: Records) -> None:
    """A suspension is in every answer from its commit on, lifted or not as known at the instant asked about."""
    await records.submit(fresh_id(), person(1), result())
    await put(records, "430000-xiangya")
    registered = (await records.batch([person(1)])).laboratories
    assert [lab.revision for lab in registered] == [1]
    suspended = await suspend(records, "430000-xiangya")
    assert [suspended] == list((await records.batch([person(1)])).laboratories)
    lifted = await lift(records, "430000-xiangya")
    assert [lifted] == list((await records.batch([person(1)])).laboratories)
    assert lifted.suspensions[0].lifted_cause == "checked"
    assert lifted.suspensions[0].lifted_at == lifted.recorded_at
    assert lifted.suspensions[0].recorded_at == suspended.recorded_at
    then = await records.batch([person(1)], from_timestamp(suspended.recorded_at))
    assert [suspended] == list(then.laboratories)
    before = await records.batch([person(1)], Instant(from_timestamp(registered[0].recorded_at) - 1))
    assert list(before.laboratories) == []


async def test_a_laboratory_that_does_not_appear_is_not_sent(records: Records) -> None:
    """An answer carries the laboratories of its records, not all there are."""
    await put(records, "430000-xiangya")
    await put(records, "430000-other")
    await records.submit(fresh_id(), person(1), result())
    response = await records.batch([person(1), person(2)])
    assert [lab.laboratory for lab in response.laboratories] == ["430000-xiangya"]


async def test_suspending_twice_is_once(records: Records) -> None:
    """The same suspension again is a no-op; another one under its id, or lifting what is not there, is refused."""
    await put(records, "430000-xiangya")
    first = await suspend(records, "430000-xiangya")
    assert first == await suspend(records, "430000-xiangya")
    assert (await refused(suspend(records, "430000-xiangya", cause="other"))).reason == "SUSPENSION_CONFLICT"
    assert (await refused(suspend(records, "430000-none"))).reason == "LABORATORY_NOT_FOUND"
    assert (await refused(lift(records, "430000-none"))).reason == "LABORATORY_NOT_FOUND"
    assert (await refused(lift(records, "430000-xiangya", "s2"))).reason == "SUSPENSION_NOT_FOUND"
    lifted = await lift(records, "430000-xiangya")
    assert lifted == await lift(records, "430000-xiangya")
    assert (await refused(lift(records, "430000-xiangya", cause="other"))).reason == "SUSPENSION_LIFTED"


async def test_registration_leaves_suspensions_alone(records: Records) -> None:
    """A new accreditation does not lift a suspension."""
    await put(records, "430000-xiangya")
    suspended = await suspend(records, "430000-xiangya")
    again = await put(records, "430000-xiangya", accredited=[whole_day()])
    assert list(suspended.suspensions) == list(again.suspensions)


async def test_pages_of_laboratories(records: Records) -> None:
    """Laboratories are listed by id, page by page."""
    ids = [f"430000-{n}" for n in "adbec"]
    for i in ids:
        await put(records, i)
    seen: list[str] = []
    token = ""
    while True:
        page = await records.calls.ListLaboratories(rpb.ListLaboratoriesRequest(page_size=2, page_token=token))
        seen += [lab.laboratory for lab in page.laboratories]
        token = page.next_page_token
        if not token:
            break
    assert sorted(ids) == seen


async def test_a_laboratory_is_written_by_another_replica(records: Records, store_url: str) -> None:
    """What another process commits is in the next answer of this one."""
    await records.submit(fresh_id(), person(1), result())
    await put(records, "430000-xiangya")
    await records.batch([person(1)])
    async with opened(store_url) as other_store:
        suspended = await suspend(Records(other_store, records.clock), "430000-xiangya")
    assert [suspended] == list((await records.batch([person(1)])).laboratories)


# The feed


async def test_the_feed_has_every_change_in_order(records: Records) -> None:
    """Each revision and each standing is one change, numbered from 1 without gaps, whatever the page size."""
    source_id = fresh_id()
    first = (await records.submit(source_id, person(1), result())).record
    laboratory = await put(records, "430000-xiangya")
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
    batch = await asyncio.wait_for(heard, 0.9)
    assert [record] == [change.record for change in batch.changes]
    life = await asyncio.wait_for(anext(stream), 3)
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
        laboratory = await put(records, "430000-xiangya")
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
    await put(records, "430000-xiangya")
    assert (await records.store.people((), LATEST)).laboratories == 2
