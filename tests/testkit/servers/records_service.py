"""A records service over either backend, called through its contract with nothing between."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1 import following_service_pb2 as following_pb
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.laboratory_pb2 import Interval, Laboratory
from hutong.records.v1.record_pb2 import RecordContent, TestRecord, TestResult
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsRequest,
    GetRecordHistoryRequest,
)

from services.common.errors import ServiceError
from services.common.instants import Instant, to_timestamp
from services.records.composition import build
from services.records.ports import Region
from services.records.settings import Settings
from services.records.store.opening import open_store
from services.records.store.protocols.record_store import RecordStore
from services.records.store.values.records import Purged
from tests.testkit.builders.records import KEEP, submission
from tests.testkit.calls import local
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET

TestRecord.__test__ = False  # type: ignore[attr-defined]  # a message, not a class of tests
TestResult.__test__ = False  # type: ignore[attr-defined]


class Records:
    """One composed service: `calls` has the methods of its three contracts."""

    def __init__(
        self,
        store: RecordStore,
        clock: ManualClock,
        region: str = "430000",
        feeds: Mapping[str, Region] | None = None,
        keeps: tuple[str, ...] = (),
        replica: RecordStore | None = None,
        secret: str = SECRET,
        secret_file: str = "",
    ) -> None:
        self.store = store
        self.clock = clock
        settings = Settings(
            region=region,
            mesh_secret=secret,
            mesh_secret_file=secret_file,
            keeps=keeps,
            store_url="sqlite:///of-no-use.db",
        )
        self.service = build(settings, store=store, replica=replica, clock=clock, feeds=feeds or {})
        self.calls: Any = local(self.service.name, "tests", self.service.bindings)

    async def submit(
        self, source_id: str, who: bytes, content: RecordContent, request_id: str = "", region: str = "430000"
    ) -> wpb.SubmitRecordResponse:
        """Submits one record."""
        response: wpb.SubmitRecordResponse = await self.calls.SubmitRecord(
            wpb.SubmitRecordRequest(
                submission=submission(source_id, who, content, region), purpose=KEEP, request_id=request_id
            )
        )
        return response

    async def submit_many(
        self, submissions: list[wpb.RecordSubmission], request_id: str = ""
    ) -> wpb.BatchSubmitRecordsResponse:
        """Submits a batch."""
        response: wpb.BatchSubmitRecordsResponse = await self.calls.BatchSubmitRecords(
            wpb.BatchSubmitRecordsRequest(submissions=submissions, purpose=KEEP, request_id=request_id)
        )
        return response

    async def amend(
        self, source_id: str, revision: int, content: RecordContent, cause: str = "corrected", request_id: str = ""
    ) -> TestRecord:
        """Amends one record."""
        response: wpb.AmendRecordResponse = await self.calls.AmendRecord(
            wpb.AmendRecordRequest(
                region="430000",
                source_id=source_id,
                revision=revision,
                content=content,
                cause=cause,
                purpose=KEEP,
                request_id=request_id,
            )
        )
        return response.record

    async def retract(self, source_id: str, revision: int, cause: str = "mistyped", request_id: str = "") -> TestRecord:
        """Retracts one record."""
        response: wpb.RetractRecordResponse = await self.calls.RetractRecord(
            wpb.RetractRecordRequest(
                region="430000",
                source_id=source_id,
                revision=revision,
                cause=cause,
                purpose=KEEP,
                request_id=request_id,
            )
        )
        return response.record

    async def of(self, who: bytes, known_at: Instant | None = None) -> list[TestRecord]:
        """One person's records."""
        response = await self.batch([who], known_at)
        return list(response.people[0].records)

    async def batch(self, people: list[bytes], known_at: Instant | None = None) -> Any:
        """Many people's records."""
        return await self.calls.BatchListRecords(
            BatchListRecordsRequest(
                subjects=[Subject(person_key=key) for key in people],
                purpose=KEEP,
                known_at=None if known_at is None else to_timestamp(known_at),
            )
        )

    async def history(self, source_id: str, region: str = "430000") -> list[TestRecord]:
        """One record's revisions."""
        response = await self.calls.GetRecordHistory(
            GetRecordHistoryRequest(region=region, source_id=source_id, purpose=KEEP)
        )
        return list(response.revisions)

    async def purge(self, before: Instant, position: int = 0, most: int = 100) -> Purged:
        """One batch of a purge."""
        return await self.store.purge(before, position, most)


async def refused(call: Any) -> ServiceError:
    """The error a call ends in."""
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value


async def all_changes(records: Records, page_size: int = 0) -> list[fpb.Change]:
    """The whole feed, page by page."""
    changes: list[fpb.Change] = []
    cursor = fpb.FeedCursor()
    while True:
        page = await records.calls.ListChanges(fpb.ListChangesRequest(cursor=cursor, page_size=page_size))
        changes += page.changes
        cursor = page.cursor
        if page.HasField("as_of"):
            return changes


async def put_laboratory(
    records: Records, laboratory: str, region: str = "430000", accredited: list[Interval] | None = None
) -> Laboratory:
    """Registers a laboratory."""
    response: wpb.PutLaboratoryResponse = await records.calls.PutLaboratory(
        wpb.PutLaboratoryRequest(
            region=region,
            laboratory=laboratory,
            display_name=LocalizedText(zh="湘雅", en="Xiangya"),
            accredited=accredited or [],
        )
    )
    return response.laboratory


@asynccontextmanager
async def opened(url: str, region: str = "430000") -> Any:
    """A store at a URL, closed afterwards."""
    store = open_store(Settings(region=region, mesh_secret=SECRET, store_url=url, store_migrate=True), alone=False)
    try:
        yield store
    finally:
        await store.close()


def nation(store: RecordStore, regions: dict[str, Any], clock: ManualClock | None = None) -> Records:
    """The nation's service over a store that outlives it."""
    whole = Records(store, clock or ManualClock(), "nation", regions)
    whole.service.close = None
    return whole


async def caught_up(whole: Records, region: Records) -> None:
    """Returns when the nation stands at the end of the region's feed, and has compared what it had to."""
    end = time.monotonic() + 20
    while True:
        cursor = (await whole.store.cursors()).get("430000")
        head = await region.store.head()
        if cursor and not cursor.rereading and (cursor.feed_id, cursor.sequence, cursor.mark) == head:
            return
        assert time.monotonic() < end, "did not catch up"
        await asyncio.sleep(0.02)


async def follow(whole: Records, region: Records) -> Records:
    """The nation follows the region to its end; the nation as it was stopped then."""
    following = Records(whole.store, whole.clock, "nation", {"430000": region.calls})
    following.service.close = None
    async with following.service.running():
        await caught_up(following, region)
    return following


async def accept_feed(whole: Records, code: str = "430000") -> None:
    """Confirms to a running nation that a region's store was made anew, once it has met it."""
    end = time.monotonic() + 20
    while True:
        response = await whole.calls.ListFollowedRegions(following_pb.ListFollowedRegionsRequest())
        [met] = [region.met_feed_id for region in response.regions if region.region == code]
        if met:
            break
        assert time.monotonic() < end, "was not met"
        await asyncio.sleep(0.02)
    await whole.calls.AcceptFeed(
        following_pb.AcceptFeedRequest(region=code, feed_id=met, cause="made anew", purpose=KEEP)
    )
