"""Feeds, told in the same words, and found out when they are cut."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hutong.lookup.v1.holder_service_pb2 import HolderChange, WatchHoldersRequest, WatchHoldersResponse
from hutong.records.v1.change_feed_service_pb2 import (
    Change,
    FeedCursor,
    WatchChangesRequest,
    WatchChangesResponse,
)
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import TestRecord as Record

from gateway.codes.cache.protocol import News
from gateway.news import sources
from gateway.news.sources import HoldersNews, RecordsNews
from services.common.errors import ServiceError
from services.common.instants import HOUR, Instant, to_timestamp

NOW = Instant(1_660_000_000_000_000)


class Told:
    """A feed that tells what it was given, and remembers what it was asked."""

    def __init__(self, *batches: Any) -> None:
        self.batches: Sequence[Any] = batches
        self.asked: list[Any] = []

    async def WatchChanges(self, request: WatchChangesRequest) -> AsyncIterator[WatchChangesResponse]:
        self.asked.append((request.cursor.feed_id, request.cursor.sequence))
        for batch in self.batches:
            yield batch

    async def WatchHolders(self, request: WatchHoldersRequest) -> AsyncIterator[WatchHoldersResponse]:
        self.asked.append(request.sequence)
        for batch in self.batches:
            yield batch


async def read(feed: Any, cursor: str | None) -> tuple[list[News], str]:
    """Returns the news of a feed, and the reason it ended with."""
    told: list[News] = []
    with pytest.raises(ServiceError) as ended:
        async for news in feed.watch(cursor):
            told.append(news)
    return told, ended.value.reason


@pytest.mark.parametrize(
    ("cursor", "asked"), [(None, ("", -1)), ("history/7", ("history", 7)), ("history/7/0a", ("history", 7))]
)
async def test_records_are_followed_from_a_cursor_or_from_now_on(cursor: str | None, asked: tuple[str, int]) -> None:
    """A cursor names its history; without one only what comes next matters."""
    source = Told()
    assert await read(RecordsNews("nation", source, lambda: NOW), cursor) == ([], "FEED_ENDED")
    assert source.asked == [asked]


async def test_records_tell_of_persons_and_laboratories() -> None:
    """Each batch says whose codes may change, and up to when everything was told; never of the future."""
    changes = [
        Change(sequence=8, record=Record(person_key=b"p" * 16)),
        Change(sequence=9, laboratory=Laboratory(laboratory="lab")),
        Change(sequence=10, record=Record(person_key=b"p" * 16)),
    ]
    source = Told(
        WatchChangesResponse(changes=changes, cursor=FeedCursor(feed_id="h", sequence=10)),
        WatchChangesResponse(cursor=FeedCursor(feed_id="h", sequence=10), as_of=to_timestamp(Instant(NOW - HOUR))),
        WatchChangesResponse(cursor=FeedCursor(feed_id="h", sequence=10), as_of=to_timestamp(Instant(NOW + HOUR))),
    )
    told, _ = await read(RecordsNews("nation", source, lambda: NOW), "h/7")
    assert told == [
        News("h/10/", {b"p" * 16}, ["lab"], None),
        News("h/10/", set(), [], Instant(NOW - HOUR)),
        News("h/10/", set(), [], NOW),
    ]


async def test_holders_tell_up_to_when_nothing_is_outstanding() -> None:
    """When a batch arrived says nothing of it, nor does a clock that is ahead."""
    change = HolderChange(sequence=4, person_keys=[b"p" * 16, b"q" * 16])
    source = Told(
        WatchHoldersResponse(changes=[change], sequence=4),
        WatchHoldersResponse(sequence=4, as_of=to_timestamp(Instant(NOW - HOUR))),
        WatchHoldersResponse(sequence=4, as_of=to_timestamp(Instant(NOW + HOUR))),
    )
    told, _ = await read(HoldersNews(source, lambda: NOW), "3")
    assert told == [
        News("4", {b"p" * 16, b"q" * 16}, (), None),
        News("4", set(), (), Instant(NOW - HOUR)),
        News("4", set(), (), NOW),
    ]
    assert source.asked == [3]


async def test_holders_that_count_from_the_start_again_are_rebuilt() -> None:
    """A sequence that went back is another history; what was missed in it cannot be known."""
    source = Told(WatchHoldersResponse(sequence=2))
    assert await read(HoldersNews(source, lambda: NOW), "3") == ([], "FEED_REBUILT")


async def test_silent_feed_is_a_cut_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that gives no sign of life for too long is left, and asked for again."""
    monkeypatch.setattr(sources, "SILENCE_SECONDS", 0.05)

    class Silent(Told):
        async def WatchChanges(self, request: WatchChangesRequest) -> AsyncIterator[WatchChangesResponse]:
            import asyncio

            await asyncio.sleep(60)
            yield WatchChangesResponse()

    assert await read(RecordsNews("nation", Silent(), lambda: NOW), None) == ([], "FEED_SILENT")
