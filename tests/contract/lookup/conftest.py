"""A holder store over each kind of database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.lookup.store.protocol import HolderStore
from tests.testkit.servers.citus import needs_citus
from tests.testkit.servers.holder_store import opened


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("coordinator", marks=needs_citus, id="citus"),
    ]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Returns the URL of a store that is yet to be made. On a cluster it is the coordinator's alone."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lookup.db'}"
    made: str = request.getfixturevalue(f"{request.param}_url")
    return made


@pytest.fixture
async def store(url: str) -> AsyncIterator[HolderStore]:
    """An empty store."""
    async with opened(url) as store:
        yield store
