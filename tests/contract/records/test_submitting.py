"""Submissions are stored, found again or refused, over every backend."""

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.record_pb2 import Origin, RecordContent, RevisionAction, TestRecord, TestResult
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome

from services.common.instants import from_timestamp
from services.runtime.tls.identity import UNPROVEN
from tests.testkit.builders.records import KEEP, fresh_id, person, result, sampling, submission
from tests.testkit.servers.records_service import Records, put_laboratory, refused

CREATED = SubmitOutcome.SUBMIT_OUTCOME_CREATED
UNCHANGED = SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED
RESULT_ADDED = SubmitOutcome.SUBMIT_OUTCOME_RESULT_ADDED
REFUSED = SubmitOutcome.SUBMIT_OUTCOME_REFUSED
CONFLICT = SubmitOutcome.SUBMIT_OUTCOME_CONFLICT
POSITIVE = TestResult.TEST_RESULT_POSITIVE


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
        written_by=UNPROVEN,
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
    """Other content under a source id that is taken is refused, and where it is no graver, changes nothing."""
    source_id = fresh_id()
    first = await records.submit(source_id, person(1), result())
    error = await refused(records.submit(source_id, person(1), result(reported=-0.5)))
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
    # Of the third row's conflict the graver statement stands meanwhile.
    assert [row.revision for row in response.rows] == [1, 0, 2, 2, 1, 1, 2, 2]
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
    keeper = {"region": "440000", "store": "spiffe://hutong/region/440000/records"}
    assert ("FAILED_PRECONDITION", "REGION_NOT_KEPT", keeper) == (error.code.name, error.reason, error.metadata)
    error = await refused(put_laboratory(records, "440000-lab", region="440000"))
    assert ("FAILED_PRECONDITION", "REGION_NOT_KEPT", keeper) == (error.code.name, error.reason, error.metadata)


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
