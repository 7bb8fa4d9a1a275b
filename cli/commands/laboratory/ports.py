"""The protocol by which the command about corrections reaches a store."""

from typing import Protocol

from hutong.records.v1.correction_service_pb2 import (
    AnswerCorrectionRequestRequest,
    AnswerCorrectionRequestResponse,
    ListCorrectionRequestsRequest,
    ListCorrectionRequestsResponse,
)


class CorrectionQueue(Protocol):
    """A store with what people find wrong with their own records."""

    async def ListCorrectionRequests(self, request: ListCorrectionRequestsRequest, /) -> ListCorrectionRequestsResponse:
        """See hutong.records.v1.CorrectionService."""

    async def AnswerCorrectionRequest(
        self, request: AnswerCorrectionRequestRequest, /
    ) -> AnswerCorrectionRequestResponse:
        """See hutong.records.v1.CorrectionService."""
