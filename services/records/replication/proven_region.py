"""A followed region whose every answer is checked: nothing is taken from a store that is another than was meant."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from hutong.records.v1.change_feed_service_pb2 import WatchChangesRequest, WatchChangesResponse
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest, BatchListRecordsResponse
from hutong.records.v1.restoration_service_pb2 import GiveBackRequest, GiveBackResponse

from services.common.identities import ExpectedStore
from services.records.ports import Region


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
