"""Readiness: the components that the gateway needs, by name, and what is wrong with each."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from gateway.application.first_contact import FirstContact
from gateway.codes.cache.protocol import CacheDownError, VerdictCache
from gateway.codes.policy_digests import PolicyDigests
from gateway.mesh_identity import MeshIdentity
from gateway.metrics import CACHE_BYTES, CACHE_EVICTED, NEWS_AGE
from services.common.instants import SECOND
from services.runtime.clock import Clock
from services.runtime.rpc.health import Degraded


class Readiness(NamedTuple):
    """Tells whether the gateway should be sent requests; `components` maps each to what is wrong with it, empty when
    nothing is."""

    ready: bool
    components: Mapping[str, str]


class Probe:
    """Looks at the components.

    A gateway that has never reached the verdict service and lookup is not ready, so that a rollout with a wrong address
    stops at its first pod. From then on nothing takes it out of service:
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
        self._draining = False

    def drain(self) -> None:
        """Takes note that the process is about to end: it is not ready from here on."""
        self._draining = True

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

    async def look(self) -> Readiness:
        """Returns the state of every component."""
        components = {
            "verdict": self._verdict(),
            "lookup": self._lookup.trouble,
            "directory": self._mesh.trouble,
            "cache": "",
            "news": "",
        }
        try:
            ages = await self.news_ages()
            late = [feed for feed, age in ages.items() if age is None or age > self._news_seconds]
            components["news"] = f"no recent news of {', '.join(late)}" if late else ""
        except CacheDownError:
            components["cache"] = "no answer"
            components["news"] = "unknown while the cache is down"
        if self._draining:
            components["SIGTERM"] = "draining"
        reached = self._policies.told and not self._lookup.trouble
        return Readiness(reached and not self._draining, components)

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
