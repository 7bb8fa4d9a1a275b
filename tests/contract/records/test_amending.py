"""Amendments, retractions and retries, over every backend."""

import asyncio

import pytest
from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1 import record_read_service_pb2 as rpb
from hutong.records.v1.record_pb2 import RevisionAction, TestResult
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome
from prometheus_client import REGISTRY

from services.common.errors import ServiceError
from services.common.instants import Instant
from tests.testkit.builders.records import fresh_id, person, request_id, result, sampling, submission
from tests.testkit.clocks import NOON
from tests.testkit.servers.records_service import Records, all_changes, refused

CREATED = SubmitOutcome.SUBMIT_OUTCOME_CREATED
UNCHANGED = SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED
ALREADY_RETRACTED = SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED
REFUSED = SubmitOutcome.SUBMIT_OUTCOME_REFUSED
CONFLICT = SubmitOutcome.SUBMIT_OUTCOME_CONFLICT
POSITIVE = TestResult.TEST_RESULT_POSITIVE


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
    assert {"current_revision": "2"} == error.metadata
    error = await refused(records.retract(source_id, 1))
    assert ("REVISION_MISMATCH", {"current_revision": "2"}) == (error.reason, error.metadata)


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
