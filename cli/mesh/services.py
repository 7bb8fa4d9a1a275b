"""The services of a running mesh, as they are asked over gRPC."""

from typing import Protocol

from hutong.lookup.v1.holder_service_pb2 import ClaimResultRequest, ClaimResultResponse
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest, BatchListRecordsResponse
from hutong.records.v1.record_write_service_pb2 import (
    LiftSuspensionRequest,
    LiftSuspensionResponse,
    RetractRecordRequest,
    RetractRecordResponse,
    SubmitRecordRequest,
    SubmitRecordResponse,
)

from cli.importing.sending import RecordIntake
from cli.samples.loading import HoldersDoor, RecordsDoor


class RecordsService(RecordIntake, RecordsDoor, Protocol):
    """Both sides of a store of records."""

    async def SubmitRecord(self, request: SubmitRecordRequest, /) -> SubmitRecordResponse:
        """See hutong.records.v1.RecordWriteService."""

    async def RetractRecord(self, request: RetractRecordRequest, /) -> RetractRecordResponse:
        """See hutong.records.v1.RecordWriteService."""

    async def LiftSuspension(self, request: LiftSuspensionRequest, /) -> LiftSuspensionResponse:
        """See hutong.records.v1.RecordWriteService."""

    async def BatchListRecords(self, request: BatchListRecordsRequest, /) -> BatchListRecordsResponse:
        """See hutong.records.v1.RecordReadService."""


class HolderService(HoldersDoor, Protocol):
    """The holders' part of lookup, as it is called here."""

    async def ClaimResult(self, request: ClaimResultRequest, /) -> ClaimResultResponse:
        """See hutong.lookup.v1.HolderService."""
