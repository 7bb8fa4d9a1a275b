"""Remembers which record stores are down, so that a dead one costs its timeout once and not on every question."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context

from services.lookup.evidence.outages import Outages
from services.lookup.metrics import DOWN

log = logging.getLogger("hutong.lookup.source")

PAUSE_SECONDS = 0.25
"""Between two probes of a source that is down."""
PROBE_SECONDS = 0.7
"""How long one probe may take. With the pause it stays below a second: so soon is a source that came back noticed."""
HASTY_TIMEOUTS = 3
"""How many timeouts in a row, each cut short because a caller had little time, mean that a source is down."""

Probe = Callable[[], Awaitable[bool]]
"""Asks the source for a sign of life and says whether there was one. Bounded in time by itself."""


class SourceHealth:
    """Whether one source is known to be down.

    While it is, nobody waits for it: it is probed in the background, at nobody's expense, until it answers.
    """

    def __init__(self, source: str, probe: Probe, outages: Outages) -> None:
        self._source = source
        self._outages = outages
        self._probe = probe
        self._hasty = 0
        self._probing: asyncio.Task[None] | None = None
        self._gauge = DOWN.labels(source)
        self._gauge.set(0)

    @property
    def down(self) -> bool:
        """Whether the source is known to be down."""
        return self._probing is not None

    def answered(self) -> None:
        """The source answered a question."""
        self._hasty = 0

    def timed_out(self, patient: bool) -> None:
        """The source did not answer in time; `patient`: it had about as much as a source is ever given."""
        self._hasty += 1
        if patient or self._hasty >= HASTY_TIMEOUTS:
            self.failed()

    def failed(self) -> None:
        """The source could not be reached."""
        if self._probing is None:
            log.warning("source is down", extra={"source": self._source})
            self._gauge.set(1)
            self._outages.went_down(self._source)
            # In a context of its own: a probe belongs to no call and must outlive the one that failed.
            self._probing = asyncio.get_running_loop().create_task(self._probe_on(), context=Context())

    async def _probe_on(self) -> None:
        try:
            while True:
                await asyncio.sleep(PAUSE_SECONDS)
                if await self._probe():
                    log.info("source is back", extra={"source": self._source})
                    self._outages.came_back(self._source)
                    return
        finally:
            self._hasty = 0
            self._gauge.set(0)
            self._probing = None

    async def close(self) -> None:
        """Ends the probing."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
