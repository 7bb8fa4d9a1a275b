"""A followed region whose every answer is checked: nothing is taken from a store that is another than was meant."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import cast

from hutong.records.v1.change_feed_service_pb2 import WatchChangesRequest, WatchChangesResponse
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest, BatchListRecordsResponse
from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    AmendRecordResponse,
    RetractRecordRequest,
    RetractRecordResponse,
)
from hutong.records.v1.restoration_service_pb2 import GiveBackRequest, GiveBackResponse

from services.common.identities import ExpectedStore
from services.records.ports import Copies, Region


class ProvenRegion:
    """One region as reached by `source`; each method raises Unavailable as ExpectedStore.check does."""

    def __init__(self, source: Region, expected: ExpectedStore) -> None:
        self._source = source
        self._expected = expected

    @property
    def code(self) -> str:
        """The region's code."""
        return self._expected.region

    @property
    def feed_id(self) -> str:
        """The feed that every answer comes from."""
        return self._expected.feed_id

    async def watch(self, request: WatchChangesRequest) -> AsyncIterator[WatchChangesResponse]:
        """Yields changes after a cursor as they come. Raises ServiceError."""
        stream = cast(AsyncGenerator[WatchChangesResponse, None], self._source.WatchChanges(request))
        async with aclosing(stream):
            async for batch in stream:
                self._expected.check(batch.identity)
                yield batch

    async def records(self, request: BatchListRecordsRequest) -> BatchListRecordsResponse:
        """Returns people's records. Raises ServiceError."""
        response = await self._source.BatchListRecords(request)
        self._expected.check(response.identity)
        return response

    async def give_back(self, request: GiveBackRequest) -> GiveBackResponse:
        """Gives back what the region lost. Raises ServiceError."""
        response = await self._source.GiveBack(request)
        self._expected.check(response.identity)
        return response


class ProvenCopies:
    """A region's copies, written only where the region is the one that is meant: it is told whom the writer means, and
    keeps nothing when it is another. Each method raises Unavailable as ExpectedStore.check does."""

    def __init__(self, copies: Copies, expected: Callable[[], ExpectedStore]) -> None:
        """`expected` tells who the region must be now."""
        self._copies = copies
        self._expected = expected

    async def AmendRecord(self, request: AmendRecordRequest) -> AmendRecordResponse:
        """See hutong.records.v1.RecordWriteService."""
        expected = self._expected()
        asked = AmendRecordRequest(store=expected.message())
        asked.MergeFrom(request)
        response = await self._copies.AmendRecord(asked)
        expected.check(response.identity)
        return response

    async def RetractRecord(self, request: RetractRecordRequest) -> RetractRecordResponse:
        """See hutong.records.v1.RecordWriteService."""
        expected = self._expected()
        asked = RetractRecordRequest(store=expected.message())
        asked.MergeFrom(request)
        response = await self._copies.RetractRecord(asked)
        expected.check(response.identity)
        return response
