"""The verdict service for tests, as an object and behind a port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.runtime.rpc.connection import Connection
from services.runtime.rpc.server import Server
from services.verdict.composition import POLICIES, VERDICTS, build
from services.verdict.settings import Settings
from tests.testkit.builders.verdict_requests import NOW
from tests.testkit.calls import local, remote
from tests.testkit.fakes.lookup import FakeLookup
from tests.testkit.secret import SECRET


@asynccontextmanager
async def in_process(lookup: FakeLookup) -> AsyncIterator[Any]:
    """The service as an object."""
    service = build(Settings(mesh_secret=SECRET), evidence=lookup, clock=lambda: NOW)
    async with service.running():
        yield local("verdict", "test", service.bindings)


@asynccontextmanager
async def over_a_wire(lookup: FakeLookup) -> AsyncIterator[Any]:
    """The service behind a port."""
    service = build(Settings(mesh_secret=SECRET), evidence=lookup, clock=lambda: NOW)
    server = Server(service.name, service.bindings, service.pings)
    async with service.running():
        port = await server.start("127.0.0.1:0")
        channel = Connection(f"127.0.0.1:{port}")
        try:
            yield remote("verdict", "test", channel, [VERDICTS, POLICIES])
        finally:
            await channel.close()
            await server.drain(0, 0)
