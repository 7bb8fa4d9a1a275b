"""Every reader of the end of a feed is told everything once and in order, however slowly it reads; what all are told is
read and encoded once."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from google.protobuf.message import Message
from hutong.lookup.v1.holder_service_pb2 import HolderChange, WatchHoldersResponse

from services.common.errors import FailedPrecondition, ServiceError, Unavailable
from services.runtime.feeds.commit_signal import CommitSignal
from services.runtime.feeds.tail import KEPT_STEPS, Step, Tail
from services.runtime.rpc.shared_message import SharedMessage

MOST = 3


class Counted(SharedMessage):
    """A message that counts how often it was made bytes."""

    encodings = 0

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self._asked = False

    def encoded(self) -> bytes:
        if not self._asked:
            self._asked = True
            Counted.encodings += 1
        return super().encoded()


class Numbers:
    """A feed of the numbers from 1 to `end`, `gap` of which is not to be seen yet; counts how often it is read."""

    poll_seconds = 0.01
    life_seconds = 0.02

    def __init__(self) -> None:
        self.end = 0
        self.gap: int | None = None
        self.reads = 0
        self.failure: ServiceError | None = None

    def number(self, position: int) -> int:
        return position

    async def read(self, after: int) -> Step[int]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        if after > self.end:
            raise FailedPrecondition("FEED_REBUILT", "", "")
        end = self.end if self.gap is None else max(after, self.gap - 1)
        return self._step(after, min(after + MOST, end), end == self.end)

    async def read_up_to(self, after: int, last: int) -> Step[int]:
        await asyncio.sleep(0)
        return self._step(after, min(after + MOST, last), False)

    def _step(self, after: int, end: int, whole: bool) -> Step[int]:
        changes = [HolderChange(sequence=number) for number in range(after + 1, end + 1)]
        whole = whole and end == self.end
        return Step(after, end, Counted(WatchHoldersResponse(changes=changes, sequence=end)), whole)


@pytest.fixture
def feed() -> Numbers:
    """Returns an empty feed."""
    Counted.encodings = 0
    return Numbers()


def grow(feed: Numbers, signal: CommitSignal, by: int = 1) -> None:
    """Commits."""
    feed.end += by
    signal.committed()


async def read(messages: AsyncIterator[SharedMessage], until: int, pause: float = 0.0) -> list[int]:
    """Returns the numbers read up to one, with a pause after each message."""
    numbers: list[int] = []
    async with asyncio.timeout(20), aclosing(messages):  # type: ignore[type-var]  # an async generator
        async for message in messages:
            response = WatchHoldersResponse.FromString(message.encoded())
            numbers += [change.sequence for change in response.changes]
            if response.sequence >= until:
                break
            await asyncio.sleep(pause)
    return numbers


async def test_every_reader_hears_all_once_in_order(feed: Numbers) -> None:
    """Readers that come at any time, begin anywhere and read at any pace, while much is committed."""
    signal, chance = CommitSignal(), random.Random(13)
    tail = Tail(feed, signal)
    total = 6 * KEPT_STEPS * MOST
    readers: dict[asyncio.Task[list[int]], int] = {}
    while feed.end < total:
        grow(feed, signal, min(chance.randint(0, 2 * MOST), total - feed.end))
        if len(readers) < 40 and chance.random() < 0.4:
            start = chance.randint(0, feed.end)
            pause = chance.choice([0.0, 0.0, 0.001, 0.02])
            readers[asyncio.create_task(read(tail.watch(start), total, pause))] = start
        await asyncio.sleep(chance.choice([0.0, 0.0, 0.001]))
    for reader, start in readers.items():
        assert await reader == list(range(start + 1, total + 1))


async def test_what_all_are_told_is_read_and_encoded_once(feed: Numbers) -> None:
    """A hundred readers at the end cost as many readings and encodings as one, but for their first."""
    signal = CommitSignal()
    tail = Tail(feed, signal)
    readers = [asyncio.create_task(read(tail.watch(0), 50)) for _ in range(100)]
    for _ in range(50):
        await asyncio.sleep(0.02)
        grow(feed, signal)
    assert await asyncio.gather(*readers) == [list(range(1, 51))] * 100
    # 50 changes, and as many signs of life at most, since each pause is as long as they take to come.
    assert Counted.encodings <= 100 + 2 * 50 + 10
    assert feed.reads <= 100 + 4 * 50 + 10


async def test_silence_is_broken_by_signs_of_life(feed: Numbers) -> None:
    """A reader that nothing is to be told hears that this is so."""
    async with asyncio.timeout(5), aclosing(Tail(feed, CommitSignal()).watch(0)) as messages:
        for _ in range(5):
            assert not WatchHoldersResponse.FromString((await anext(messages)).encoded()).changes


async def test_a_reader_waits_out_a_gap(feed: Numbers) -> None:
    """At first, and later: what is missing comes before what was numbered after it."""
    signal = CommitSignal()
    tail = Tail(feed, signal)
    feed.end, feed.gap = 3, 2
    reader = asyncio.create_task(read(tail.watch(0), 6))
    await asyncio.sleep(0.03)
    feed.gap = None
    await asyncio.sleep(0.03)
    feed.end, feed.gap = 6, 5
    await asyncio.sleep(0.03)
    feed.gap = None
    assert await reader == [1, 2, 3, 4, 5, 6]


async def test_all_readers_are_told_what_failed_and_later_ones_are_not(feed: Numbers) -> None:
    """A store that is away ends its watches; who comes when it is back hears everything."""
    signal = CommitSignal()
    tail = Tail(feed, signal)
    readers = [asyncio.create_task(read(tail.watch(0), 1)) for _ in range(3)]
    await asyncio.sleep(0.03)
    feed.failure = Unavailable("STORE_UNAVAILABLE", "", "")
    for reader in readers:
        with pytest.raises(Unavailable):
            await reader
    feed.failure = None
    grow(feed, signal)
    assert await read(tail.watch(0), 1) == [1]


async def test_nobody_reads_on_for_nobody(feed: Numbers) -> None:
    """When the last reader has gone, so has the reading."""
    grow(feed, signal := CommitSignal())
    assert await read(Tail(feed, signal).watch(0), 1) == [1]
    await asyncio.sleep(0.05)
    reads = feed.reads
    await asyncio.sleep(0.1)
    assert feed.reads == reads
