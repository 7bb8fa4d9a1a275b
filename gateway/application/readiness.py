"""Readiness: the components that the gateway needs, by name, and what is wrong with each."""

import math
from collections.abc import Mapping

from gateway.application.first_contact import FirstContact
from gateway.codes.cache.protocol import CacheDownError, VerdictCache
from gateway.codes.policy_digests import PolicyDigests
from gateway.mesh_identity import MeshIdentity
from gateway.metrics import CACHE_BYTES, CACHE_EVICTED, NEWS_AGE
from services.common.instants import SECOND
from services.runtime.clock import Clock
from services.runtime.rpc.health import Degraded, Ping


class Probe:
    """Looks at the components.

    A gateway that has never reached the verdict service and its own mesh's lookup is not ready, so that a rollout with
    a wrong address or secret stops at its first pod. From then on nothing takes it out of service:
    without the verdict service it still shows the last verdicts while they hold, and a cache that is down, or without
    news, makes it slower and not wrong. The same trouble meets every replica at once, and taking all of them out would
    turn less into nothing.
    """

    def __init__(
        self,
        cache: VerdictCache,
        policies: PolicyDigests,
        lookup: FirstContact,
        mesh: MeshIdentity,
        *,
        clock: Clock,
        feeds: tuple[str, ...],
        news_seconds: float,
    ) -> None:
        self._cache = cache
        self._lookup = lookup
        self._mesh = mesh
        self._policies = policies
        self._clock = clock
        self._feeds = feeds
        self._news_seconds = news_seconds

    async def verdict(self) -> None:
        """Asks for a sign of life of the verdict service. Raises Degraded, or RuntimeError when there never was one."""
        trouble = self._verdict()
        if trouble:
            raise Degraded(trouble) if self._policies.told else RuntimeError(trouble)

    async def lookup(self) -> None:
        """Raises RuntimeError until lookup has answered once."""
        if self._lookup.trouble:
            raise RuntimeError(self._lookup.trouble)

    def _verdict(self) -> str:
        if self._policies.recent(self._news_seconds):
            return ""
        return self._policies.trouble or "no answer"

    async def directory(self) -> None:
        """Raises Degraded while the nation or lookup goes by another list of members than this gateway."""
        if self._mesh.trouble:
            raise Degraded(self._mesh.trouble)

    async def cache(self) -> None:
        """Raises Degraded while the cache does not answer."""
        try:
            await self.news_ages()
        except CacheDownError:
            raise Degraded("no answer") from None

    async def news(self) -> None:
        """Raises Degraded without recent news of every feed."""
        try:
            ages = await self.news_ages()
        except CacheDownError:
            raise Degraded("unknown while the cache is down") from None
        late = [feed for feed, age in ages.items() if age is None or age > self._news_seconds]
        if late:
            raise Degraded(f"no recent news of {', '.join(late)}")

    @property
    def pings(self) -> Mapping[str, Ping]:
        """The question for each component."""
        return {
            "verdict": self.verdict,
            "lookup": self.lookup,
            "directory": self.directory,
            "cache": self.cache,
            "news": self.news,
        }

    async def news_ages(self) -> Mapping[str, float | None]:
        """Returns the seconds since the news in the cache, by feed, None where there never was any; the metrics are
        told, too. Raises CacheDownError."""
        try:
            news = (await self._cache.read([(b"", "")])).news
            usage = await self._cache.usage()
        except CacheDownError:
            CACHE_BYTES.set(math.nan)
            CACHE_EVICTED.set(math.nan)
            for feed in self._feeds:
                NEWS_AGE.labels(feed).set(math.nan)
            raise
        CACHE_BYTES.set(usage.bytes)
        CACHE_EVICTED.set(usage.evicted)
        now = self._clock()
        ages = {feed: (now - news[feed]) / SECOND if feed in news else None for feed in self._feeds}
        for feed, age in ages.items():
            NEWS_AGE.labels(feed).set(math.nan if age is None else age)
        return ages
