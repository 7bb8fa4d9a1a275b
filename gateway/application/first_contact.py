"""Hears lookup's news, after a start, until it has heard it once: a gateway that cannot reach it, or reaches that of
another mesh, was set up wrongly."""

import logging
from contextlib import aclosing

from gateway.news.sources import NewsSource
from services.common.errors import ServiceError
from services.runtime.resilience.backoff import Backoff

log = logging.getLogger("hutong.readiness")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0


class FirstContact:
    """The first contact with lookup. `trouble` says why there was none yet, and is empty from then on. `news` are
    lookup's, whose every answer says whose it is: under another secret nobody would be found."""

    def __init__(self, news: NewsSource) -> None:
        self._news = news
        self.trouble = "not asked yet"

    async def run(self) -> None:
        """Asks until there is an answer, and then no more."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while self.trouble:
            try:
                async with aclosing(self._news.watch(None)) as batches:
                    await anext(batches)
                self.trouble = ""
            except (ServiceError, StopAsyncIteration) as error:
                self.trouble = error.reason if isinstance(error, ServiceError) else "no answer"
                log.warning("lookup not reached yet: %s", error)
                await backoff.wait()
