"""The lookup service for tests, as an object of this process and behind gRPC. Import the fixture `lookup`."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.lookup.v1.evidence_service_pb2 import EvidenceQuery

from services.common.regions import NATION
from services.lookup.composition import NAME, build
from services.lookup.settings import Settings
from services.runtime.rpc.call import enter, leave, within
from services.runtime.rpc.connection import Connection
from services.runtime.rpc.server import Server
from tests.testkit.calls import local, remote
from tests.testkit.fakes.record_store import RecordStore
from tests.testkit.secret import SECRET

PURPOSE = Purpose.PURPOSE_SHOW_CODE
DECISION = Purpose.PURPOSE_HOLDER_DECISION

Start = Callable[..., Any]
"""`await start(stores, **settings)` gives an object with every method of lookup's contracts."""


def settings(folder: Path, **others: Any) -> Settings:
    """Settings of a lookup service that keeps its store in this directory, unless a `store_url` is given."""
    store = {"store_url": f"sqlite:///{folder / 'lookup.db'}", "store_migrate": True}
    return Settings(mesh_secret=SECRET, **{**store, **others})


@pytest.fixture(params=["local", "grpc"])
async def lookup(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts lookup over these record stores, by name, and gives it as an object or over gRPC."""
    async with AsyncExitStack() as stack:

        async def start(stores: Mapping[str, RecordStore], **others: Any) -> Any:
            intakes = {name: store for name, store in stores.items() if name != NATION}
            service = build(settings(tmp_path, **others), sources=stores, intakes=intakes)
            await stack.enter_async_context(service.running())
            if request.param == "local":
                return local(NAME, "test", service.bindings)
            server = Server(NAME, service.bindings, service.pings)
            channel = Connection(f"127.0.0.1:{await server.start('127.0.0.1:0')}")
            stack.push_async_callback(server.drain, 0, 0)
            stack.push_async_callback(channel.close)
            return remote(NAME, "test", channel, [binding.contract for binding in service.bindings])

        yield start


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Calls made meanwhile have so many seconds, all together."""
    token = enter(within(seconds))
    try:
        yield
    finally:
        leave(token)


def mesh(*regions: str) -> dict[str, RecordStore]:
    """A store for each region, and the nation's that follows them all."""
    stores = {region: RecordStore(region) for region in regions}
    return {**stores, NATION: RecordStore(NATION, follows=stores.values())}


def key(number: int) -> bytes:
    """A person key."""
    return number.to_bytes(16, "big")


def person(number: int) -> Subject:
    """The person with a numbered key."""
    return Subject(person_key=key(number))


def query(number: int, region: str = "110000", **others: Any) -> EvidenceQuery:
    """A question about the person with a numbered key."""
    return EvidenceQuery(subject=person(number), region=region, **others)
