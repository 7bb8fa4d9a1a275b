"""A laboratory changes its own records alone, whichever way it writes, on every backend; its region's system any."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.conflict_service_pb2 import ListConflictsRequest
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.record_pb2 import TestResult

from services.common.errors import Code, ServiceError
from services.runtime.tls.identity import principal
from tests.testkit.builders.records import KEEP, fresh_id, person, result, submission
from tests.testkit.calls import local
from tests.testkit.servers.records_service import Records

ONE, TWO = "430000-one", "430000-two"
AMENDMENT = wpb.CorrectionKind.CORRECTION_KIND_AMENDMENT
RETRACTION = wpb.CorrectionKind.CORRECTION_KIND_RETRACTION
Write = Callable[[Any, str], Awaitable[str]]


def called_by(records: Records, name: str) -> Any:
    """Returns the service's methods as a principal calls them."""
    return local(records.service.name, principal(name), records.service.bindings)


def statement(source_id: str, kind: wpb.CorrectionKind.ValueType | None = None) -> wpb.RecordSubmission:
    """Returns what the second laboratory says of a sample, graver than what the first has said."""
    made = submission(
        source_id, person(1), result(reported=-0.5, outcome=TestResult.TEST_RESULT_POSITIVE, laboratory=TWO)
    )
    if kind is not None:
        made.correction.kind, made.correction.cause = kind, "更正"
    return made


async def amend(calls: Any, source_id: str) -> str:
    """By AmendRecord."""
    content = statement(source_id).content
    asked = wpb.AmendRecordRequest(
        region="430000", source_id=source_id, revision=1, content=content, cause="更正", purpose=KEEP
    )
    return await reason(calls.AmendRecord(asked))


async def retract(calls: Any, source_id: str) -> str:
    """By RetractRecord."""
    asked = wpb.RetractRecordRequest(region="430000", source_id=source_id, revision=1, cause="误报", purpose=KEEP)
    return await reason(calls.RetractRecord(asked))


def submitted(kind: wpb.CorrectionKind.ValueType | None) -> Write:
    """Returns a function that writes by SubmitRecord."""

    async def write(calls: Any, source_id: str) -> str:
        return await reason(
            calls.SubmitRecord(wpb.SubmitRecordRequest(submission=statement(source_id, kind), purpose=KEEP))
        )

    return write


def in_a_batch(kind: wpb.CorrectionKind.ValueType | None) -> Write:
    """Returns a function that writes by BatchSubmitRecords, beside a row of its own."""

    async def write(calls: Any, source_id: str) -> str:
        rows = [statement(source_id, kind), statement(fresh_id())]
        answer = await calls.BatchSubmitRecords(wpb.BatchSubmitRecordsRequest(submissions=rows, purpose=KEEP))
        assert answer.rows[1].outcome == wpb.SubmitOutcome.SUBMIT_OUTCOME_CREATED
        return ",".join(violation.reason for violation in answer.rows[0].violations)

    return write


def in_a_stream(kind: wpb.CorrectionKind.ValueType | None) -> Write:
    """Returns a function that writes by StreamRecords, beside a row of its own."""

    async def write(calls: Any, source_id: str) -> str:
        async def requests() -> Any:
            yield StreamRecordsRequest(session_id=str(uuid4()), purpose=KEEP)
            rows = [statement(source_id, kind), statement(fresh_id())]
            yield StreamRecordsRequest(batch=1, submissions=rows, purpose=KEEP)

        _, answer = [one async for one in calls.StreamRecords(requests())]
        assert answer.created == 1
        return ",".join(violation.reason for row in answer.rows for violation in row.violations)

    return write


async def reason(answer: Awaitable[Any]) -> str:
    """Returns the reason a write is denied with, empty when it is not."""
    try:
        await answer
    except ServiceError as error:
        return error.reason if error.code is Code.PERMISSION_DENIED else f"{error.code.name} {error.reason}"
    return ""


WAYS: dict[str, Write] = {"amend": amend, "retract": retract}
for named, made in (("submit", submitted), ("batch", in_a_batch), ("stream", in_a_stream)):
    WAYS |= {named: made(None), f"{named} an amendment": made(AMENDMENT), f"{named} a retraction": made(RETRACTION)}


@pytest.mark.parametrize("way", WAYS)
async def test_a_laboratory_changes_its_own_records_alone(records: Records, way: str) -> None:
    """Another's record stays as it was, and nothing waits to be settled; its own, and what nobody has, are changed."""
    other, own = fresh_id(), fresh_id()
    await records.submit(other, person(1), result(laboratory=ONE))
    await records.submit(own, person(1), result(laboratory=TWO))
    two = called_by(records, "region/430000/laboratory/two")
    assert "LABORATORY_DENIED" == await WAYS[way](two, other)
    assert 1 == len(await records.history(other))
    conflicts = await records.calls.ListConflicts(ListConflictsRequest(purpose=KEEP, page_size=100))
    assert other not in {conflict.source_id for conflict in conflicts.conflicts}
    assert "LABORATORY_DENIED" not in await WAYS[way](two, own)
    assert 2 == len(await records.history(own))


@pytest.mark.parametrize("way", ["amend", "submit a retraction", "stream an amendment"])
async def test_a_regions_system_changes_any_laboratorys(records: Records, way: str) -> None:
    """It speaks for all of them."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result(laboratory=ONE))
    assert "LABORATORY_DENIED" not in await WAYS[way](called_by(records, "region/430000/system"), source_id)
    assert 2 == len(await records.history(source_id))
