"""Waiting for what becomes true, with a bound."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> float:
    """Waits until something has become true and returns how many seconds that took; fails when it takes longer than
    allowed."""
    began = time.monotonic()
    while not await true():
        assert time.monotonic() - began < seconds, "did not happen in time"
        await asyncio.sleep(0.02)
    return time.monotonic() - began
