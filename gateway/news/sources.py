"""The sources of the cache's news: each feed, read into the same words."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from hashlib import sha256
from typing import Protocol

from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.lookup.v1.holder_service_pb2 import WatchHoldersRequest, WatchHoldersResponse
from hutong.records.v1.change_feed_service_pb2 import FeedCursor, WatchChangesRequest, WatchChangesResponse

from gateway.codes.cache.protocol import HOLDERS, News
from gateway.mesh_identity import LOOKUP, MeshIdentity
from gateway.ports import ChangeFeed, HolderFeed
from services.common.errors import FailedPrecondition, Unavailable
from services.common.identities import RECORDS, ExpectedStore
from services.common.instants import Instant, from_timestamp
from services.common.regions import NATION
from services.runtime.clock import Clock
from services.runtime.feeds.teller_clock import TellerClock
from services.runtime.resilience.watchdog import alive

SILENCE_SECONDS = 3.0
"""A feed gives a sign of life each second; silent for longer, it is taken to be cut."""
FROM_NOW_ON = -1


class NewsSource(Protocol):
    """A feed, by its name."""

    name: str

    def watch(self, cursor: str | None) -> AsyncGenerator[News, None]:
        """Yields what the feed tells after a cursor, without end; None asks for what comes from now on. Raises
        ServiceError: FAILED_PRECONDITION when the cursor is not, or no longer, one of this feed."""


def _as_of(batch: WatchChangesResponse | WatchHoldersResponse, teller: TellerClock, clock: Clock) -> Instant | None:
    # When a batch was received says nothing: a slow wire delivers old ones.
    if isinstance(batch, WatchChangesResponse) and batch.HasField("told_at"):
        teller.measure(from_timestamp(batch.told_at), clock())
    return teller.corrected(from_timestamp(batch.as_of), clock()) if batch.HasField("as_of") else None


class RecordsNews:
    """The changes of a records store: persons whose records do, laboratories whose standing does. `name` is that of the
    store, and `secret_fingerprint` that of the mesh's secret: of another store nothing is taken. The nation's is told
    to `mesh`."""

    def __init__(
        self, name: str, source: ChangeFeed, clock: Clock, mesh: MeshIdentity, *, secret_fingerprint: bytes
    ) -> None:
        self.name = name
        self._mesh = mesh
        self._source = source
        self._clock = clock
        self._expected = ExpectedStore(RECORDS, name, secret_fingerprint)

    async def mesh(self) -> str:
        """Asks the store for the identity of the mesh that it is the nation's store of: of the secret, of its feed and
        of the list of members, without which a copy made from a backup would be the same mesh. Raises ServiceError."""
        async with aclosing(self.batches(None)) as batches:
            async for batch in batches:
                identity = batch.identity
                named = identity.feed_id + self._mesh.directory_version
                return sha256(identity.secret_fingerprint + named.encode()).hexdigest()[:16]
        raise Unavailable("FEED_ENDED", "变更流已结束", "The feed has ended")

    async def watch(self, cursor: str | None) -> AsyncGenerator[News, None]:
        """See NewsSource. A cursor reads FEED_ID/SEQUENCE, or FEED_ID/SEQUENCE/MARK with the mark in hexadecimal."""
        teller = TellerClock(self._clock())
        async with aclosing(self.batches(position(cursor))) as batches:
            async for batch in batches:
                yield self._news(batch, teller)

    async def batches(self, cursor: FeedCursor | None) -> AsyncGenerator[WatchChangesResponse, None]:
        """Yields what the store tells after a cursor, without end; None asks for what comes from now on. Raises
        ServiceError as `watch` does."""
        request = WatchChangesRequest(cursor=cursor or FeedCursor(sequence=FROM_NOW_ON))
        async with aclosing(alive(self._source.WatchChanges(request), silence_seconds=SILENCE_SECONDS)) as batches:
            async for batch in batches:
                self._expected.check(batch.identity)
                if self.name == NATION:
                    self._mesh.hear_nation(batch.identity)
                yield batch

    def _news(self, batch: WatchChangesResponse, teller: TellerClock) -> News:
        persons: set[bytes] = set()
        laboratories: set[str] = set()
        for change in batch.changes:
            if change.HasField("record"):
                persons.add(change.record.person_key)
            elif change.HasField("laboratory"):
                laboratories.add(change.laboratory.laboratory)
        return News(
            cursor=cursor_of(batch.cursor),
            persons=persons,
            laboratories=sorted(laboratories),
            as_of=_as_of(batch, teller, self._clock),
            followed=_followed(batch.identity) if self.name == NATION else None,
        )


def cursor_of(cursor: FeedCursor) -> str:
    """Writes a position in a records store's feed: FEED_ID/SEQUENCE/MARK, with the mark in hexadecimal."""
    return f"{cursor.feed_id}/{cursor.sequence}/{cursor.mark.hex()}"


def position(cursor: str | None) -> FeedCursor | None:
    """Reads what `cursor_of` writes, or FEED_ID/SEQUENCE; None for none."""
    if not cursor:
        return None
    feed_id, sequence, mark = [*cursor.split("/"), ""][:3]
    return FeedCursor(feed_id=feed_id, sequence=int(sequence), mark=bytes.fromhex(mark))


def _followed(identity: StoreIdentity) -> frozenset[str]:
    followed = {f"{feed.region}/{feed.feed_id}" for feed in identity.follows if feed.feed_id}
    return frozenset(followed | {f"{NATION}/{identity.feed_id}"})


class HoldersNews:
    """The changes that holders make: switches and links."""

    name = HOLDERS

    def __init__(self, source: HolderFeed, clock: Clock, mesh: MeshIdentity) -> None:
        self._source = source
        self._mesh = mesh
        self._clock = clock

    async def watch(self, cursor: str | None) -> AsyncGenerator[News, None]:
        """See NewsSource. A cursor reads FEED_ID/SEQUENCE."""
        feed_id, _, sequence = (cursor or f"/{FROM_NOW_ON}").rpartition("/")
        before = int(sequence)
        teller = TellerClock(self._clock())
        request = WatchHoldersRequest(sequence=before)
        async with aclosing(alive(self._source.WatchHolders(request), silence_seconds=SILENCE_SECONDS)) as batches:
            async for batch in batches:
                self._mesh.check_lookup(batch.identity, LOOKUP)
                feed_id = feed_id or batch.identity.feed_id
                if batch.sequence < before or batch.identity.feed_id != feed_id:
                    raise FailedPrecondition("FEED_REBUILT", "变更流已重建", "The feed has been rebuilt")
                before = batch.sequence
                yield News(
                    cursor=f"{feed_id}/{batch.sequence}",
                    persons={person for change in batch.changes for person in change.person_keys},
                    as_of=_as_of(batch, teller, self._clock),
                )
