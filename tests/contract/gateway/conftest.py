"""A cache of verdicts of each kind. What a gateway keeps by itself is in one database: clusters are for records."""

from collections.abc import AsyncIterator

import pytest

from gateway.codes.cache.protocol import VerdictCache
from tests.testkit.servers.store_urls import store_url
from tests.testkit.servers.verdict_cache import Open, begun, opener

__all__ = ["store_url"]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def open_cache(request: pytest.FixtureRequest) -> Open:
    """Returns what opens a cache of each kind."""
    return opener(request.param, request)


@pytest.fixture
async def cache(open_cache: Open) -> AsyncIterator[VerdictCache]:
    """An empty cache of each kind."""
    async with begun(open_cache) as cache:
        yield cache
