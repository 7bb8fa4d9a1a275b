"""Serves CorrectionService over a store."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import TypeVar

from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1 import correction_service_pb2 as pb

from services.common.documents import PersonKeys
from services.common.instants import Instant, to_timestamp
from services.common.requests import fields
from services.common.requests.paging import digest_of, page_size, read_token, write_token
from services.common.requests.violations import Violations, violation
from services.records.domain import correction_requests
from services.records.domain.correction_requests import (
    Answered,
    Asked,
    CorrectionRequestCount,
    NewCorrectionRequest,
    StoredCorrectionRequest,
    correction_request_not_found,
)
from services.records.domain.decisions import record_not_found
from services.records.domain.revisions import PersonRecord, RecordId
from services.records.identity import OwnIdentity
from services.records.servicers.writer import Writer, refuse, request_key
from services.records.store.protocols.correction_requests import CorrectionRequestLog
from services.records.store.unit_of_work import Known, Plan, RequestKey, Touch
from services.runtime.rpc.access import laboratory_denied
from services.runtime.rpc.call import current_call, note_person
from services.runtime.tls.identity import laboratory_ids

MOST_DOCUMENTS = 16

Request = TypeVar("Request", pb.RequestCorrectionRequest, pb.RequestResultRequest, pb.AnswerCorrectionRequestRequest)


class CorrectionServicer:
    """Serves hutong.records.v1.CorrectionService."""

    def __init__(self, log: CorrectionRequestLog, writer: Writer, identity: OwnIdentity, keys: PersonKeys) -> None:
        self._log = log
        self._writer = writer
        self._identity = identity
        self._keys = keys

    def _person(self, subjects: Sequence[Subject], violations: Violations) -> list[bytes]:
        if not 1 <= len(subjects) <= MOST_DOCUMENTS:
            violations.add(
                violation(
                    "subjects",
                    "SUBJECTS_RANGE",
                    "须指明本人的1至16份证件",
                    "1 to 16 documents of the person are required",
                )
            )
            return []
        return [
            violations.read(b"", partial(self._keys.of_subject, subject, f"subjects[{number}]"))
            for number, subject in enumerate(subjects)
        ]

    async def RequestCorrection(self, request: pb.RequestCorrectionRequest) -> pb.RequestCorrectionResponse:
        """Keeps a person's request. Raises as correction_requests.request does."""
        violations = Violations()
        person_keys = self._person(request.subjects, violations)
        violations.add(fields.source_id(request.source_id))
        violations.add(
            correction_requests.request_violations(request.kind, request.text)
            or fields.not_the_subjects({"text": request.text}, *request.subjects)
        )
        violations.add(
            fields.request_id(request.request_id)
            or fields.not_the_subjects({"request_id": request.request_id}, *request.subjects)
        )
        violations.refuse()
        refuse(self._writer.region_violations(request.region), request.region)
        await self._identity.require(request.store)
        asked = Asked(RecordId(request.region, request.source_id), person_keys, request.kind, request.text.strip())
        now = self._writer.clock()

        def decide(known: Known) -> Plan:
            made = correction_requests.request(asked, known.histories.get(asked.id, ()), known.requests, now)
            new = made if isinstance(made, NewCorrectionRequest) else None

            def answer(committed: Instant) -> bytes:
                kept = _new_message(made, committed) if isinstance(made, NewCorrectionRequest) else _message(made)
                return pb.RequestCorrectionResponse(
                    correction_request=kept, created=new is not None
                ).SerializeToString()

            return Plan(answer, requested=new)

        touch = Touch({asked.id: None}, request=_request_key(request), requester=person_keys)
        response = pb.RequestCorrectionResponse.FromString(await self._writer.commit(touch, decide))
        response.identity.CopyFrom(await self._identity.now())
        return response

    async def RequestResult(self, request: pb.RequestResultRequest) -> pb.RequestResultResponse:
        """Asks a laboratory for a late result. Raises as correction_requests.result_request does."""
        violations = Violations()
        violations.add(fields.source_id(request.source_id))
        violations.add(correction_requests.text_violations(request.text))
        violations.add(fields.request_id(request.request_id))
        violations.refuse()
        refuse(self._writer.region_violations(request.region), request.region)
        await self._identity.require(request.store)
        record = RecordId(request.region, request.source_id)
        person_key = await self._holder(record)
        note_person(person_key)

        def decide(known: Known) -> Plan:
            history = known.histories.get(record, ())
            if history and history[-1].person_key != person_key:
                # It has become another's meanwhile; who asks again is told about that one.
                raise record_not_found()
            made = correction_requests.result_request(record, request.text.strip(), history, known.requests)
            new = made if isinstance(made, NewCorrectionRequest) else None

            def answer(committed: Instant) -> bytes:
                asked = (
                    pb.ResultInquiry(asked_at=to_timestamp(committed))
                    if isinstance(made, NewCorrectionRequest)
                    else inquiry(made)
                )
                return pb.RequestResultResponse(inquiry=asked, created=new is not None).SerializeToString()

            return Plan(answer, requested=new)

        key = request_key(_without_store(request), request.request_id)
        touch = Touch({record: None}, request=key, requester=(person_key,))
        return pb.RequestResultResponse.FromString(await self._writer.commit(touch, decide))

    async def _holder(self, record: RecordId) -> bytes:
        person_key = b""

        def decide(known: Known) -> Plan:
            nonlocal person_key
            if history := known.histories.get(record):
                person_key = history[-1].person_key
            return Plan(lambda _: b"")

        await self._writer.commit(Touch({record: None}), decide)
        if not person_key:
            raise record_not_found()
        return person_key

    async def ListCorrectionRequests(
        self, request: pb.ListCorrectionRequestsRequest
    ) -> pb.ListCorrectionRequestsResponse:
        """Returns the requests about a region's records, a page at a time; a laboratory's own to a laboratory."""
        refuse(
            self._writer.region_violations(request.region)
            + (fields.laboratory_id(request.laboratory) if request.laboratory else []),
            request.region,
        )
        size = page_size(request.page_size)
        question = digest_of(request)
        after = read_token(request.page_token, question, int) if request.page_token else 0
        own = laboratory_ids(current_call().caller)
        laboratories: Collection[str] = own
        if request.laboratory:
            if own and request.laboratory not in own:
                raise laboratory_denied("laboratory")
            laboratories = (request.laboratory,)
        stored = await self._log.correction_requests(
            request.region, laboratories, after, size + 1, request.answered_too
        )
        page = stored[:size]
        return pb.ListCorrectionRequestsResponse(
            correction_requests=await self._messages(page),
            next_page_token=write_token(question, page[-1].number) if len(stored) > size else "",
        )

    async def AnswerCorrectionRequest(
        self, request: pb.AnswerCorrectionRequestRequest
    ) -> pb.AnswerCorrectionRequestResponse:
        """Answers a request. Raises as correction_requests.answer does, and PERMISSION_DENIED (LABORATORY_DENIED) where
        a laboratory names one about another's record."""
        caller = current_call().caller
        answered = Answered(
            request.correction_request_id,
            request.answer,
            request.corrected_by,
            request.forwarded_to,
            request.text.strip(),
            caller,
        )
        refuse(
            self._writer.region_violations(request.region)
            + correction_requests.answer_violations(answered)
            + fields.request_id(request.request_id),
            request.region,
        )
        await self._identity.require(request.store)
        stored = await self._one(request)
        own = laboratory_ids(caller)
        if own and stored.laboratory not in own:
            raise laboratory_denied("correction_request_id")
        note_person(stored.person_key)
        record = PersonRecord(stored.person_key, stored.id)

        def decide(known: Known) -> Plan:
            history = known.histories.get(record.id, ())
            if history and history[-1].person_key != record.person_key:
                # The id is another's by now; what the one who asked had under it ends with a retraction.
                history = known.others.get(record, ())
            told = correction_requests.answer(known.correction_request, answered, history)
            return Plan(lambda _: b"", answered=told)

        touch = Touch(
            {record.id: None},
            request=request_key(_without_store(request), request.request_id),
            others=[record],
            correction_request=request.correction_request_id,
        )
        await self._writer.commit(touch, decide)
        [message] = await self._messages([await self._one(request)])
        return pb.AnswerCorrectionRequestResponse(correction_request=message)

    async def ListHolderCorrectionRequests(
        self, request: pb.ListHolderCorrectionRequestsRequest
    ) -> pb.ListHolderCorrectionRequestsResponse:
        """Returns a person's own requests, newest first."""
        violations = Violations()
        person_keys = self._person(request.subjects, violations)
        violations.refuse()
        stored = await self._log.correction_requests_of(person_keys)
        return pb.ListHolderCorrectionRequestsResponse(
            correction_requests=await self._messages(stored), identity=await self._identity.now()
        )

    async def GetCorrectionRequestCounts(
        self, request: pb.GetCorrectionRequestCountsRequest
    ) -> pb.GetCorrectionRequestCountsResponse:
        """Returns how many requests there are, by laboratory and kind."""
        refuse(self._writer.region_violations(request.region), request.region)
        counts = await self._log.correction_request_counts(request.region)
        return pb.GetCorrectionRequestCountsResponse(counts=map(_count, counts))

    async def _one(self, request: pb.AnswerCorrectionRequestRequest) -> StoredCorrectionRequest:
        stored = await self._log.correction_request(request.correction_request_id)
        if stored is None or stored.region != request.region:
            raise correction_request_not_found()
        return stored

    async def _messages(self, stored: Sequence[StoredCorrectionRequest]) -> list[pb.CorrectionRequest]:
        messages = []
        for one in stored:
            newest = 0 if one.closed else await self._log.newest_revision(PersonRecord(one.person_key, one.id))
            messages.append(_message(one, newest if newest > one.revision else 0))
        return messages


def _without_store(request: Request) -> Request:
    # Which store is meant is no part of what is asked: a retry may say it otherwise.
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("store")
    return asked


def _request_key(request: pb.RequestCorrectionRequest) -> RequestKey | None:
    # Nor is which documents of the person are linked by now.
    asked = _without_store(request)
    del asked.subjects[1:]
    return request_key(asked, request.request_id)


def inquiry(stored: StoredCorrectionRequest) -> pb.ResultInquiry:
    """Returns what supervisors learn of a request for a late result: not what a person wrote."""
    return pb.ResultInquiry(
        asked_at=to_timestamp(stored.requested_at),
        answer=stored.answer,  # type: ignore[arg-type]  # the number is the contract's
        forwarded_to=stored.forwarded_to,
        answer_text=stored.answer_text,
        answered_at=None if stored.answered_at is None else to_timestamp(stored.answered_at),
    )


def _message(stored: StoredCorrectionRequest, later_revision: int = 0) -> pb.CorrectionRequest:
    return pb.CorrectionRequest(
        correction_request_id=stored.correction_request_id,
        region=stored.region,
        source_id=stored.source_id,
        revision=stored.revision,
        laboratory=stored.laboratory,
        kind=stored.kind,  # type: ignore[arg-type]  # the number is the contract's
        text=stored.text,
        requested_at=to_timestamp(stored.requested_at),
        later_revision=later_revision,
        answer=stored.answer,  # type: ignore[arg-type]  # the number is the contract's
        corrected_by=stored.corrected_by,
        forwarded_to=stored.forwarded_to,
        answer_text=stored.answer_text,
        answered_at=None if stored.answered_at is None else to_timestamp(stored.answered_at),
    )


def _new_message(new: NewCorrectionRequest, committed: Instant) -> pb.CorrectionRequest:
    return pb.CorrectionRequest(
        correction_request_id=new.correction_request_id,
        region=new.id.region,
        source_id=new.id.source_id,
        revision=new.revision,
        laboratory=new.laboratory,
        kind=new.kind,  # type: ignore[arg-type]  # the number is the contract's
        text=new.text,
        requested_at=to_timestamp(committed),
    )


def _count(count: CorrectionRequestCount) -> pb.CorrectionRequestCount:
    return pb.CorrectionRequestCount(
        laboratory=count.laboratory,
        kind=count.kind,  # type: ignore[arg-type]  # the number is the contract's
        waiting=count.waiting,
        corrected=count.corrected,
        standing=count.standing,
        forwarded=count.forwarded,
        waiting_since=None if count.waiting_since is None else to_timestamp(count.waiting_since),
    )
