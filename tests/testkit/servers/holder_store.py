"""Holder stores for tests, and what holders do in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hutong.lookup.v1.region_pb2 import Scope

from services.common.instants import Instant
from services.lookup.domain.holders import Link, Switch, Unlink
from services.lookup.settings import Settings
from services.lookup.store.opening import open_store
from services.lookup.store.protocol import HolderStore
from tests.testkit.secret import SECRET

NOW = Instant(1_790_000_000_000_001)


def clock() -> Instant:
    """A clock that stands."""
    return NOW


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[HolderStore]:
    """A store, closed afterwards."""
    store = open_store(Settings(mesh_secret=SECRET, store_url=url, store_migrate=True), alone=False)
    try:
        yield store
    finally:
        await store.close()


def key(number: int) -> bytes:
    """A person key."""
    return number.to_bytes(16, "big")


async def link(store: HolderStore, one: int, other: int, request_id: str = "") -> bool:
    """Links two documents and says whether that changed anything."""
    return (await store.commit(Link(key(one), key(other), "passport renewed", request_id), clock)).changes


async def unlink(store: HolderStore, one: int, other: int, request_id: str = "") -> bool:
    """Undoes a link."""
    return (await store.commit(Unlink(key(one), key(other), "linked by mistake", request_id), clock)).changes


async def switch(store: HolderStore, number: int, region: str, scope: Scope.ValueType, request_id: str = "") -> bool:
    """Switches a holder's code and says whether that changed anything."""
    return (await store.commit(Switch(key(number), region, scope, request_id), clock)).changes


LOCAL, NATIONAL = Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL


LIAONING, JILIN = "210000", "220000"
