"""Takes the mesh's news into the cache: once for each cache, however many replicas share it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from secrets import token_hex

from gateway.codes.cache.protocol import CacheDownError, VerdictCache
from gateway.metrics import FEEDS_BEGUN
from gateway.news.sources import NewsSource
from services.common.errors import Code, ServiceError
from services.common.identities import REASONS
from services.runtime.resilience.backoff import Backoff
from services.runtime.resilience.tasks import end

log = logging.getLogger("hutong.news")

LEAD_SECONDS = 5.0
RENEW_SECONDS = 1.0
IDENTIFY_SECONDS = 5.0
PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 1.0


class CacheUpdater:
    """Takes every source into the cache while it leads. Two that lead at once, after one was thought dead, do no harm:
    what each does to a cursor fails once the other has moved it."""

    def __init__(self, cache: VerdictCache, sources: Sequence[NewsSource], mesh: Callable[[], Awaitable[str]]) -> None:
        """`mesh` asks for the identity of the mesh, to which the cache is bound; it raises ServiceError."""
        self._cache = cache
        self._sources = sources
        self._ask_mesh = mesh
        self._mesh = ""
        self._identified = asyncio.Event()
        self._owner = token_hex(8)
        self.leading = False
        """True while this replica is the one that updates the cache."""

    async def run(self) -> None:
        """Updates the cache, or stands by, forever."""
        tasks: list[asyncio.Task[None]] = []
        bound = ""
        identifying = asyncio.create_task(self._identify(), name="mesh identity")
        try:
            while True:
                if self._mesh != bound:
                    await end(tasks)
                    tasks = []
                    bound = self._mesh
                    self._cache.bind(bound)
                self.leading = bool(bound) and await self._lead()
                if self.leading and not tasks:
                    tasks = [
                        asyncio.create_task(self._update(source), name=f"news {source.name}")
                        for source in self._sources
                    ]
                elif not self.leading and tasks:
                    await end(tasks)
                    tasks = []
                self._identified.clear()
                try:
                    async with asyncio.timeout(RENEW_SECONDS):
                        await self._identified.wait()
                except TimeoutError:
                    pass
        finally:
            await end([*tasks, identifying])
            try:
                await self._cache.resign(self._owner)
            except CacheDownError:
                pass

    async def _identify(self) -> None:
        """Asks whose mesh this is, again and again: the nation's store may have been made anew."""
        told = ""
        while True:
            before = self._mesh
            try:
                self._mesh = await self._ask_mesh()
                told = ""
            except ServiceError as error:
                if error.reason != told and (not before or error.reason in REASONS):
                    level = logging.ERROR if error.reason in REASONS else logging.WARNING
                    log.log(level, "mesh not known", extra={"reason": error.reason})
                    told = error.reason
            if self._mesh != before:
                self._identified.set()
            await asyncio.sleep(IDENTIFY_SECONDS if self._mesh else PAUSE_SECONDS)

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
                            FEEDS_BEGUN.add(source.name)
                            log.info("following anew", extra={"feed": source.name})
                        elif not await self._cache.apply(source.name, cursor, news):
                            log.warning("following lost its place", extra={"feed": source.name})
                            break
                        cursor = news.cursor
            except ServiceError as error:
                # What is kept rests on a history that is gone, whatever comes in the way before it is emptied.
                rebuilt = rebuilt or error.code is Code.FAILED_PRECONDITION
                # A wrong store is a mistake of somebody's; one that is away comes back by itself.
                level = logging.ERROR if error.reason in REASONS else logging.WARNING
                log.log(level, "news interrupted", extra={"feed": source.name, "reason": error.reason})
            except CacheDownError:
                pass
            await backoff.wait()
