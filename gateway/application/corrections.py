"""Corrections: what a person finds wrong with their own records, and what was answered."""

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.gateway.v1.health_code_service_pb2 import (
    ListHolderCorrectionRequestsRequest,
    ListHolderCorrectionRequestsResponse,
    RequestCorrectionRequest,
    RequestCorrectionResponse,
)
from hutong.lookup.v1 import holder_service_pb2

from gateway.application.admission import Admission
from gateway.ports import Holders
from services.common.errors import NotFound
from services.common.requests import fields
from services.common.requests.violations import Violations
from services.runtime.rpc.call import count_unknown


class Corrections:
    """Answers both transports. Every method raises ServiceError."""

    def __init__(self, admission: Admission, holders: Holders) -> None:
        self._admission = admission
        self._holders = holders

    async def request(self, request: RequestCorrectionRequest, purpose: Purpose.ValueType) -> RequestCorrectionResponse:
        """Puts a request into the laboratory's queue. When this fails with UNAVAILABLE it may have been done all the
        same: asked again, it is found."""
        violations = Violations()
        person = violations.read(b"", lambda: self._admission.person(request.document))
        violations.add(fields.region(request.region))
        violations.add(fields.source_id(request.source_id))
        violations.add(fields.request_id(request.request_id))
        texts = {"source_id": request.source_id, "text": request.text, "request_id": request.request_id}
        violations.add(fields.not_the_subjects(texts, Subject(document=request.document)))
        violations.refuse()
        try:
            kept = await self._holders.RequestCorrection(
                holder_service_pb2.RequestCorrectionRequest(
                    subject=Subject(person_key=person),
                    region=request.region,
                    source_id=request.source_id,
                    kind=request.kind,
                    text=request.text,
                    purpose=purpose,
                    request_id=request.request_id,
                )
            )
        except NotFound:
            count_unknown(1)
            raise
        return RequestCorrectionResponse(correction_request=kept.correction_request, created=kept.created)

    async def listed(
        self, request: ListHolderCorrectionRequestsRequest, purpose: Purpose.ValueType
    ) -> ListHolderCorrectionRequestsResponse:
        """Lists what the person asked to have corrected, from every region."""
        person = self._admission.person(request.document)
        listed = await self._holders.ListHolderCorrectionRequests(
            holder_service_pb2.ListHolderCorrectionRequestsRequest(subject=Subject(person_key=person), purpose=purpose)
        )
        return ListHolderCorrectionRequestsResponse(
            correction_requests=listed.correction_requests, coverage=listed.coverage
        )
