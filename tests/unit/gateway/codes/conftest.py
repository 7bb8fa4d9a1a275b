"""A gateway over a mesh in miniature, with a cache in memory."""

from collections.abc import AsyncIterator

import pytest

from gateway.application.application import Application
from gateway.codes.cache.memory import MemoryCache
from gateway.composition import Gateway
from gateway.settings import GatewaySettings
from tests.testkit.fakes.forward_clock import ForwardClock
from tests.testkit.fakes.mesh import PERSON, Mesh, compose, record, until_ready
from tests.testkit.secret import SECRET


@pytest.fixture
def time() -> ForwardClock:
    """The mesh's and the gateway's."""
    return ForwardClock()


@pytest.fixture
def mesh(time: ForwardClock) -> Mesh:
    """A mesh that knows one test of one person, kept in Hunan."""
    mesh = Mesh(time)
    mesh.records[PERSON].append(record())
    return mesh


@pytest.fixture
async def cache() -> MemoryCache:
    """The gateway's."""
    return MemoryCache(1000)


@pytest.fixture
async def gateway(mesh: Mesh, cache: MemoryCache) -> AsyncIterator[Gateway]:
    """A gateway that is not patient."""
    gateway = compose(mesh, GatewaySettings(mesh_secret=SECRET, compute_seconds=0.3, news_seconds=1.0), cache=cache)
    async with gateway.service.running():
        await until_ready(gateway)
        yield gateway


@pytest.fixture
def application(gateway: Gateway) -> Application:
    """Its application."""
    return gateway.application
