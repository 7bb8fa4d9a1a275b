"""A follower beside others: what it was refused may have been dealt with by another already."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.records.v1.change_feed_service_pb2 import (
    Change,
    FeedCursor,
    ListChangesRequest,
    ListChangesResponse,
    WatchChangesRequest,
    WatchChangesResponse,
)
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.errors import FailedPrecondition
from services.common.identities import RECORDS, secret_fingerprint
from services.common.instants import SECOND, Instant, to_timestamp
from services.records.domain.replication import Cursor
from services.records.replication.follower import RegionFollower
from services.records.store.unit_of_work import Plan, Touch
from services.runtime.feeds.commit_signal import CommitSignal
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_service import opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.waiting import until


async def test_a_region_is_read_again_once_however_many_are_refused(tmp_path: Path) -> None:
    """Refused a cursor that another replica has moved since, it goes on from there, and does not begin again."""
    clock = ManualClock()
    async with opened(sqlite_url(tmp_path)) as store:

        async def stand(cursor: Cursor) -> None:
            await store.commit(Touch(followed="430000"), lambda _: Plan(lambda _: b"", cursor=cursor), clock)

        await stand(Cursor("f", 3, mark=b"lost"))
        asked: list[FeedCursor] = []
        again = asyncio.Event()

        fingerprint = secret_fingerprint(SECRET.encode())
        identity = StoreIdentity(kind=RECORDS, region="430000", feed_id="f", secret_fingerprint=fingerprint)

        class Region:
            async def ListChanges(self, request: ListChangesRequest) -> ListChangesResponse:
                return ListChangesResponse(identity=identity)

            async def WatchChanges(self, request: WatchChangesRequest) -> AsyncIterator[WatchChangesResponse]:
                asked.append(request.cursor)
                if len(asked) == 1:
                    await stand(Cursor("f", 5, mark=b"found"))
                    raise FailedPrecondition("FEED_REBUILT", "", "")
                again.set()
                await asyncio.Event().wait()
                yield WatchChangesResponse()

        region: Any = Region()
        follower = RegionFollower(
            name="nation",
            region="430000",
            source=region,
            secret_fingerprint=fingerprint,
            store=store,
            signal=CommitSignal(),
            clock=clock,
        )
        task = asyncio.create_task(follower.run())
        try:
            await asyncio.wait_for(again.wait(), 5)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert [(one.sequence, one.mark) for one in asked] == [(3, b"lost"), (5, b"found")]


async def test_a_region_whose_clock_is_ahead_is_known_up_to_when_it_was_heard(tmp_path: Path) -> None:
    """What it tells is taken by the follower's own clock: a stream that falls silent is noticed, though its last word
    is of a time to come. The same goes for a batch that more is to follow."""
    clock = ManualClock()
    ahead = 180 * SECOND
    fingerprint = secret_fingerprint(SECRET.encode())
    identity = StoreIdentity(kind=RECORDS, region="430000", feed_id="f", secret_fingerprint=fingerprint)
    more: asyncio.Queue[WatchChangesResponse] = asyncio.Queue()

    def there() -> Timestamp:
        return to_timestamp(Instant(clock() + ahead))

    class Region:
        async def ListChanges(self, request: ListChangesRequest) -> ListChangesResponse:
            return ListChangesResponse(identity=identity, as_of=there())

        async def WatchChanges(self, request: WatchChangesRequest) -> AsyncIterator[WatchChangesResponse]:
            while True:
                yield await more.get()

    region: Any = Region()
    async with opened(sqlite_url(tmp_path)) as store:
        follower = RegionFollower(
            name="nation",
            region="430000",
            source=region,
            secret_fingerprint=fingerprint,
            store=store,
            signal=CommitSignal(),
            clock=clock,
        )
        task = asyncio.create_task(follower.run())

        async def heard() -> bool:
            # The clock moves by a microsecond whenever it is read.
            return 0 <= clock.now - follower.as_of < SECOND // 1000

        try:
            cursor = FeedCursor(feed_id="f")
            for _ in range(2):
                more.put_nowait(WatchChangesResponse(cursor=cursor, as_of=there(), identity=identity))
                await until(heard, 5)
                clock.forward(1.0)
            laboratory = Laboratory(laboratory="430000-x", recorded_at=there())
            changes = [Change(sequence=1, laboratory=laboratory)]
            cursor = FeedCursor(feed_id="f", sequence=1)
            more.put_nowait(WatchChangesResponse(cursor=cursor, changes=changes, identity=identity))
            await until(heard, 5)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
