"""A real PostgreSQL for tests: started once a session on an ephemeral loopback port, ended with it.

Its fixtures are those of tests/conftest.py. Where no server can be started the tests that need one are skipped, and
fail when CI=true: there, a suite that silently tested half of it is no suite.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from bench.servers.postgres import CannotStartError, PostgresServer, start
from tests.testkit.needs import missing

__all__ = ["PostgresServer", "postgres_server", "postgres_url"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test session."""
    try:
        server = start()
    except CannotStartError as error:
        missing(f"no PostgreSQL: {error}")
    yield server
    server.stop()


@pytest.fixture
async def postgres_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URL of an empty database of its own."""
    url = await postgres_server.create_database()
    yield url
    await postgres_server.drop_database(url)
