"""Pauses between attempts, streams that fall silent, groups of questions that come and go."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from services.common.errors import Unavailable
from services.runtime.resilience.backoff import Backoff
from services.runtime.resilience.coalescer import Coalescer
from services.runtime.resilience.watchdog import alive


async def test_pauses_double_up_to_the_longest_and_begin_again_after_success(monkeypatch):
    """Each is shortened at random, by half at most, so that many do not come back together."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    backoff = Backoff(0.1, 0.5)
    for _ in range(5):
        await backoff.wait()
    backoff.reset()
    await backoff.wait()
    for most, pause in zip([0.1, 0.2, 0.4, 0.5, 0.5, 0.1], waited, strict=True):
        assert most / 2 <= pause <= most


@pytest.mark.parametrize(("ends", "reason"), [(True, "FEED_ENDED"), (False, "FEED_SILENT")])
async def test_a_stream_that_ends_or_falls_silent_is_unavailable(ends, reason):
    """After all that it gave; and it is closed, so that the other side hears of it."""
    closed = asyncio.Event()

    async def feed() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
            if not ends:
                await asyncio.Event().wait()
        finally:
            closed.set()

    seen = []
    with pytest.raises(Unavailable) as failed:
        async with aclosing(alive(feed(), silence_seconds=0.05)) as items:
            async for item in items:
                seen.append(item)
    assert ([1, 2], reason, True) == (seen, failed.value.reason, closed.is_set())


async def test_groups_that_are_idle_are_forgotten():
    """A group for each instant of the past would fill the memory."""

    async def send(group: int, questions: Sequence[int]) -> Sequence[int]:
        await asyncio.sleep(0)
        return questions

    coalescer: Coalescer[int, int, int] = Coalescer(send)
    assert list(range(50)) == await asyncio.gather(*(coalescer.ask(n % 10, n) for n in range(50)))
    await asyncio.sleep(0.01)
    assert {} == coalescer._groups
