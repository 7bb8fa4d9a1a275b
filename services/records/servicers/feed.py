"""Serves ChangeFeedService over a feed."""

from collections.abc import AsyncIterator

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1 import change_feed_service_pb2 as pb

from services.common.instants import to_timestamp
from services.common.requests.paging import page_size
from services.records.identity import OwnIdentity
from services.records.replication.change_feed import DEFAULT_CHANGES, MOST_CHANGES, Batch, ChangeFeed
from services.records.servicers import message_bytes


def _as_of(batch: Batch) -> Timestamp | None:
    return None if batch.as_of is None else to_timestamp(batch.as_of)


class FeedServicer:
    """Serves hutong.records.v1.ChangeFeedService."""

    def __init__(self, feed: ChangeFeed, identity: OwnIdentity) -> None:
        self._feed = feed
        self._identity = identity

    async def ListChanges(self, request: pb.ListChangesRequest) -> pb.ListChangesResponse:
        """Returns changes after a cursor. Raises FailedPrecondition (FEED_REBUILT)."""
        most = page_size(request.page_size, DEFAULT_CHANGES, MOST_CHANGES)
        cursor = request.cursor
        batch = await self._feed.read(cursor.feed_id, cursor.sequence, most, cursor.mark)
        return pb.ListChangesResponse(
            changes=[message_bytes.change(row) for row in batch.changes],
            cursor=pb.FeedCursor(**batch.head._asdict()),
            as_of=_as_of(batch),
            identity=self._identity.of_feed(batch.head.feed_id),
        )

    async def WatchChanges(self, request: pb.WatchChangesRequest) -> AsyncIterator[pb.WatchChangesResponse]:
        """Yields changes after a cursor as they come. Raises FailedPrecondition (FEED_REBUILT)."""
        cursor = request.cursor
        async for batch in self._feed.watch(cursor.feed_id, cursor.sequence, cursor.mark):
            yield pb.WatchChangesResponse(
                changes=[message_bytes.change(row) for row in batch.changes],
                cursor=pb.FeedCursor(**batch.head._asdict()),
                as_of=_as_of(batch),
                identity=self._identity.of_feed(batch.head.feed_id),
            )
