"""Feeds, told in the same words, and found out when they are cut."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hutong.common.v1.identity_pb2 import FollowedFeed, StoreIdentity
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
from gateway.mesh_identity import MeshIdentity
from gateway.news import sources
from gateway.news.sources import HoldersNews, RecordsNews
from services.common.errors import ServiceError
from services.common.identities import HOLDERS as HOLDERS_STORE
from services.common.identities import RECORDS
from services.common.instants import HOUR, MINUTE, SECOND, Instant, to_timestamp
from services.runtime.feeds.teller_clock import TOLERANCE, TellerClock
from tests.testkit.identities import gateway_mesh, lookup_identity

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


FINGERPRINT = b"mesh-one"
NATION_STORE = StoreIdentity(
    kind=RECORDS,
    region="nation",
    feed_id="h",
    secret_fingerprint=FINGERPRINT,
    follows=[FollowedFeed(region="430000", feed_id="a"), FollowedFeed(region="110000")],
)
FOLLOWED = frozenset({"nation/h", "430000/a"})


def nation_news(source: Any) -> RecordsNews:
    """Reads a source as the nation's feed."""
    return RecordsNews("nation", source, lambda: NOW, gateway_mesh(), secret_fingerprint=FINGERPRINT)


def batch(**fields: Any) -> WatchChangesResponse:
    """A batch of the nation's feed."""
    return WatchChangesResponse(**{"cursor": FeedCursor(feed_id="h", sequence=10), "identity": NATION_STORE, **fields})


def holders(**fields: Any) -> WatchHoldersResponse:
    """A batch of lookup's feed."""
    return WatchHoldersResponse(identity=lookup_identity(), **fields)


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
    assert await read(nation_news(source), cursor) == ([], "FEED_ENDED")
    assert source.asked == [asked]


async def test_records_tell_of_persons_and_laboratories() -> None:
    """Each batch says whose codes may change, and up to when everything was told; never of the future."""
    changes = [
        Change(sequence=8, record=Record(person_key=b"p" * 16)),
        Change(sequence=9, laboratory=Laboratory(laboratory="lab")),
        Change(sequence=10, record=Record(person_key=b"p" * 16)),
    ]
    source = Told(
        batch(changes=changes),
        batch(as_of=to_timestamp(Instant(NOW - HOUR))),
        batch(as_of=to_timestamp(Instant(NOW + HOUR))),
    )
    told, _ = await read(nation_news(source), "h/7")
    assert told == [
        News("h/10/", {b"p" * 16}, ["lab"], None, FOLLOWED),
        News("h/10/", set(), [], Instant(NOW - HOUR), FOLLOWED),
        News("h/10/", set(), [], NOW, FOLLOWED),
    ]


async def test_holders_tell_up_to_when_nothing_is_outstanding() -> None:
    """When a batch arrived says nothing of it, nor does a clock that is ahead."""
    change = HolderChange(sequence=4, person_keys=[b"p" * 16, b"q" * 16])
    source = Told(
        holders(changes=[change], sequence=4),
        holders(sequence=4, as_of=to_timestamp(Instant(NOW - HOUR))),
        holders(sequence=4, as_of=to_timestamp(Instant(NOW + HOUR))),
    )
    told, _ = await read(HoldersNews(source, lambda: NOW, gateway_mesh()), "holders-1/3")
    assert told == [
        News("holders-1/4", {b"p" * 16, b"q" * 16}, (), None),
        News("holders-1/4", set(), (), Instant(NOW - HOUR)),
        News("holders-1/4", set(), (), NOW),
    ]
    assert source.asked == [3]


async def test_holders_that_count_from_the_start_again_are_rebuilt() -> None:
    """A sequence that went back is another history; what was missed in it cannot be known."""
    source = Told(holders(sequence=2))
    assert await read(HoldersNews(source, lambda: NOW, gateway_mesh()), "holders-1/3") == ([], "FEED_REBUILT")
    assert await read(HoldersNews(source, lambda: NOW, gateway_mesh()), "another store/1") == ([], "FEED_REBUILT")


async def test_holders_of_another_mesh_tell_nothing() -> None:
    """What is linked and switched there is other people's."""
    other = lookup_identity()
    other.secret_fingerprint = b"another!"
    source = Told(WatchHoldersResponse(sequence=4, identity=other))
    assert await read(HoldersNews(source, lambda: NOW, gateway_mesh()), None) == ([], "OTHER_SECRET")


async def test_silent_feed_is_a_cut_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that gives no sign of life for too long is left, and asked for again."""
    monkeypatch.setattr(sources, "SILENCE_SECONDS", 0.05)

    class Silent(Told):
        async def WatchChanges(self, request: WatchChangesRequest) -> AsyncIterator[WatchChangesResponse]:
            import asyncio

            await asyncio.sleep(60)
            yield WatchChangesResponse()

    assert await read(nation_news(Silent()), None) == ([], "FEED_SILENT")


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        (StoreIdentity(), "WRONG_STORE"),
        (StoreIdentity(kind=RECORDS, region="430000", secret_fingerprint=FINGERPRINT), "WRONG_STORE"),
        (StoreIdentity(kind=HOLDERS_STORE, region="nation", secret_fingerprint=FINGERPRINT), "WRONG_STORE"),
        (StoreIdentity(kind=RECORDS, region="nation", secret_fingerprint=b"mesh-two"), "OTHER_SECRET"),
    ],
)
async def test_nothing_is_taken_from_another_store(identity: StoreIdentity, reason: str) -> None:
    """A feed that is not the one meant tells nothing, neither changes nor that there are none."""
    source = Told(batch(identity=identity, as_of=to_timestamp(NOW)))
    assert await read(nation_news(source), None) == ([], reason)
    with pytest.raises(ServiceError) as raised:
        await nation_news(source).mesh()
    assert raised.value.reason == reason


async def test_a_mesh_is_named_by_its_secret_the_nations_feed_and_its_list_of_members() -> None:
    """Another of each is another mesh; a copy restored from backups differs by its addresses alone."""
    names = set()
    for feed_id, fingerprint, members in (
        ("h", b"one", "m"),
        ("h2", b"one", "m"),
        ("h", b"two", "m"),
        ("h", b"one", "n"),
    ):
        identity = StoreIdentity(kind=RECORDS, region="nation", feed_id=feed_id, secret_fingerprint=fingerprint)
        mesh = MeshIdentity(fingerprint, members)
        source = Told(batch(identity=identity))
        news = RecordsNews("nation", source, lambda: NOW, mesh, secret_fingerprint=fingerprint)
        names.add(await news.mesh())
    assert len(names) == 4


@pytest.mark.parametrize("skew", [-3 * MINUTE, 0, SECOND, 3 * MINUTE, HOUR])
def test_old_words_look_old_however_far_the_tellers_clock_is_ahead(skew: int) -> None:
    """Told in time, an instant counts as it is; delivered a minute late, as a minute old."""
    teller = TellerClock(NOW)
    for second in range(5):
        at = Instant(NOW + second * SECOND)
        assert teller.corrected(Instant(at + skew), at) >= at - max(SECOND, -skew)
    written = Instant(NOW + 5 * SECOND)
    late = teller.corrected(Instant(written + skew), Instant(written + MINUTE))
    assert late <= written + TOLERANCE


def test_a_first_word_that_comes_late_says_nothing_of_a_clock() -> None:
    """It may have been written at any time since; the stream is asked for again."""
    with pytest.raises(ServiceError) as raised:
        TellerClock(NOW).corrected(Instant(NOW + HOUR), Instant(NOW + MINUTE))
    assert raised.value.reason == "FEED_LATE"


async def test_how_far_a_clock_is_ahead_is_not_hidden_by_news_that_lag() -> None:
    """A nation whose clock is three minutes ahead and that has not heard a region for as long is not up to date: its
    first words look as though its clock were right, and by when they were written it is not."""
    ahead = 180 * SECOND
    source = Told(
        batch(as_of=to_timestamp(NOW), told_at=to_timestamp(Instant(NOW + ahead))),
        batch(as_of=to_timestamp(Instant(NOW + ahead)), told_at=to_timestamp(Instant(NOW + ahead))),
        batch(as_of=to_timestamp(Instant(NOW + ahead)), told_at=to_timestamp(Instant(NOW + 2 * ahead))),
    )
    told, reason = await read(nation_news(source), "h/7")
    assert [news.as_of for news in told] == [NOW - ahead, NOW]
    # Set forward since: how far it is ahead is not known any more.
    assert reason == "FEED_LATE"
