"""The protocols by which this service reaches others: a region's change feed, its records, its copies."""

from collections.abc import AsyncIterator
from typing import Protocol

from hutong.records.v1.change_feed_service_pb2 import (
    ListChangesRequest,
    ListChangesResponse,
    WatchChangesRequest,
    WatchChangesResponse,
)
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest, BatchListRecordsResponse
from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    AmendRecordResponse,
    RetractRecordRequest,
    RetractRecordResponse,
)
from hutong.records.v1.restoration_service_pb2 import GiveBackRequest, GiveBackResponse


class Copies(Protocol):
    """A store that keeps copies, and alone writes them."""

    async def AmendRecord(self, request: AmendRecordRequest, /) -> AmendRecordResponse:
        """See hutong.records.v1.RecordWriteService. Raises ServiceError."""

    async def RetractRecord(self, request: RetractRecordRequest, /) -> RetractRecordResponse:
        """See hutong.records.v1.RecordWriteService. Raises ServiceError."""


class Region(Copies, Protocol):
    """A region that this store follows."""

    async def ListChanges(self, request: ListChangesRequest, /) -> ListChangesResponse:
        """See hutong.records.v1.ChangeFeedService. Raises ServiceError."""

    def WatchChanges(self, request: WatchChangesRequest, /) -> AsyncIterator[WatchChangesResponse]:
        """Yields changes after a cursor as they come, and an empty batch at least every second.

        Raises ServiceError: Unavailable when the region cannot be asked, FailedPrecondition (FEED_REBUILT) when the
        cursor is of another history.
        """

    async def BatchListRecords(self, request: BatchListRecordsRequest, /) -> BatchListRecordsResponse:
        """See hutong.records.v1.RecordReadService. Raises ServiceError."""

    async def GiveBack(self, request: GiveBackRequest, /) -> GiveBackResponse:
        """See hutong.records.v1.RestorationService. Raises ServiceError."""
