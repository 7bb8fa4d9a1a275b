"""A store that follows others knows up to when it has everything, and whom it has not heard of."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from services.common.instants import SECOND, Instant
from services.records.domain.replication import Cursor
from services.records.replication.change_feed import ChangeFeed
from services.records.replication.completeness import ALLOWANCE, BEHIND, Completeness
from services.records.store.values.feed import Lag
from tests.testkit.fakes.feed_store import FakeStore

NOW = Instant(1_000 * SECOND)


class Notes:
    """A store that keeps what was noted, and nothing else."""

    def __init__(self, *lags: Lag) -> None:
        self.kept = list(lags)

    async def lags(self) -> Sequence[Lag]:
        """All that was noted."""
        return list(self.kept)

    async def note_lag(self, lag: Lag) -> None:
        """Keeps a note."""
        self.kept.append(lag)

    async def cursors(self) -> Mapping[str, Cursor]:
        """Nothing is known from before."""
        return {}


def _completeness(notes: Any = None, **heard: int) -> Completeness:
    """Regions by when they were last heard of, in seconds before now."""
    followers: list[Any] = [
        SimpleNamespace(region=region.removeprefix("r"), as_of=Instant(NOW - ago * SECOND))
        for region, ago in heard.items()
    ]
    store: Any = notes or Notes()
    return Completeness(followers, store, lambda: NOW)


def test_store_that_follows_nobody_has_everything_until_now() -> None:
    """A region's own store."""
    assert (_completeness().as_of(), _completeness().behind()) == (NOW, {})


def test_store_has_no_more_than_the_region_it_has_longest_not_heard_of() -> None:
    """One that is silent holds the whole back."""
    assert _completeness(r110000=1, r430000=60).as_of() == NOW - 60 * SECOND


def test_region_is_behind_after_two_seconds_of_silence() -> None:
    """A live one is heard of each second."""
    late = BEHIND // SECOND
    assert _completeness(r510000=late + 1, r110000=late, r430000=60).behind() == {
        "430000": NOW - 60 * SECOND,
        "510000": NOW - (late + 1) * SECOND,
    }


async def test_what_was_noted_is_said_again() -> None:
    """As known at an instant before it fell silent nothing is missing; meanwhile, what was heard last."""
    silent, back = Instant(NOW - 60 * SECOND), Instant(NOW - 30 * SECOND)
    notes = Notes(
        Lag("430000", Instant(NOW - 900 * SECOND), None),
        Lag("430000", silent, Instant(silent - BEHIND)),
        Lag("430000", back, None),
    )
    completeness = _completeness(notes, r430000=1)
    before, after = Instant(silent - 1), Instant(back + 1)
    assert await completeness.at(before) == (before - ALLOWANCE, {})
    assert await completeness.at(silent) == (silent - BEHIND, {"430000": silent - BEHIND})
    assert await completeness.at(after) == (after - ALLOWANCE, {})


async def test_silence_is_noted_when_somebody_asks() -> None:
    """The note bears the present instant, which the answer then bears too; it is made once."""
    completeness = _completeness(r430000=60)
    assert await completeness.look() == NOW
    assert await completeness.at(NOW) == (NOW - 60 * SECOND, {"430000": NOW - 60 * SECOND})
    assert await completeness.look() == NOW


async def test_what_is_told_is_noted_for_who_comes_after() -> None:
    """A process that ends at once has left its notes behind."""
    notes = Notes()
    await _completeness(notes, r430000=60, r110000=1).look()
    assert notes.kept == [Lag("430000", NOW, Instant(NOW - 60 * SECOND)), Lag("110000", NOW, None)]


async def test_feed_claims_no_more_than_its_completeness() -> None:
    """Who hears the nation's feed hears of a region it has lost."""
    store: Any = FakeStore({1}, 1)
    feed = ChangeFeed("test", store, _completeness(r430000=60).as_of)
    assert (await feed.read("", 0)).as_of == NOW - 60 * SECOND
