"""The protocols by which lookup reaches records services, of this process or over a wire."""

from typing import Protocol

from hutong.records.v1.correction_service_pb2 import (
    ListHolderCorrectionRequestsRequest,
    ListHolderCorrectionRequestsResponse,
    RequestCorrectionRequest,
    RequestCorrectionResponse,
)
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsAtInstantsRequest,
    BatchListRecordsAtInstantsResponse,
    BatchListRecordsRequest,
    BatchListRecordsResponse,
)
from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    AmendRecordResponse,
    SubmitRecordRequest,
    SubmitRecordResponse,
)


class RecordsSource(Protocol):
    """A store of test records that can be asked: a region's, or the nation's."""

    async def BatchListRecords(self, request: BatchListRecordsRequest, /) -> BatchListRecordsResponse:
        """See hutong.records.v1.RecordReadService. Raises ServiceError."""

    async def BatchListRecordsAtInstants(
        self, request: BatchListRecordsAtInstantsRequest, /
    ) -> BatchListRecordsAtInstantsResponse:
        """See hutong.records.v1.RecordReadService. Raises ServiceError."""


class RecordsIntake(Protocol):
    """A region's store of test records that takes new ones."""

    async def SubmitRecord(self, request: SubmitRecordRequest, /) -> SubmitRecordResponse:
        """See hutong.records.v1.RecordWriteService. Raises ServiceError."""

    async def AmendRecord(self, request: AmendRecordRequest, /) -> AmendRecordResponse:
        """See hutong.records.v1.RecordWriteService. Raises ServiceError."""


class CorrectionStore(Protocol):
    """A store of test records that takes what people find wrong with their own."""

    async def RequestCorrection(self, request: RequestCorrectionRequest, /) -> RequestCorrectionResponse:
        """See hutong.records.v1.CorrectionService. Raises ServiceError."""

    async def ListHolderCorrectionRequests(
        self, request: ListHolderCorrectionRequestsRequest, /
    ) -> ListHolderCorrectionRequestsResponse:
        """See hutong.records.v1.CorrectionService. Raises ServiceError."""
