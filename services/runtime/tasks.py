"""Ends tasks for certain."""

import asyncio
from collections.abc import Collection

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
