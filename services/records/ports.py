"""What this service asks of others: a region's change feed, in the contract's messages."""

from collections.abc import AsyncIterator
from typing import Protocol

from hutong.records.v1.change_feed_service_pb2 import WatchChangesRequest, WatchChangesResponse


class ChangeFeed(Protocol):
    """The feed of a region that this store follows."""

    def WatchChanges(self, request: WatchChangesRequest) -> AsyncIterator[WatchChangesResponse]:
        """Changes after a cursor as they come, and an empty batch at least every second.

        Raises ServiceError: Unavailable when the region cannot be asked, FailedPrecondition (FEED_REBUILT) when the
        cursor is of another history.
        """
