"""A correction that its source declares takes effect, whichever way it is submitted, on every backend."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.record_pb2 import RecordContent, RevisionAction, TestResult

from services.common.errors import ServiceError
from tests.testkit.builders.records import KEEP, fresh_id, person, result, submission
from tests.testkit.servers.records_service import Records

POSITIVE = TestResult.TEST_RESULT_POSITIVE
AMENDMENT = wpb.CorrectionKind.CORRECTION_KIND_AMENDMENT
RETRACTION = wpb.CorrectionKind.CORRECTION_KIND_RETRACTION
Submit = Callable[[Records, wpb.RecordSubmission], Awaitable[tuple[str, list[str]]]]


def corrected(
    source_id: str,
    who: bytes,
    content: RecordContent,
    kind: wpb.CorrectionKind.ValueType = AMENDMENT,
    cause: str = "更正",
) -> wpb.RecordSubmission:
    """A submission that is declared to correct what was said before."""
    made = submission(source_id, who, content)
    made.correction.kind, made.correction.cause = kind, cause
    return made


def named(outcome: int, violations: Any = ()) -> tuple[str, list[str]]:
    """An outcome's name, and the reasons beside it."""
    name = wpb.SubmitOutcome.Name(outcome)  # type: ignore[arg-type]  # a number of the contract
    return name.removeprefix("SUBMIT_OUTCOME_"), [violation.reason for violation in violations]


async def alone(records: Records, asked: wpb.RecordSubmission) -> tuple[str, list[str]]:
    """By SubmitRecord."""
    try:
        answer = await records.calls.SubmitRecord(wpb.SubmitRecordRequest(submission=asked, purpose=KEEP))
    except ServiceError as error:
        return error.reason, [violation.reason for violation in error.violations]
    return named(answer.outcome)


async def in_a_batch(records: Records, asked: wpb.RecordSubmission) -> tuple[str, list[str]]:
    """By BatchSubmitRecords."""
    [row] = (await records.submit_many([asked])).rows
    return named(row.outcome, row.violations)


async def in_a_stream(records: Records, asked: wpb.RecordSubmission) -> tuple[str, list[str]]:
    """By StreamRecords, beside a row that has nothing to do with it."""

    async def requests() -> Any:
        yield StreamRecordsRequest(session_id=str(uuid4()), purpose=KEEP)
        yield StreamRecordsRequest(batch=1, submissions=[asked, submission(fresh_id(), person(77), result())])

    _, answer = [one async for one in records.calls.StreamRecords(requests())]
    listed = [row for row in answer.rows if row.row == 0]
    assert answer.created == 2 - len(listed)
    return named(listed[0].outcome, listed[0].violations) if listed else ("CREATED", [])


WAYS = pytest.mark.parametrize("submit", [alone, in_a_batch, in_a_stream])


@WAYS
async def test_an_amendment_takes_effect_once(records: Records, submit: Submit) -> None:
    """What was stored is replaced, with the cause; the same again, and the first again, change nothing."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    asked = corrected(source_id, person(1), result(reported=-0.5, outcome=POSITIVE))
    assert ("AMENDED", []) == await submit(records, asked)
    assert ("UNCHANGED", []) == await submit(records, asked)
    assert ("UNCHANGED", []) == await submit(records, submission(source_id, person(1), result()))
    history = await records.history(source_id)
    assert [result(), result(reported=-0.5, outcome=POSITIVE)] == [revision.content for revision in history]
    assert (RevisionAction.REVISION_ACTION_AMENDED, "更正") == (history[-1].action, history[-1].cause)


@WAYS
async def test_an_amendment_that_comes_late_changes_nothing(records: Records, submit: Submit) -> None:
    """Corrected to positive, corrected back to negative: the first correction again does not make it positive."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    first = corrected(source_id, person(1), result(reported=-0.75, outcome=POSITIVE))
    await submit(records, first)
    assert ("AMENDED", []) == await submit(records, corrected(source_id, person(1), result(reported=-0.5)))
    assert ("UNCHANGED", []) == await submit(records, first)
    assert (await records.of(person(1)))[0].content == result(reported=-0.5)


@WAYS
async def test_an_amendment_older_than_what_is_stored_is_a_conflict(records: Records, submit: Submit) -> None:
    """Which of the two is the newer cannot be told; after a declared correction, not even the graver one stands."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    await submit(records, corrected(source_id, person(1), result(reported=-0.25)))
    outcome, reasons = await submit(records, corrected(source_id, person(1), result(reported=-0.5, outcome=POSITIVE)))
    assert outcome in ("CONFLICT", "RECORD_CONFLICT")
    assert ["RECORD_CONFLICT"] == reasons
    assert (await records.of(person(1)))[0].content == result(reported=-0.25)


@WAYS
async def test_an_amendment_of_what_never_came_begins_the_record(records: Records, submit: Submit) -> None:
    """And what it replaced, should it come, is not believed any more."""
    source_id = fresh_id()
    assert ("CREATED", []) == await submit(records, corrected(source_id, person(1), result(reported=-0.5)))
    outcome, _ = await submit(records, submission(source_id, person(1), result(reported=-0.75, outcome=POSITIVE)))
    assert outcome in ("CONFLICT", "RECORD_CONFLICT")
    [standing] = await records.of(person(1))
    assert (1, result(reported=-0.5), "更正") == (standing.revision, standing.content, standing.cause)


@WAYS
async def test_a_retraction_takes_effect_once(records: Records, submit: Submit) -> None:
    """It needs no content; again, it changes nothing; of what is not here, there is nothing to withdraw."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result(outcome=POSITIVE))
    asked = corrected(source_id, person(1), RecordContent(), RETRACTION, "样本弄错")
    assert ("RETRACTED", []) == await submit(records, asked)
    assert ("ALREADY_RETRACTED", []) == await submit(records, asked)
    last = (await records.history(source_id))[-1]
    assert (RevisionAction.REVISION_ACTION_RETRACTED, "样本弄错") == (last.action, last.cause)
    unknown = corrected(fresh_id(), person(1), RecordContent(), RETRACTION)
    assert ("ALREADY_RETRACTED", []) == await submit(records, unknown)


@WAYS
async def test_a_correction_for_another_person_changes_nothing(records: Records, submit: Submit) -> None:
    """A mistyped sample id neither withdraws nor amends somebody else's test."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    for kind in (AMENDMENT, RETRACTION):
        outcome, reasons = await submit(records, corrected(source_id, person(2), result(outcome=POSITIVE), kind))
        assert outcome in ("CONFLICT", "REFUSED", "RECORD_CONFLICT")
        assert ["PERSON_CONFLICT"] == reasons
    assert [result()] == [revision.content for revision in await records.history(source_id)]
    assert [] == await records.of(person(2))


@WAYS
async def test_an_amendment_settles_what_was_contested(records: Records, submit: Submit) -> None:
    """The source has spoken: its correction stands, whatever stood for the time being."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    await submit(records, submission(source_id, person(1), result(outcome=POSITIVE)))
    assert ("AMENDED", []) == await submit(records, corrected(source_id, person(1), result(reported=-0.5)))
    [standing] = await records.of(person(1))
    assert result(reported=-0.5) == standing.content
    [kept] = (await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))).conflicts
    how = cpb.Settlement.SETTLEMENT_STORED_KEPT
    request = cpb.SettleConflictRequest(conflict_id=kept.conflict_id, settlement=how, cause="done", purpose=KEEP)
    await records.calls.SettleConflict(request)
    assert [standing] == await records.of(person(1))


@WAYS
async def test_a_declaration_says_what_and_why(records: Records, submit: Submit) -> None:
    """Without a kind or a cause it is refused, as everything incomplete is."""
    asked = corrected(fresh_id(), person(1), result(), 0, "")  # type: ignore[arg-type]  # no kind
    outcome, reasons = await submit(records, asked)
    assert outcome in ("REFUSED", "INVALID_ARGUMENT", "FIELDS")
    assert ["CORRECTION_KIND_REQUIRED", "CAUSE_REQUIRED"] == reasons
