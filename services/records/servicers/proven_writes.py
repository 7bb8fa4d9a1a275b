"""Serves RecordWriteService to callers that say which store they mean: another one keeps nothing of it, and every
answer says who gave it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from hutong.records.v1 import record_write_service_pb2 as pb

from services.records.identity import OwnIdentity
from services.records.servicers.write import WriteServicer

_Request = TypeVar(
    "_Request",
    pb.SubmitRecordRequest,
    pb.BatchSubmitRecordsRequest,
    pb.AmendRecordRequest,
    pb.RetractRecordRequest,
    pb.PutLaboratoryRequest,
    pb.SuspendLaboratoryRequest,
    pb.LiftSuspensionRequest,
)
_Response = TypeVar(
    "_Response",
    pb.SubmitRecordResponse,
    pb.BatchSubmitRecordsResponse,
    pb.AmendRecordResponse,
    pb.RetractRecordResponse,
    pb.PutLaboratoryResponse,
    pb.SuspendLaboratoryResponse,
    pb.LiftSuspensionResponse,
)


class ProvenWrites:
    """Serves hutong.records.v1.RecordWriteService. Each method raises what that of `writes` does, and Unavailable
    (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) where another store is meant."""

    def __init__(self, writes: WriteServicer, identity: OwnIdentity) -> None:
        self._writes = writes
        self._identity = identity

    async def SubmitRecord(self, request: pb.SubmitRecordRequest) -> pb.SubmitRecordResponse:
        """See the contract."""
        return await self._proven(request, self._writes.SubmitRecord)

    async def BatchSubmitRecords(self, request: pb.BatchSubmitRecordsRequest) -> pb.BatchSubmitRecordsResponse:
        """See the contract."""
        return await self._proven(request, self._writes.BatchSubmitRecords)

    async def AmendRecord(self, request: pb.AmendRecordRequest) -> pb.AmendRecordResponse:
        """See the contract."""
        return await self._proven(request, self._writes.AmendRecord)

    async def RetractRecord(self, request: pb.RetractRecordRequest) -> pb.RetractRecordResponse:
        """See the contract."""
        return await self._proven(request, self._writes.RetractRecord)

    async def PutLaboratory(self, request: pb.PutLaboratoryRequest) -> pb.PutLaboratoryResponse:
        """See the contract."""
        return await self._proven(request, self._writes.PutLaboratory)

    async def SuspendLaboratory(self, request: pb.SuspendLaboratoryRequest) -> pb.SuspendLaboratoryResponse:
        """See the contract."""
        return await self._proven(request, self._writes.SuspendLaboratory)

    async def LiftSuspension(self, request: pb.LiftSuspensionRequest) -> pb.LiftSuspensionResponse:
        """See the contract."""
        return await self._proven(request, self._writes.LiftSuspension)

    async def _proven(self, request: _Request, write: Callable[[_Request], Awaitable[_Response]]) -> _Response:
        if request.HasField("store"):
            await self._identity.require(request.store)
            # Which store is meant is no part of what is asked: a retry may say it otherwise.
            asked = type(request)()
            asked.CopyFrom(request)
            asked.ClearField("store")
            request = asked
        response = await write(request)
        response.identity.CopyFrom(await self._identity.now())
        return response
