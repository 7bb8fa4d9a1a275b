"""Waits for tasks, and ends them for certain."""

import asyncio
import time
from collections.abc import Collection
from typing import Any

AGAIN_SECONDS = 0.5


async def end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancels tasks and returns when all have ended, whatever they raised.

    One cancellation is not enough on Python 3.11: `asyncio.wait_for`, also a library's, loses the one that comes in the
    tick in which what it waits for is done, and its task would go on for ever.
    """
    going = {task for task in tasks if not task.done()}
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


async def done_by(future: asyncio.Future[Any], end: float) -> bool:
    """Waits until a future is done or `end`, of time.monotonic() in seconds, has come; whether it is done. Neither the
    end nor a cancellation of who waits reaches the future. asyncio.wait does the same for twice the cost."""
    if future.done():
        return True
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[None] = loop.create_future()

    def wake(_: object) -> None:
        if not waiting.done():
            waiting.set_result(None)

    late = loop.call_later(max(0.0, end - time.monotonic()), wake, None)
    future.add_done_callback(wake)
    try:
        await waiting
    finally:
        late.cancel()
        future.remove_done_callback(wake)
    return future.done()
