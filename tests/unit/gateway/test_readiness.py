"""The age of the news is told."""

import math
from typing import Any

import pytest
from prometheus_client import REGISTRY

from gateway.application.readiness import Probe
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.cache.protocol import CacheDownError, News
from services.common.instants import SECOND, Instant

NOW = Instant(1_000_000 * SECOND)


class Cache(MemoryCache):
    """One that can be down."""

    down = False

    async def read(self, wanted: Any) -> Any:
        """Reads what there is. Raises CacheDownError while it is down."""
        if self.down:
            raise CacheDownError
        return await super().read(wanted)


def age(feed: str) -> float | None:
    """Returns the age of a feed in seconds, as Prometheus is told it."""
    return REGISTRY.get_sample_value("hutong_gateway_news_age_seconds", {"feed": feed})


async def test_no_age_is_shown_that_nobody_could_read():
    """With the cache down an age that stands still would look like news that come."""
    cache: Any = Cache(10)
    policies: Any = None
    probe = Probe(cache, policies, clock=lambda: NOW, feeds=("readiness",), news_seconds=5.0)
    await cache.begin("readiness", News(cursor="0", as_of=Instant(NOW - 2 * SECOND)))
    await probe.news_ages()
    assert 2.0 == age("readiness")
    cache.down = True
    with pytest.raises(CacheDownError):
        await probe.news_ages()
    shown = age("readiness")
    assert shown is not None
    assert math.isnan(shown)
