"""Follows one region's feed into this store: each change once, in order, across restarts of either side."""

import asyncio
import logging
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol, cast

from hutong.records.v1.change_feed_service_pb2 import (
    FeedCursor,
    WatchChangesRequest,
    WatchChangesResponse,
)

from services.common.errors import Code, ServiceError, Text
from services.common.instants import SECOND, Instant, from_timestamp
from services.records.domain import replication
from services.records.domain.replication import Cursor
from services.records.domain.revisions import PersonRecord, RecordId
from services.records.domain.standing import names
from services.records.metrics import BY_FOLLOWER, COPIES_REFUSED, FOLLOWED, FOLLOWER_LAG, MOVED_COPIES, RESTATED_COPIES
from services.records.ports import Region
from services.records.replication.commit_signal import CommitSignal
from services.records.replication.reconciliation import ReconciledStore, restore
from services.records.store.protocols.following import Cursors
from services.records.store.unit_of_work import Known, Plan, Touch
from services.runtime.clock import Clock

log = logging.getLogger("hutong.records.follower")

FIRST_WAIT = 0.1
LONGEST_WAIT = 2.0
"""Seconds between attempts to reach a region that is down: doubling, with jitter."""

SILENCE_SECONDS = 5.0
"""A feed that gives no sign of life for this long is taken for dead; it promises one a second."""


class _CursorMoved(ServiceError):
    """Another replica took the cursor elsewhere; go on from there."""

    def __init__(self) -> None:
        super().__init__(Code.ABORTED, "CURSOR_MOVED", Text("游标已移动", "The cursor was moved"))


class FollowingStore(ReconciledStore, Cursors, Protocol):
    """What is asked of the store that follows."""


class RegionFollower:
    """Follows one `region`. `as_of` is the instant up to which this store has everything of that region."""

    def __init__(
        self, *, name: str, region: str, source: Region, store: FollowingStore, signal: CommitSignal, clock: Clock
    ) -> None:
        self._name = name
        self.region = self._region = region
        self._source = source
        self._store = store
        self._signal = signal
        self._clock = clock
        self._here = Cursor()
        self.as_of = Instant(0)
        FOLLOWER_LAG.labels(name, region).set_function(self.lag)

    def lag(self) -> float:
        """Returns by how many seconds this store is behind the region: about one at most, since an idle region gives
        signs of life; infinite while it has yet to hear of it, or reads it again."""
        return max(0.0, (self._clock() - self.as_of) / SECOND) if self.as_of else math.inf

    async def run(self) -> None:
        """Follows without end; whatever goes wrong is logged and tried again."""
        wait = FIRST_WAIT
        while True:
            try:
                async for _ in self._followed():
                    wait = FIRST_WAIT
            except ServiceError as error:
                log.warning("following: %s", error, extra={"store": self._name, "region": self._region})
                if error.reason == "FEED_REBUILT":
                    await self._begin_again()
            except Exception:
                # A follower that ended would be a region that silently stands still.
                log.exception("following", extra={"store": self._name, "region": self._region})
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(wait * 2, LONGEST_WAIT)

    async def _followed(self) -> AsyncIterator[None]:
        here = self._here = (await self._store.cursors()).get(self._region, Cursor())
        self._hear(here)
        position = FeedCursor(feed_id=here.feed_id, sequence=here.sequence, mark=here.mark)
        request = WatchChangesRequest(cursor=position)
        stream = self._source.WatchChanges(request)
        async with aclosing(cast(AsyncGenerator[WatchChangesResponse, None], stream)):
            while True:
                try:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        batch = await anext(stream)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    log.warning("the feed fell silent", extra={"store": self._name, "region": self._region})
                    return
                here = await self._take(here, batch)
                if here.rereading and batch.HasField("as_of"):
                    here = await self._restored(here)
                self._hear(here)
                yield

    def _hear(self, here: Cursor) -> None:
        if not here.rereading:
            self.as_of = Instant(max(self.as_of, here.as_of))

    async def _restored(self, here: Cursor) -> Cursor:
        """Compares after the region's feed was read again to its end: what it no longer has is found before anyone is
        told that the region is known."""
        await restore(self._region, self._source, self._store, self._clock)
        done = replace(here, rereading=False)

        def decide(known: Known) -> Plan:
            return Plan(lambda _: b"", cursor=replace(known.cursor, rereading=False))

        await self._store.commit(Touch(followed=self._region), decide, self._clock)
        self._signal.committed()
        return done

    async def _take(self, since: Cursor, batch: WatchChangesResponse) -> Cursor:
        feed_id, sequence = batch.cursor.feed_id, batch.cursor.sequence
        as_of = from_timestamp(batch.as_of) if batch.HasField("as_of") else _told_before(batch, since.as_of)
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
            copies = replication.take(self._region, batch.changes, known.histories, known.laboratories, known.others)
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
        self.as_of = Instant(0)
        refused = self._here

        def decide(known: Known) -> Plan:
            # Another replica may have begun again already.
            again = Cursor(rereading=True) if known.cursor == refused else None
            return Plan(lambda _: b"", cursor=again)

        try:
            await self._store.commit(Touch(followed=self._region), decide, self._clock)
        except ServiceError as error:
            log.warning("following: %s", error, extra={"store": self._name, "region": self._region})


def _told_before(batch: WatchChangesResponse, before: Instant) -> Instant:
    """Returns up to when a batch that more is to follow has told everything.

    A region's commits are recorded at instants that grow, so only the last one may go on. Without this a region in a
    surge would seem silent.
    """
    if not batch.changes:
        return before
    last = batch.changes[-1]
    recorded = last.record.recorded_at if last.HasField("record") else last.laboratory.recorded_at
    return Instant(max(before, from_timestamp(recorded) - 1))
