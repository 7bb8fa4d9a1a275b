"""Remembers that something is down and asks it in the background until it answers: it costs its timeout once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

PAUSE_SECONDS = 0.25
"""Between two probes of what is down."""
HASTY_TIMEOUTS = 3
"""How many timeouts in a row, each cut short because a caller had little time, mean that something is down."""

Probe = Callable[[], Awaitable[bool]]
"""Asks for a sign of life and says whether there was one. Bounded in time by itself."""


class Breaker:
    """The knowledge of one thing that is asked: up, or down for a while.

    While it is, nobody waits for it: it is probed in the background, at nobody's expense, until it answers.
    `went_down` and `came_back` are told of the change.
    """

    def __init__(self, probe: Probe, *, went_down: Callable[[], None], came_back: Callable[[], None]) -> None:
        self._probe = probe
        self._went_down = went_down
        self._came_back = came_back
        self._hasty = 0
        self._probing: asyncio.Task[None] | None = None

    @property
    def down(self) -> bool:
        """Tells if it is known to be down."""
        return self._probing is not None

    def answered(self) -> None:
        """Takes note of an answer."""
        self._hasty = 0

    def timed_out(self, *, patient: bool) -> None:
        """Takes note that no answer came in time; `patient`: there was about as much of it as is ever given."""
        self._hasty += 1
        if patient or self._hasty >= HASTY_TIMEOUTS:
            self.failed()

    def failed(self) -> None:
        """Takes note that it could not be reached."""
        if self._probing is None:
            self._went_down()
            # In a context of its own: a probe belongs to no call and must outlive the one that failed.
            self._probing = asyncio.get_running_loop().create_task(self._probe_on(), context=Context())

    async def _probe_on(self) -> None:
        try:
            while True:
                await asyncio.sleep(PAUSE_SECONDS)
                if await self._probe():
                    self._came_back()
                    return
        finally:
            self._hasty = 0
            self._probing = None

    async def close(self) -> None:
        """Ends the probing."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
