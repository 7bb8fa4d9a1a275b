"""A records service over each kind of store."""

from collections.abc import AsyncIterator

import pytest

from services.records.store.protocols.record_store import RecordStore
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened


@pytest.fixture
def store_url(any_store_url: str) -> str:
    """Returns the URL of an empty store of any kind, that of a cluster too: this suite is run by all of them."""
    return any_store_url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[RecordStore]:
    """An empty store."""
    async with opened(store_url) as opened_store:
        yield opened_store


@pytest.fixture
def records(store: RecordStore) -> Records:
    """The service of region 430000 over it."""
    return Records(store, ManualClock())
