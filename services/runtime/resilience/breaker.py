"""Remembers that something is down and asks it in the background until it answers: it costs its timeout once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

from services.runtime.resilience.tasks import end

PAUSE_SECONDS = 0.25
"""Between two probes of what is down."""

Probe = Callable[[], Awaitable[bool | None]]
"""Asks for a sign of life and tells whether there was one; None when that cannot be told, such as when this process was
too busy to listen. Bounded in time by itself."""


class Breaker:
    """Knows whether one thing that is asked is down.

    While it is, nobody waits for it: it is probed in the background, at nobody's expense, until it answers.
    `went_down` and `came_back` are told of the change.
    """

    def __init__(self, probe: Probe, *, went_down: Callable[[], None], came_back: Callable[[], None]) -> None:
        self._probe = probe
        self._went_down = went_down
        self._came_back = came_back
        self._probing: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None

    @property
    def down(self) -> bool:
        """Tells whether it is known to be down."""
        return self._probing is not None

    def timed_out(self, *, patient: bool) -> None:
        """Takes note that no answer came in time. `patient`: there was about as much time as is ever given, and little
        was asked. Otherwise the caller may have had too little time, or asked for too much, and that is nobody else's
        fault: a probe finds out."""
        if patient:
            self.failed()
        elif self._probing is None and self._checking is None:
            self._checking = asyncio.get_running_loop().create_task(self._check(), context=Context())

    def failed(self) -> None:
        """Takes note that it could not be reached."""
        if self._probing is None:
            self._went_down()
            # In a context of its own: a probe belongs to no call and must outlive the one that failed.
            self._probing = asyncio.get_running_loop().create_task(self._probe_on(), context=Context())

    async def _check(self) -> None:
        try:
            if await self._probe() is False:
                self.failed()
        finally:
            self._checking = None

    async def _probe_on(self) -> None:
        try:
            while True:
                await asyncio.sleep(PAUSE_SECONDS)
                if await self._probe():
                    self._came_back()
                    return
        finally:
            self._probing = None

    async def close(self) -> None:
        """Ends the probing."""
        await end([task for task in (self._checking, self._probing) if task is not None])
