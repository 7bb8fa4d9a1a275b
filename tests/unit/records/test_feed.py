"""The feed stops at what is missing, never claims more than it has read, and knows whose cursor it is shown."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.common.errors import FailedPrecondition
from services.common.instants import Instant
from services.records.replication.change_feed import ChangeFeed
from services.records.store.values.feed import ChangeRow, Head
from tests.testkit.fakes.feed_store import FakeStore


def feed(store: Any) -> ChangeFeed:
    """A feed over a fake store at an instant."""
    return ChangeFeed("test", store, lambda: Instant(7))


def numbers(rows: Sequence[ChangeRow]) -> list[int]:
    """The numbers of some changes."""
    return [row.sequence for row in rows]


async def test_a_reader_stops_at_a_gap() -> None:
    """What is numbered above something not yet visible waits until that is."""
    store = FakeStore({1, 2, 4}, 4)
    batch = await feed(store).read("", 0)
    assert (numbers(batch.changes), batch.head, batch.as_of) == ([1, 2], Head("f", 2, b"m2"), None)
    store.visible.add(3)
    batch = await feed(store).read("f", 2)
    assert (numbers(batch.changes), batch.head, batch.as_of) == ([3, 4], Head("f", 4, b"m4"), 7)


async def test_only_a_reader_at_the_end_knows_up_to_when_it_has_all() -> None:
    """A page that is not the last has no as_of."""
    store = FakeStore({1, 2, 3}, 3)
    assert (await feed(store).read("", 0, 2)).as_of is None
    assert (await feed(store).read("f", 2, 2)).as_of == 7
    assert (await feed(store).read("f", 3, 2)).as_of == 7


async def test_what_is_committed_amid_a_reading_is_not_claimed() -> None:
    """As of is an instant before the reading began: a commit while it goes on may not be part of it."""
    clock = iter(range(100))
    began: list[int] = []

    class Slow(FakeStore):
        async def head(self) -> Head:
            began.append(next(clock))
            return await super().head()

        async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
            next(clock)
            return await super().changes(after, most)

    slow: Any = Slow({1}, 1)
    batch = await ChangeFeed("test", slow, lambda: Instant(next(clock))).read("", 0)
    assert batch.as_of is not None
    assert batch.as_of < began[0]


async def test_a_part_ends_where_it_is_told() -> None:
    """What came since is left for the next part, and up to when all is known is not claimed."""
    store = FakeStore({1, 2, 3, 4}, 4)
    batch = await feed(store).read_up_to(Head("f", 1, b"m1"), Head("f", 3, b"m3"))
    assert (numbers(batch.changes), batch.head, batch.as_of) == ([2, 3], Head("f", 3, b"m3"), None)


async def test_a_part_may_end_within_what_was_purged() -> None:
    """A purge joins numbers across a place that somebody is to read up to: it is read up to, and no further."""

    class Purged(FakeStore):
        async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
            return [ChangeRow(4, False, b"", purged_from=2), ChangeRow(5, False, b"")]

    batch = await feed(Purged({1, 5}, 5)).read_up_to(Head("f", 1, b"m1"), Head("f", 3, b"m3"))
    assert (numbers(batch.changes), batch.head) == ([], Head("f", 3, b"m3"))


async def test_a_cursor_of_a_lost_commit_is_refused() -> None:
    """The number alone is not enough: a restored store has given it to another commit."""
    store = FakeStore({1, 2, 3}, 3)
    assert numbers((await feed(store).read("f", 2, mark=b"m2")).changes) == [3]
    for after in (2, 3):
        with pytest.raises(FailedPrecondition) as caught:
            await feed(store).read("f", after, mark=b"lost")
        assert caught.value.reason == "FEED_REBUILT"


async def test_a_cursor_without_a_mark_is_taken_at_its_word() -> None:
    """A reader that keeps no marks, as before there were any, goes on as it did."""
    assert numbers((await feed(FakeStore({1, 2, 3}, 3)).read("f", 2)).changes) == [3]
