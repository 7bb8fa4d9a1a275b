"""A holder store over each kind of database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.lookup.store.protocol import HolderStore
from tests.testkit.servers.holder_store import opened
from tests.testkit.servers.postgres import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest) -> PostgresServer | None:
    """The server of the backend under test; SQLite has none."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_server")


@pytest.fixture
async def url(server: PostgresServer | None, tmp_path: Path) -> AsyncIterator[str]:
    """Returns the URL of a store that is yet to be made."""
    if server is None:
        yield f"sqlite:///{tmp_path / 'lookup.db'}"
        return
    made = await server.create_database()
    yield made
    await server.drop_database(made)


@pytest.fixture
async def store(url: str) -> AsyncIterator[HolderStore]:
    """An empty store."""
    async with opened(url) as store:
        yield store
