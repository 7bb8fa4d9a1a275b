"""The protocols by which the commands about records reach a store."""

from typing import Protocol

from hutong.records.v1.conflict_service_pb2 import (
    ListConflictsRequest,
    ListConflictsResponse,
    SettleConflictRequest,
    SettleConflictResponse,
)
from hutong.records.v1.following_service_pb2 import (
    AcceptFeedRequest,
    AcceptFeedResponse,
    ListFollowedRegionsRequest,
    ListFollowedRegionsResponse,
)
from hutong.records.v1.record_read_service_pb2 import GetRecordHistoryRequest, GetRecordHistoryResponse


class ConflictedStore(Protocol):
    """A store with what contradicted it and was not taken."""

    async def ListConflicts(self, request: ListConflictsRequest, /) -> ListConflictsResponse:
        """See hutong.records.v1.ConflictService."""

    async def SettleConflict(self, request: SettleConflictRequest, /) -> SettleConflictResponse:
        """See hutong.records.v1.ConflictService."""

    async def GetRecordHistory(self, request: GetRecordHistoryRequest, /) -> GetRecordHistoryResponse:
        """See hutong.records.v1.RecordReadService."""


class FollowingStore(Protocol):
    """A store that follows others."""

    async def ListFollowedRegions(self, request: ListFollowedRegionsRequest, /) -> ListFollowedRegionsResponse:
        """See hutong.records.v1.FollowingService."""

    async def AcceptFeed(self, request: AcceptFeedRequest, /) -> AcceptFeedResponse:
        """See hutong.records.v1.FollowingService."""
