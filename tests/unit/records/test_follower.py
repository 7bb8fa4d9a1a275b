"""A follower beside others: what it was refused may have been dealt with by another already."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.records.v1.change_feed_service_pb2 import (
    FeedCursor,
    ListChangesRequest,
    ListChangesResponse,
    WatchChangesRequest,
    WatchChangesResponse,
)

from services.common.errors import FailedPrecondition
from services.common.identities import RECORDS, secret_fingerprint
from services.records.domain.replication import Cursor
from services.records.replication.follower import RegionFollower
from services.records.store.unit_of_work import Plan, Touch
from services.runtime.feeds.commit_signal import CommitSignal
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_service import opened
from tests.testkit.servers.store_urls import sqlite_url


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
