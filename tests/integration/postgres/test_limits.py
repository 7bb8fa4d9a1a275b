"""A service takes so many connections of its database, and so long for each statement, and no more."""

import asyncio

import asyncpg
import pytest

from services.common.errors import Unavailable
from services.common.identities import secret_fingerprint
from services.lookup.store.owner import Owner
from services.lookup.store.postgres.store import PostgresHolderStore
from services.records.store.postgres.store import PostgresStore
from tests.testkit.builders.records import person, result, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_service import Records

pytestmark = pytest.mark.postgres

LIMITS = "select current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"


async def test_every_connection_limits_its_statements(postgres_url, postgres_server):
    """Those to the primary, to a replica, and those of links and switches: the database itself ends what takes longer,
    also for a client that is gone."""
    for store in (
        PostgresStore(postgres_url, statement_seconds=2.5, migrates=True),
        PostgresStore(postgres_url, statement_seconds=2.5, is_replica=True),
    ):
        assert ("2500ms", "2500ms") == tuple(await store._run(lambda connection: connection.fetchrow(LIMITS)))
        await store.close()
    holders = PostgresHolderStore(
        await postgres_server.create_database(), Owner(secret_fingerprint(SECRET.encode())), timeout=2.5, migrates=True
    )
    async with holders._connection() as connection:
        assert ("2500ms", "2500ms") == tuple(await connection.fetchrow(LIMITS))
    await holders.close()


@pytest.mark.parametrize("rows", [1, 300], ids=["insert", "copy"])
async def test_what_waits_too_long_is_ended(postgres_url, rows):
    """A table that is locked: the caller is told in time, by COPY as by any statement, and nothing is left behind."""
    store = PostgresStore(postgres_url, statement_seconds=0.5, migrates=True)
    records = Records(store, ManualClock())
    offers = [submission(f"S{n}", person(n), result()) for n in range(rows)]
    await store.ping()
    other = await asyncpg.connect(postgres_url)
    async with other.transaction():
        await other.execute("lock table identity in access exclusive mode")
        with pytest.raises(Unavailable):
            async with asyncio.timeout(10):
                await records.submit_many(offers)
        # The database has ended it: nobody else waits there.
        assert 0 == await other.fetchval("select count(*) from pg_locks where not granted")
    await other.close()
    assert 0 == (await store.head()).sequence
    await records.submit_many(offers)
    assert rows == (await store.head()).sequence
    await store.close()


async def test_pools_are_bounded(postgres_url):
    """However many ask at once, there are no more connections than the setting says; the others wait their turn."""
    store = PostgresStore(postgres_url, pool_size=3, migrates=True)
    mine = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"

    async def look(connection: asyncpg.Connection) -> int:
        await connection.execute("select pg_sleep(0.01)")
        return 1 + int(await connection.fetchval(mine))

    assert 3 == max(await asyncio.gather(*(store._run(look) for _ in range(40))))
    await store.close()
