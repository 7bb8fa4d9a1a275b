"""Tasks end when they are told to."""

import asyncio
import time

import pytest

from services.runtime.resilience.tasks import done_by, end


async def test_a_task_that_loses_its_first_cancellation_is_ended_too():
    """As one that waits by `asyncio.wait_for` may on Python 3.11."""
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end([task])
    assert 2 == lost
    assert task.cancelled()


async def test_what_is_waited_for_goes_on_whatever_becomes_of_who_waits():
    """Neither the end nor a cancellation reaches the future; nothing of a wait is left on it."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    assert not await done_by(future, time.monotonic() + 0.01)
    assert not await done_by(future, time.monotonic() - 1)
    waiting = asyncio.create_task(done_by(future, time.monotonic() + 60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not future.done()
    future.set_result(3)
    assert await done_by(future, time.monotonic() - 1)


async def test_a_result_ends_the_wait():
    """Long before its end, for everyone who waits; an error as well, which is left for who asks for it."""
    loop = asyncio.get_running_loop()
    for finish in (lambda future: future.set_result(3), lambda future: future.set_exception(ValueError())):
        future: asyncio.Future[int] = loop.create_future()
        waits = [asyncio.create_task(done_by(future, time.monotonic() + 60)) for _ in range(2)]
        await asyncio.sleep(0)
        finish(future)
        async with asyncio.timeout(10):
            assert [True, True] == await asyncio.gather(*waits)
        future.exception()
