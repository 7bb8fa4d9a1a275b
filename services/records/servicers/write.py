"""Serves the methods of RecordWriteService that submit, amend and retract records."""

from collections.abc import Sequence

from hutong.records.v1 import record_write_service_pb2 as pb
from hutong.records.v1.record_pb2 import TestRecord
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome

from services.common.documents import PersonKeys
from services.common.errors import Code, InvalidArgument, ServiceError, Violation
from services.common.instants import Instant
from services.common.requests import fields
from services.common.requests.batches import check_batch
from services.records.domain.conflicts import NewConflict, of_submission
from services.records.domain.content import digest, stamp
from services.records.domain.corrections import correction_violations, is_retraction
from services.records.domain.corrections import decide as decide_any
from services.records.domain.decisions import (
    Decision,
    Submission,
    decide_amendment,
    decide_retraction,
)
from services.records.domain.revisions import History, NewRevision, RecordId, StoredRevision
from services.records.domain.validation import content_violations, own_number_violations
from services.records.metrics import SUBMITTED
from services.records.servicers.laboratory import LaboratoryMethods
from services.records.servicers.writer import Writer, is_others, refuse, request_key
from services.records.store.unit_of_work import Known, Plan, Touch
from services.runtime.rpc.access import laboratory_denied
from services.runtime.rpc.call import Call, current_call
from services.runtime.rpc.errors import to_violations

_OUTCOMES = {number: name.removeprefix("SUBMIT_OUTCOME_") for name, number in SubmitOutcome.items()}


def _record(revision: NewRevision | StoredRevision, committed: Instant, call: Call) -> TestRecord:
    if isinstance(revision, NewRevision):
        return TestRecord.FromString(revision.body + stamp(committed, call.proven_name))
    return revision.message()


class WriteServicer(LaboratoryMethods):
    """Serves hutong.records.v1.RecordWriteService. `skew` is in microseconds, see validation.DEFAULT_SKEW."""

    def __init__(self, writer: Writer, keys: PersonKeys, skew: int) -> None:
        super().__init__(writer)
        self._keys = keys
        self._skew = skew

    def _submission(self, asked: pb.RecordSubmission, now: Instant) -> Submission | list[Violation]:
        found = self._writer.region_violations(asked.region) + fields.source_id(asked.source_id)
        try:
            person_key = self._keys.of_subject(asked.subject, "subject")
        except InvalidArgument as error:
            found += error.violations
        correction = asked.correction if asked.HasField("correction") else None
        if not is_retraction(correction):
            found += content_violations(asked.content, asked.region, now, self._skew)
        if correction is not None:
            found += correction_violations(correction)
        found = found or own_number_violations(asked)
        if found:
            return found
        record_id, content = RecordId(asked.region, asked.source_id), asked.content
        return Submission(record_id, person_key, content, digest(content), correction)

    async def SubmitRecord(self, request: pb.SubmitRecordRequest) -> pb.SubmitRecordResponse:
        """Stores one record. Raises ALREADY_EXISTS (RECORD_CONFLICT), its violation saying what is in conflict, and
        PERMISSION_DENIED (LABORATORY_DENIED) where a laboratory names another's record."""
        made = self._submission(request.submission, self._writer.clock())
        found = fields.request_id(request.request_id) or fields.not_the_subjects(
            {"request_id": request.request_id}, request.submission.subject
        )
        if not isinstance(made, Submission):
            found += [Violation(f"submission.{v.field}", v.reason, v.text) for v in made]
        refuse(found, request.submission.region, "submission.region")
        assert isinstance(made, Submission)
        submission = made
        call = current_call()

        def decide(known: Known) -> Plan:
            history = known.histories.get(submission.id, ())
            if is_others(history, call.caller):
                raise laboratory_denied("submission.source_id")
            decision = decide_any(history, submission)
            if decision.violations:
                raise ServiceError(
                    Code.ALREADY_EXISTS,
                    "RECORD_CONFLICT",
                    decision.violations[0].text,
                    [Violation(f"submission.{v.field}", v.reason, v.text) for v in decision.violations],
                    {"current_revision": str(history[-1].revision)},
                )
            current = decision.appended or (history[-1] if history else None)
            return Plan(
                lambda committed: pb.SubmitRecordResponse(
                    outcome=decision.outcome, record=None if current is None else _record(current, committed, call)
                ).SerializeToString(),
                [decision.appended] if decision.appended else [],
            )

        def keep(known: Known) -> Plan:
            decision = decide_any(known.histories.get(submission.id, ()), submission)
            if decision.outcome != SubmitOutcome.SUBMIT_OUTCOME_CONFLICT:
                return Plan(lambda _: b"")
            appended = [decision.appended] if decision.appended else []
            return Plan(lambda _: b"", appended, conflicts=[of_submission(submission, decision, call.caller)])

        claim = None if is_retraction(submission.correction) else submission.person_key
        touch = Touch({submission.id: claim}, request=request_key(request, request.request_id, self._keys))
        try:
            response = pb.SubmitRecordResponse.FromString(await self._writer.commit(touch, decide))
        except ServiceError as error:
            if error.reason == "RECORD_CONFLICT":
                # The conflict is kept, and the graver of the two stands; the request_id is not taken.
                await self._writer.commit(Touch({submission.id: None}), keep)
                self._count(SubmitOutcome.SUBMIT_OUTCOME_CONFLICT, 1)
            raise
        self._count(response.outcome, 1)
        return response

    async def BatchSubmitRecords(self, request: pb.BatchSubmitRecordsRequest) -> pb.BatchSubmitRecordsResponse:
        """Stores many records in one transaction; a row's violations name its fields as within the submission."""
        check_batch(len(request.submissions), "submissions")
        people = [one.subject for one in request.submissions]
        refuse(
            fields.request_id(request.request_id)
            or (fields.not_the_subjects({"request_id": request.request_id}, *people) if request.request_id else [])[:1]
        )
        now = self._writer.clock()
        caller = current_call().caller
        made = [self._submission(asked, now) for asked in request.submissions]
        claims: dict[RecordId, bytes | None] = {}
        for submission in made:
            if isinstance(submission, Submission) and not is_retraction(submission.correction):
                claims.setdefault(submission.id, submission.person_key)
        for submission in made:
            if isinstance(submission, Submission):
                # What is only withdrawn begins no record.
                claims.setdefault(submission.id, None)

        def decide(known: Known) -> Plan:
            histories: dict[RecordId, History] = {}
            appended: list[NewRevision] = []
            rows: list[pb.RowOutcome] = []
            kept: list[NewConflict] = []
            for submission in made:
                if not isinstance(submission, Submission):
                    rows.append(_refused(submission))
                    continue
                history = histories.get(submission.id) or known.histories.get(submission.id, ())
                if is_others(history, caller):
                    rows.append(_refused(laboratory_denied("source_id").violations))
                    continue
                decision = decide_any(history, submission)
                if decision.appended is not None:
                    appended.append(decision.appended)
                    histories[submission.id] = [*history, decision.appended.as_stored()]
                if decision.outcome == SubmitOutcome.SUBMIT_OUTCOME_CONFLICT:
                    kept.append(of_submission(submission, decision, caller))
                rows.append(_row(decision))
            answer = pb.BatchSubmitRecordsResponse(rows=rows).SerializeToString()
            return Plan(lambda _: answer, appended, conflicts=kept)

        touch = Touch(claims, request=request_key(request, request.request_id, self._keys))
        response = pb.BatchSubmitRecordsResponse.FromString(await self._writer.commit(touch, decide))
        outcomes = [row.outcome for row in response.rows]
        for outcome in set(outcomes):
            self._count(outcome, outcomes.count(outcome))
        return response

    async def AmendRecord(self, request: pb.AmendRecordRequest) -> pb.AmendRecordResponse:
        """Replaces a record's content. Raises NotFound (RECORD_NOT_FOUND) and FailedPrecondition (REVISION_MISMATCH,
        RECORD_RETRACTED); PERMISSION_DENIED (LABORATORY_DENIED) where a laboratory names another's record."""
        refuse(
            self._change_violations(request)
            + content_violations(request.content, request.region, self._writer.clock(), self._skew),
            request.region,
        )
        record_id = RecordId(request.region, request.source_id)
        call = current_call()

        def decide(known: Known) -> Plan:
            history = known.histories.get(record_id, ())
            if is_others(history, call.caller):
                raise laboratory_denied("source_id")
            made = decide_amendment(history, record_id, request.revision, request.content, request.cause)
            return Plan(
                lambda committed: pb.AmendRecordResponse(record=_record(made, committed, call)).SerializeToString(),
                [made] if isinstance(made, NewRevision) else [],
            )

        touch = Touch({record_id: None}, request=request_key(request, request.request_id))
        return pb.AmendRecordResponse.FromString(await self._writer.commit(touch, decide))

    async def RetractRecord(self, request: pb.RetractRecordRequest) -> pb.RetractRecordResponse:
        """Withdraws a record. Raises as AmendRecord does."""
        refuse(self._change_violations(request), request.region)
        record_id = RecordId(request.region, request.source_id)
        call = current_call()

        def decide(known: Known) -> Plan:
            history = known.histories.get(record_id, ())
            if is_others(history, call.caller):
                raise laboratory_denied("source_id")
            made = decide_retraction(history, record_id, request.revision, request.cause)
            return Plan(
                lambda committed: pb.RetractRecordResponse(record=_record(made, committed, call)).SerializeToString(),
                [made] if isinstance(made, NewRevision) else [],
            )

        touch = Touch({record_id: None}, request=request_key(request, request.request_id))
        return pb.RetractRecordResponse.FromString(await self._writer.commit(touch, decide))

    def _change_violations(self, request: pb.AmendRecordRequest | pb.RetractRecordRequest) -> list[Violation]:
        return (
            self._writer.region_violations(request.region)
            + fields.source_id(request.source_id)
            + fields.revision(request.revision)
            + fields.cause(request.cause)
            + fields.request_id(request.request_id)
        )

    def _count(self, outcome: SubmitOutcome.ValueType, count: int) -> None:
        SUBMITTED.labels(self._writer.name, _OUTCOMES[outcome]).inc(count)


def _refused(violations: Sequence[Violation]) -> pb.RowOutcome:
    return pb.RowOutcome(outcome=SubmitOutcome.SUBMIT_OUTCOME_REFUSED, violations=to_violations(tuple(violations)))


def _row(decision: Decision) -> pb.RowOutcome:
    if decision.violations:
        return pb.RowOutcome(
            outcome=decision.outcome,
            revision=decision.revision,
            violations=to_violations(decision.violations),
        )
    return pb.RowOutcome(outcome=decision.outcome, revision=decision.revision)
