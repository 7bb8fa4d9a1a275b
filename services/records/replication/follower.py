"""Follows one region's feed into this store: each change once, in order, across restarts of either side."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from hutong.records.v1.change_feed_service_pb2 import (
    FeedCursor,
    ListChangesRequest,
    WatchChangesRequest,
    WatchChangesResponse,
)
from hutong.records.v1.following_service_pb2 import FollowedState

from services.common import identities
from services.common.errors import Code, DeadlineExceeded, ServiceError, Text
from services.common.identities import FEED_CHANGED, RECORDS, ExpectedStore
from services.common.instants import SECOND, Instant, from_timestamp
from services.records.domain import replication
from services.records.domain.replication import Cursor
from services.records.domain.revisions import PersonRecord, RecordId
from services.records.domain.standing import names
from services.records.metrics import (
    BY_FOLLOWER,
    COPIES_REFUSED,
    FOLLOWED,
    FOLLOWER_LAG,
    MOVED_COPIES,
    RESTATED_COPIES,
    STORES_REFUSED,
)
from services.records.ports import Region
from services.records.replication.change_feed import FROM_NOW_ON
from services.records.replication.proven_region import ProvenRegion
from services.records.replication.reconciliation import ReconciledStore, reconcile
from services.records.store.protocols.following import Cursors
from services.records.store.unit_of_work import Known, Plan, Touch
from services.runtime.clock import Clock
from services.runtime.feeds.commit_signal import CommitSignal
from services.runtime.feeds.teller_clock import TellerClock
from services.runtime.resilience.backoff import Backoff
from services.runtime.resilience.watchdog import alive

log = logging.getLogger("hutong.records.follower")

FIRST_WAIT = 0.1
LONGEST_WAIT = 1.0
"""Seconds between attempts to reach a region that is down: doubling, with jitter."""

SILENCE_SECONDS = 5.0
"""A feed that gives no sign of life for this long is taken for dead; it promises one a second."""

SAID_AGAIN_SECONDS = 60.0
"""How often the log says again that a store is another than was meant."""


class _CursorMoved(ServiceError):
    """Another replica took the cursor elsewhere; go on from there."""

    def __init__(self) -> None:
        super().__init__(Code.ABORTED, "CURSOR_MOVED", Text("游标已移动", "The cursor was moved"))


class FollowingStore(ReconciledStore, Cursors, Protocol):
    """The store as its follower asks it."""


class RegionFollower:
    """Follows one `region`. `as_of` is the instant up to which this store has everything of that region. `feed` is the
    feed that it must have by the directory; where it is empty, the one that it had when it was first met."""

    def __init__(
        self,
        *,
        name: str,
        region: str,
        source: Region,
        secret_fingerprint: bytes,
        feed: str = "",
        store: FollowingStore,
        signal: CommitSignal,
        clock: Clock,
    ) -> None:
        self._name = name
        self.region = self._region = region
        self._source = source
        self._expected = ExpectedStore(RECORDS, region, secret_fingerprint, feed)
        self._store = store
        self._signal = signal
        self._clock = clock
        self._here = Cursor()
        self._said_at = -math.inf
        self.as_of = Instant(0)
        self.state = FollowedState.FOLLOWED_STATE_UNREACHABLE
        self.refusal: ServiceError | None = None
        """Why nothing is taken from whoever answers in the region's place; None where it is the region."""
        self.met_feed_id = ""
        """The feed that was met there, where the refusal is FEED_CHANGED."""
        FOLLOWER_LAG.labels(name, region).set_function(self.lag)

    @property
    def feed_id(self) -> str:
        """The feed that is followed; empty before the region was reached for the first time."""
        return self._here.feed_id

    def expected(self) -> ExpectedStore:
        """Returns who the region must be: with the feed that is followed, any before it was reached."""
        return replace(self._expected, feed_id=self._here.feed_id or self._expected.feed_id)

    @property
    def sequence(self) -> int:
        """The number up to which the feed was read."""
        return self._here.sequence

    def lag(self) -> float:
        """Returns by how many seconds this store is behind the region: about one at most, since an idle region gives
        signs of life; infinite while it has yet to hear of it, or reads it again."""
        return max(0.0, (self._clock() - self.as_of) / SECOND) if self.as_of else math.inf

    async def run(self) -> None:
        """Follows without end; whatever goes wrong is logged and tried again."""
        backoff = Backoff(FIRST_WAIT, LONGEST_WAIT)
        while True:
            try:
                async for _ in self._followed():
                    backoff.reset()
            except ServiceError as error:
                self._failed(error)
                if error.reason == "FEED_REBUILT":
                    await self._begin_again()
            except Exception:
                # A follower that ended would be a region that silently stands still.
                log.exception("following", extra={"store": self._name, "region": self._region})
                self.state = FollowedState.FOLLOWED_STATE_UNREACHABLE
            await backoff.wait()

    def _failed(self, error: ServiceError) -> None:
        where = {"store": self._name, "region": self._region}
        if error.reason not in identities.REASONS:
            log.warning("following: %s", error, extra=where)
            self.state = FollowedState.FOLLOWED_STATE_UNREACHABLE
            return
        STORES_REFUSED.labels(self._name, self._region, error.reason).inc()
        now = time.monotonic()
        if self.refusal is None or str(self.refusal) != str(error) or now - self._said_at >= SAID_AGAIN_SECONDS:
            log.error("nothing is taken from who answers for a region: %s", error, extra=where)
            self._said_at = now
        self.state, self.refusal = FollowedState.FOLLOWED_STATE_REFUSED, error

    async def _followed(self) -> AsyncIterator[None]:
        here = self._here = (await self._store.cursors()).get(self._region, Cursor())
        if here.rereading:
            self.as_of = Instant(0)
        self._hear(here)
        region, teller = await self._reached(here)
        if here.feed_id not in ("", region.feed_id):
            # By the directory it is the region's from now on.
            here = self._here = await self._accept(region.feed_id)
        position = FeedCursor(feed_id=here.feed_id, sequence=here.sequence, mark=here.mark)
        request = WatchChangesRequest(cursor=position)
        stream = alive(region.watch(request), silence_seconds=SILENCE_SECONDS)
        async with aclosing(stream) as batches:
            async for batch in batches:
                compared = FollowedState.FOLLOWED_STATE_COMPARED
                self.state = compared if here.rereading else FollowedState.FOLLOWED_STATE_FOLLOWED
                here = await self._take(here, batch, teller)
                if here.rereading and batch.HasField("as_of"):
                    here = await self._reconciled(region, here)
                self._here = here
                self._hear(here)
                yield

    async def _reached(self, here: Cursor) -> tuple[ProvenRegion, TellerClock]:
        """Returns the region when it is the one that is meant, with the feed that is followed, at first any, and its
        clock. Raises ServiceError."""
        teller = TellerClock(self._clock())
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                probe = await self._source.ListChanges(ListChangesRequest(cursor=FeedCursor(sequence=FROM_NOW_ON)))
        except TimeoutError:
            raise DeadlineExceeded() from None
        expected = replace(self._expected, feed_id=self._expected.feed_id or here.feed_id)
        try:
            expected.check(probe.identity)
        except ServiceError as error:
            self.met_feed_id = probe.identity.feed_id if error.reason == FEED_CHANGED else ""
            raise
        self.refusal, self.met_feed_id = None, ""
        if probe.HasField("as_of"):
            # Whatever it tells on the stream is taken by this clock, at once.
            teller.corrected(from_timestamp(probe.as_of), self._clock())
        return ProvenRegion(self._source, replace(expected, feed_id=probe.identity.feed_id)), teller

    async def _accept(self, feed_id: str) -> Cursor:
        """Follows another feed from its start; returns the cursor."""
        self.as_of = Instant(0)
        begun = Cursor(feed_id, rereading=True)
        await self._store.commit(
            Touch(followed=self._region), lambda known: Plan(lambda _: b"", cursor=begun), self._clock
        )
        return begun

    def _hear(self, here: Cursor) -> None:
        if not here.rereading:
            # What an earlier process kept may have been told by a clock that was ahead.
            self.as_of = Instant(max(self.as_of, min(here.as_of, self._clock())))

    async def _reconciled(self, region: ProvenRegion, here: Cursor) -> Cursor:
        """Compares after the region's feed was read again to its end: what it lost is given back before anyone is told
        that the region is known."""
        await reconcile(region, self._store, self._clock)

        def decide(known: Known) -> Plan:
            same = known.cursor.feed_id == here.feed_id
            return Plan(lambda _: b"", cursor=replace(known.cursor, rereading=False) if same else None)

        await self._store.commit(Touch(followed=self._region), decide, self._clock)
        self._signal.committed()
        return replace(here, rereading=False)

    async def _take(self, since: Cursor, batch: WatchChangesResponse, teller: TellerClock) -> Cursor:
        feed_id, sequence = batch.cursor.feed_id, batch.cursor.sequence
        if batch.HasField("told_at"):
            teller.measure(from_timestamp(batch.told_at), self._clock())
        as_of = since.as_of
        if (told := _told_until(batch)) is not None:
            corrected = teller.corrected(told, self._clock())
            as_of = corrected if batch.HasField("as_of") else Instant(max(as_of, corrected))
        if not batch.changes and since.feed_id == feed_id and since.sequence == sequence:
            # A sign of life moves no durable cursor: after a restart an older as_of is still true.
            return Cursor(feed_id, sequence, as_of, batch.cursor.mark, since.rereading)
        own = [change for change in batch.changes if change.HasField("record") and change.record.region == self._region]
        touch = Touch(
            records={
                RecordId(self._region, change.record.source_id): change.record.person_key for change in reversed(own)
            },
            laboratories=sorted(
                {
                    name
                    for c in batch.changes
                    if c.HasField("laboratory")
                    for name in names(c.laboratory.laboratory, self._region)
                }
            ),
            followed=self._region,
            others={PersonRecord(c.record.person_key, RecordId(self._region, c.record.source_id)) for c in own},
        )
        copies = replication.Copies()

        def decide(known: Known) -> Plan:
            nonlocal copies
            if not replication.continues(known.cursor, since, feed_id):
                raise _CursorMoved
            copies = replication.take(
                self._region,
                batch.changes,
                known.histories,
                known.laboratories,
                known.others,
                rereading=known.cursor.rereading,
            )
            cursor = replication.advanced(known.cursor, feed_id, sequence, as_of, batch.cursor.mark)
            return Plan(
                lambda _: b"", copies.revisions, copies.laboratories, cursor, copies.conflicts, moved=copies.moved
            )

        await self._store.commit(touch, decide, self._clock)
        self._report(copies)
        return Cursor(feed_id, sequence, as_of, batch.cursor.mark, since.rereading)

    def _report(self, copies: replication.Copies) -> None:
        taken = len(copies.revisions) + len(copies.laboratories)
        if taken:
            FOLLOWED.labels(self._name, self._region).inc(taken)
            self._signal.committed()
        if copies.restated:
            RESTATED_COPIES.labels(self._name, self._region).inc(copies.restated)
        if copies.moved:
            MOVED_COPIES.labels(self._name, self._region).inc(len(copies.moved))
        for reason, count in copies.refused.items():
            COPIES_REFUSED.labels(self._name, self._region, BY_FOLLOWER, reason).inc(count)
            log.error(
                "changes contradict what is stored",
                extra={"store": self._name, "region": self._region, "reason": reason, "count": count},
            )

    async def _begin_again(self) -> None:
        """Reads the feed from its start from now on: it is the same, and has lost what it told last."""
        self.as_of = Instant(0)
        refused = self._here
        refused_position = refused.feed_id, refused.sequence, refused.mark

        def decide(known: Known) -> Plan:
            # Another replica may have begun again already.
            same = (known.cursor.feed_id, known.cursor.sequence, known.cursor.mark) == refused_position
            again = Cursor(refused.feed_id, rereading=True) if same else None
            return Plan(lambda _: b"", cursor=again)

        try:
            await self._store.commit(Touch(followed=self._region), decide, self._clock)
        except ServiceError as error:
            log.warning("following: %s", error, extra={"store": self._name, "region": self._region})


def _told_until(batch: WatchChangesResponse) -> Instant | None:
    """Returns up to when a batch has told everything, by the region's clock; None where it does not tell.

    Of one that more is to follow: a region's commits are recorded at instants that grow, so only the last one may go
    on. Without this a region in a surge would seem silent.
    """
    if batch.HasField("as_of"):
        return from_timestamp(batch.as_of)
    if not batch.changes:
        return None
    last = batch.changes[-1]
    recorded = last.record.recorded_at if last.HasField("record") else last.laboratory.recorded_at
    return Instant(from_timestamp(recorded) - 1)
