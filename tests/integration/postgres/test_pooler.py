"""PostgreSQL behind a pooler that gives each transaction another session: all is done there, by several at once."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from services.lookup.domain.holders import Link
from services.lookup.store.owner import Owner
from services.lookup.store.postgres.store import PostgresHolderStore
from services.records.store.postgres.store import PostgresStore
from services.records.store.schemas import SCHEMAS
from services.runtime.storage.migration_command import migrate
from services.runtime.storage.move.postgres import PostgresPlace
from services.runtime.storage.postgres.pooler import is_pooled
from services.runtime.storage.schema import SchemaError
from tests.testkit.builders.records import person, result
from tests.testkit.checks.store_walk import fill, walk
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.pgbouncer import pooling
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.servers.records_service import Records

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module", params=["transaction", "session"])
def port(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[int]:
    """The port of a pooler in each mode. In a transaction's mode all share two sessions."""
    with pooling(postgres_server, request.param, 2 if request.param == "transaction" else 20) as port:
        yield port


def through(port: int, url: str) -> str:
    """The URL of a database by way of the pooler."""
    return f"postgresql://hutong@127.0.0.1:{port}/{url.rpartition('/')[2]}"


async def test_a_store_does_all_it_does(port: int, postgres_url: str) -> None:
    """It is made there, then two replicas write and read at once, and one is purged of everything; Lookup's as well. No
    statement of one is another's."""
    url = through(port, postgres_url)
    assert 0 < len(await migrate(SCHEMAS, url))
    assert [] == list(await migrate(SCHEMAS, url))
    one, other = PostgresStore(url, drives_copies=True), PostgresStore(url, drives_copies=True)
    records = Records(other, ManualClock())

    async def write(number: int) -> None:
        await records.submit(f"OTHER-{number}", person(100_000 + number), result())
        assert 1 == len(await records.of(person(100_000 + number)))

    await asyncio.gather(fill(one), *(write(number) for number in range(40)))
    await one.close()
    await other.close()


async def test_every_statement_is_sent_through_it(port: int, postgres_url: str) -> None:
    """The walk of the statements' tests, purge included."""
    store = PostgresStore(through(port, postgres_url), migrates=True, drives_copies=True)
    await walk(store)
    await store.close()


async def test_a_move_takes_no_pooler(port: int, postgres_url: str) -> None:
    """It keeps one session for hours: one sentence says so, before anything is done."""
    place = PostgresPlace(through(port, postgres_url), SCHEMAS.postgres)
    with pytest.raises(SchemaError, match="pooler"):
        await place.make()
    await place.close()


async def test_holders_are_linked_through_it(port: int, postgres_url: str) -> None:
    """Two replicas, each of which makes the tables if need be."""
    url = through(port, postgres_url)
    stores = [PostgresHolderStore(url, Owner(bytes(8)), migrates=True) for _ in range(2)]
    await stores[0].ping()
    for number, store in enumerate(stores * 5):
        await store.commit(Link(person(2 * number), person(2 * number + 1), "", ""), ManualClock())
    assert 10 == await stores[0].last()
    for store in stores:
        await store.close()


async def test_settings_hold_within_a_transaction(port: int, postgres_url: str) -> None:
    """What the pooler does not let through when a connection is made: here, that no statement takes for ever."""
    url = through(port, postgres_url)
    assert await is_pooled(url, seconds=30, writes=True)
    assert not await is_pooled(postgres_url, seconds=30, writes=True)
    store = PostgresStore(url, migrates=True, statement_seconds=7.0)
    said = await store._connections.run(lambda connection: connection.fetchval("show statement_timeout"))
    assert "7s" == said
    await store.close()
    connection = await asyncpg.connect(url, statement_cache_size=0)
    assert "0" == await connection.fetchval("show statement_timeout")
    await connection.close()
