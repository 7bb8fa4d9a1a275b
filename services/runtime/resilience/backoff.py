"""Pauses between attempts: each twice as long as the one before, up to a longest, and shortened at random."""

import asyncio
import random


class Backoff:
    """The pauses of one who tries again and again. Seconds; between half of each pause and all of it is waited."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._pause = first

    @property
    def pause(self) -> float:
        """Returns the longest that the next pause may be, in seconds."""
        return self._pause

    def reset(self) -> None:
        """Takes note of success: the next pause is the first again."""
        self._pause = self._first

    async def wait(self) -> None:
        """Waits for the next pause."""
        # Many who were refused together must not come back together.
        pause = self._pause * random.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, self._longest)
        await asyncio.sleep(pause)
