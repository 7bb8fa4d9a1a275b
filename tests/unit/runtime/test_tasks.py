"""Tasks end when they are told to."""

import asyncio

from services.runtime.tasks import end


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
