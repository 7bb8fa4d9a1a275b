"""Up to when a store that follows others has everything, and whom it has not heard of."""

from types import SimpleNamespace
from typing import Any

from services.common.instants import SECOND, Instant
from services.records.feed import Feed
from services.records.follower import BEHIND, Horizon
from services.records.store.protocol import LATEST
from tests.unit.records.test_feed import FakeStore

NOW = Instant(1_000 * SECOND)


def _horizon(**heard: int) -> Horizon:
    """Regions by when they were last heard of, in seconds before now."""
    followers: list[Any] = [
        SimpleNamespace(region=region.removeprefix("r"), as_of=Instant(NOW - ago * SECOND))
        for region, ago in heard.items()
    ]
    return Horizon(followers, lambda: NOW)


def test_store_that_follows_nobody_has_everything_until_now() -> None:
    """A region's own store."""
    assert (_horizon().as_of(), _horizon().behind(LATEST)) == (NOW, [])


def test_store_has_no_more_than_the_region_it_has_longest_not_heard_of() -> None:
    """One that is silent holds the horizon."""
    assert _horizon(r110000=1, r430000=60).as_of() == NOW - 60 * SECOND


def test_region_is_behind_after_two_seconds_of_silence() -> None:
    """A live one is heard of each second."""
    late = BEHIND // SECOND
    assert _horizon(r510000=late + 1, r110000=late, r430000=60).behind(LATEST) == ["430000", "510000"]


def test_region_heard_of_since_is_not_behind_for_the_past() -> None:
    """As known at an instant before it fell silent, nothing is missing."""
    horizon = _horizon(r430000=60)
    assert horizon.behind(Instant(NOW - 61 * SECOND)) == []
    assert horizon.behind(Instant(NOW - 59 * SECOND)) == ["430000"]


async def test_feed_claims_no_more_than_its_horizon() -> None:
    """Who hears the nation's feed hears of a region it has lost."""
    store: Any = FakeStore({1}, 1)
    feed = Feed("test", store, _horizon(r430000=60).as_of)
    assert (await feed.read("", 0)).as_of == NOW - 60 * SECOND
