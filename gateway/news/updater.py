"""Takes the mesh's news into the cache: once for each cache, however many replicas share it."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from secrets import token_hex

from gateway.codes.cache.protocol import CacheDownError, VerdictCache
from gateway.news.sources import NewsSource
from services.common.errors import Code, ServiceError
from services.runtime.resilience.backoff import Backoff
from services.runtime.resilience.tasks import end

log = logging.getLogger("hutong.news")

LEAD_SECONDS = 5.0
RENEW_SECONDS = 1.0
PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 2.0


class CacheUpdater:
    """Takes every source into the cache while it leads. Two that lead at once, after one was thought dead, do no harm:
    what each does to a cursor fails once the other has moved it."""

    def __init__(self, cache: VerdictCache, sources: Sequence[NewsSource]) -> None:
        self._cache = cache
        self._sources = sources
        self._owner = token_hex(8)
        self.leading = False
        """True while this replica is the one that updates the cache."""

    async def run(self) -> None:
        """Updates the cache, or stands by, forever."""
        tasks: list[asyncio.Task[None]] = []
        try:
            while True:
                self.leading = await self._lead()
                if self.leading and not tasks:
                    tasks = [
                        asyncio.create_task(self._update(source), name=f"news {source.name}")
                        for source in self._sources
                    ]
                elif not self.leading and tasks:
                    await end(tasks)
                    tasks = []
                await asyncio.sleep(RENEW_SECONDS)
        finally:
            await end(tasks)
            try:
                await self._cache.resign(self._owner)
            except CacheDownError:
                pass

    async def _lead(self) -> bool:
        try:
            return await self._cache.lead(self._owner, LEAD_SECONDS)
        except CacheDownError:
            return False

    async def _update(self, source: NewsSource) -> None:
        backoff = Backoff(PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        rebuilt = False
        while True:
            try:
                cursor = None if rebuilt else await self._cache.cursor(source.name)
                async with aclosing(source.watch(cursor)) as batches:
                    async for news in batches:
                        backoff.reset()
                        if cursor is None:
                            # Whatever this first batch holds happened before the cache was emptied.
                            await self._cache.begin(source.name, news)
                            rebuilt = False
                            log.info("following anew", extra={"feed": source.name})
                        elif not await self._cache.apply(source.name, cursor, news):
                            log.warning("following lost its place", extra={"feed": source.name})
                            break
                        cursor = news.cursor
            except ServiceError as error:
                rebuilt = error.code is Code.FAILED_PRECONDITION
                log.warning("news interrupted", extra={"feed": source.name, "reason": error.reason})
            except CacheDownError:
                pass
            await backoff.wait()
