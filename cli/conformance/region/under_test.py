"""A region that implements RecordReadService and ChangeFeedService itself, as its checks ask it. Nothing is written."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.change_feed_service_pb2 import (
    Change,
    FeedCursor,
    ListChangesRequest,
    ListChangesResponse,
    WatchChangesRequest,
    WatchChangesResponse,
)
from hutong.records.v1.record_pb2 import TestRecord
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsRequest,
    BatchListRecordsResponse,
    GetRecordHistoryRequest,
    GetRecordHistoryResponse,
)

from cli.conformance.calling import METHODS, SECONDS, GrpcTarget, Refusal
from cli.conformance.region.revisions import instant

M = TypeVar("M", bound=Message)

MOST_CHANGES = 20_000
"""A longer feed is checked in its first so many changes; what needs the whole of it is skipped."""
MOST_PEOPLE = 100
PAGE, SMALL_PAGE = 500, 3
QUIET_SECONDS = 1.5
"""A watch that has given nothing new for so long has come to the end."""
LIFE_SECONDS = 3.5
PURPOSE = Purpose.PURPOSE_RECORD_KEEPING
"""A region's own system may read its whole store for this one alone."""
NOBODY = bytes([1, *([0xEE] * 15)])


class Skipped(Exception):
    """A check that cannot be made at this target; the message says why."""


class Whole(NamedTuple):
    """The whole feed, as pages of a common size told it."""

    changes: Sequence[Change]
    cursor: FeedCursor
    complete: bool

    def records(self) -> list[TestRecord]:
        """Returns the revisions of records, in order."""
        return [change.record for change in self.changes if change.HasField("record")]

    def people(self) -> list[bytes]:
        """Returns whose records there are, at most MOST_PEOPLE."""
        return list(dict.fromkeys(record.person_key for record in self.records()))[:MOST_PEOPLE]

    def current(self, known_at: datetime | None = None) -> dict[bytes, dict[tuple[str, str], TestRecord]]:
        """Returns the newest revision of each record, by person, as known then."""
        newest: dict[bytes, dict[tuple[str, str], TestRecord]] = defaultdict(dict)
        for record in self.records():
            if known_at is None or instant(record.recorded_at) <= known_at:
                newest[record.person_key][record.region, record.source_id] = record
        return newest


class RegionUnderTest:
    """The region that is checked: its address, its code, and how it is told to drain, where that can be done."""

    def __init__(self, target: GrpcTarget, region: str, drain: Callable[[], Awaitable[None]] | None = None) -> None:
        self.region = region
        self.drain = drain
        self._target = target
        self._whole: Whole | None = None

    async def ask(self, service: str, request: Message, kind: type[M], seconds: float = SECONDS) -> M:
        """Makes a call. Raises Refusal."""
        name = type(request).__name__.removesuffix("Request")
        answer = await self._target.send(METHODS[f"hutong.records.v1.{service}/{name}"], request, seconds)
        if not isinstance(answer, kind):
            raise TypeError(f"{name} is not answered by {kind.__name__}")
        return answer

    async def page(self, cursor: FeedCursor | None, size: int) -> ListChangesResponse:
        """Returns the changes after a cursor. Raises Refusal."""
        return await self.ask(
            "ChangeFeedService", ListChangesRequest(cursor=cursor, page_size=size), ListChangesResponse
        )

    async def pages(self, cursor: FeedCursor | None, size: int) -> list[ListChangesResponse]:
        """Returns pages to the feed's end, or as many as MOST_CHANGES takes. Raises Refusal."""
        pages: list[ListChangesResponse] = []
        for _ in range(MOST_CHANGES // size + 2):
            page = await self.page(cursor, size)
            pages.append(page)
            cursor = page.cursor
            if not page.changes:
                break
        return pages

    async def whole(self) -> Whole:
        """Returns what the feed tells from the start. Raises Refusal."""
        if self._whole is None:
            pages = await self.pages(None, PAGE)
            changes = [change for page in pages for change in page.changes]
            # That they come in order is checked by itself.
            changes.sort(key=lambda change: change.sequence)
            self._whole = Whole(changes, pages[-1].cursor, not pages[-1].changes)
        return self._whole

    async def watch(
        self, cursor: FeedCursor | None, seconds: float, *, until: int | None = None, most: int = MOST_CHANGES
    ) -> list[WatchChangesResponse]:
        """Returns what a watch brings, until a change has this sequence, so many messages have come or time is over.
        Raises Refusal."""
        messages: list[WatchChangesResponse] = []
        method = METHODS["hutong.records.v1.ChangeFeedService/WatchChanges"]
        stream = self._target.watch(method, WatchChangesRequest(cursor=cursor), seconds + 1)
        async with contextlib.aclosing(stream):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for message in stream:
                        if not isinstance(message, WatchChangesResponse):
                            raise TypeError("not a message of a watch")
                        messages.append(message)
                        there = until is not None and any(change.sequence >= until for change in message.changes)
                        if there or len(messages) >= most:
                            break
        return messages

    async def abandon(self, cursor: FeedCursor, seconds: float) -> None:
        """Watches until the call's own deadline. Raises Refusal for any other end."""
        # A server that sees the deadline first resets the stream, which some of gRPC's libraries tell as CANCELLED.
        method = METHODS["hutong.records.v1.ChangeFeedService/WatchChanges"]
        try:
            async for _ in self._target.watch(method, WatchChangesRequest(cursor=cursor), seconds):
                pass
        except Refusal as refused:
            if refused.code not in ("DEADLINE_EXCEEDED", "CANCELLED"):
                raise

    async def batch(self, people: Sequence[bytes], **options: object) -> BatchListRecordsResponse:
        """Returns people's records. Raises Refusal."""
        request = BatchListRecordsRequest(
            subjects=[Subject(person_key=key) for key in people],
            purpose=PURPOSE,
            **options,  # type: ignore[arg-type]  # fields of the request, by name
        )
        return await self.ask("RecordReadService", request, BatchListRecordsResponse)

    async def history(self, region: str, source_id: str) -> GetRecordHistoryResponse:
        """Returns a record's revisions. Raises Refusal."""
        request = GetRecordHistoryRequest(region=region, source_id=source_id, purpose=PURPOSE)
        return await self.ask("RecordReadService", request, GetRecordHistoryResponse)


async def unlike_error(asking: Awaitable[object], code: str, reason: str) -> str:
    """Returns how the answer is not this error; empty where it is."""
    try:
        await asking
    except Refusal as refused:
        return "" if (refused.code, refused.reason) == (code, reason) else f"got {refused}"
    return "got an answer"
