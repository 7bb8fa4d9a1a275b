"""The heartbeat of the loop in which a process serves."""

import asyncio
import time

BEAT_SECONDS = 0.5
"""How often the loop beats when it has time to."""

STUCK_SECONDS = 10.0
"""A loop that has not beaten for so long is stuck. One that sheds load still beats, be it late: with 5,000 connections
at once a turn of it takes less than two seconds."""


class Heartbeat:
    """The last sign of life of a loop. It is set in the loop, and read in other threads."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    async def run(self) -> None:
        """Beats until it is cancelled."""
        while True:
            self._last = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)

    def age(self) -> float:
        """Returns the seconds since the last beat."""
        return time.monotonic() - self._last
