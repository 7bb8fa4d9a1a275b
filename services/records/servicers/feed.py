"""Serves ChangeFeedService over a feed."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1 import change_feed_service_pb2 as pb

from services.common.instants import to_timestamp
from services.common.requests.paging import page_size
from services.records.identity import OwnIdentity
from services.records.replication.change_feed import DEFAULT_CHANGES, MOST_CHANGES, Batch, ChangeFeed
from services.records.servicers import message_bytes
from services.records.store.values.feed import Head
from services.runtime.clock import Clock
from services.runtime.feeds.commit_signal import CommitSignal
from services.runtime.feeds.tail import Step, Tail
from services.runtime.rpc.shared_message import SharedMessage

LIFE_SECONDS = 1.0
"""A watcher hears something at least this often."""


def _as_of(batch: Batch) -> Timestamp | None:
    return None if batch.as_of is None else to_timestamp(batch.as_of)


class _Messages:
    """The feed as messages for its watchers."""

    life_seconds = LIFE_SECONDS

    def __init__(self, feed: ChangeFeed, identity: OwnIdentity, clock: Clock) -> None:
        self._feed = feed
        self._identity = identity
        self._clock = clock
        self.poll_seconds = feed.poll_seconds

    def number(self, position: Head) -> int:
        return position.sequence

    async def read(self, after: Head) -> Step[Head]:
        return self._step(after, await self._feed.read(after.feed_id, after.sequence, mark=after.mark))

    async def read_up_to(self, after: Head, last: Head) -> Step[Head]:
        return self._step(after, await self._feed.read_up_to(after, last))

    def _step(self, after: Head, batch: Batch) -> Step[Head]:
        response = pb.WatchChangesResponse(
            changes=[message_bytes.change(row) for row in batch.changes],
            cursor=pb.FeedCursor(**batch.head._asdict()),
            as_of=_as_of(batch),
            identity=self._identity.of_feed(batch.head.feed_id),
            told_at=to_timestamp(self._clock()),
        )
        return Step(after, batch.head, SharedMessage(response), batch.as_of is not None)


class FeedServicer:
    """Serves hutong.records.v1.ChangeFeedService. `signal` tells of this process's commits."""

    def __init__(self, feed: ChangeFeed, signal: CommitSignal, identity: OwnIdentity, clock: Clock) -> None:
        self._feed = feed
        self._identity = identity
        self._tail = Tail(_Messages(feed, identity, clock), signal)

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

    async def WatchChanges(self, request: pb.WatchChangesRequest) -> AsyncIterator[SharedMessage]:
        """Yields changes after a cursor as they come. Raises FailedPrecondition (FEED_REBUILT)."""
        cursor = request.cursor
        async with aclosing(self._tail.watch(Head(cursor.feed_id, cursor.sequence, cursor.mark))) as messages:
            async for message in messages:
                yield message
