"""The age of the news is told."""

import asyncio
import math
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from gateway.application.first_contact import FirstContact
from gateway.application.readiness import Probe
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.cache.protocol import CacheDownError, News
from services.common.errors import Unavailable
from services.common.instants import SECOND, Instant
from tests.testkit.identities import gateway_mesh

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
    nobody: Any = None
    probe = Probe(cache, policies, nobody, gateway_mesh(), clock=lambda: NOW, feeds=("readiness",), news_seconds=5.0)
    await cache.begin("readiness", News(cursor="0", as_of=Instant(NOW - 2 * SECOND)))
    await probe.news_ages()
    assert 2.0 == age("readiness")
    cache.down = True
    with pytest.raises(CacheDownError):
        await probe.news_ages()
    shown = age("readiness")
    assert shown is not None
    assert math.isnan(shown)


class Lookup:
    """One that is away at first."""

    name = "holders"
    away = 2

    async def watch(self, cursor: str | None) -> AsyncGenerator[News, None]:
        """Answers the third time."""
        if self.away:
            self.away -= 1
            raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")
        yield News(cursor="feed/0")


async def test_a_new_gateway_counts_once_it_has_reached_lookup():
    """With a wrong address it is never ready, and a rollout stops at its first pod; later nothing takes it out."""
    policies: Any = SimpleNamespace(told=True, recent=lambda seconds: True, trouble="")
    lookup = Lookup()
    contact = FirstContact(lookup)
    probe = Probe(MemoryCache(10), policies, contact, gateway_mesh(), clock=lambda: NOW, feeds=(), news_seconds=5.0)
    with pytest.raises(RuntimeError):
        await probe.lookup()
    async with asyncio.timeout(10):
        await contact.run()
    lookup.away = 100
    await probe.lookup()
