"""The store's statements and tables keep the rules of Citus, which itself cannot be had here."""

import asyncpg
import pytest

from services.records.store.postgres.schema import MIGRATIONS
from services.records.store.postgres.store import PostgresStore
from services.records.store.schemas import SCHEMAS
from services.runtime.storage.migration_command import migrate
from tests.testkit.checks.citus import DISTRIBUTED, is_cold, offences, offences_of_tables
from tests.testkit.checks.statements import recorded, tables_of
from tests.testkit.checks.store_walk import walk

pytestmark = pytest.mark.postgres

SHARED = {table for one in MIGRATIONS for table in one.shared}

STUBS = """
create function create_distributed_table(t regclass, c text, shard_count int, colocate_with text)
returns void language sql as '';
create function create_reference_table(t regclass) returns void language sql as '';
"""


@pytest.fixture
async def distributed_url(postgres_url: str) -> str:
    """A database with the tables as they are handed to Citus."""
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(STUBS)
    await connection.close()
    await migrate(SCHEMAS, postgres_url, distribute=True)
    return postgres_url


async def test_every_statement_keeps_the_rules(distributed_url):
    """All that the store sends: what touches a distributed table names its column, but for the few that are listed as
    cold, joins nothing that lies elsewhere, and locks no rows there."""
    assert dict(DISTRIBUTED) == {table: column for one in MIGRATIONS for table, column in one.hashed}
    with recorded() as sent:
        store = PostgresStore(distributed_url, drives_copies=True)
        await walk(store)
        await store.close()
    said = {one.query for one in sent}
    assert {} == {query: found for query in said if (found := list(offences(query, SHARED, cold=is_cold(query))))}
    assert 12 < sum(bool(tables_of(query) & set(DISTRIBUTED)) for query in said)


async def test_the_tables_keep_the_rules(distributed_url):
    """No unique index without the column, no sequences, no triggers, no foreign keys."""
    connection = await asyncpg.connect(distributed_url)
    assert [] == await offences_of_tables(connection)
    await connection.execute(
        "create unique index one on revision (sequence); alter table identity add number bigserial; "
        "alter table revision add foreign key (region, source_id) references identity"
    )
    assert 3 == len(await offences_of_tables(connection))
    await connection.close()


@pytest.mark.parametrize(
    ("query", "offence"),
    [
        ("select body from revision where sequence > $1", "does not name person_key"),
        ("delete from identity where region = $1", "does not name source_id"),
        (
            "select 1 from identity join revision using (source_id) where person_key = $1 and source_id = $2",
            "joins tables that are not kept together",
        ),
        ("select 1 from revision join conflict using (source_id) where person_key = $1", "mixes distributed and local"),
        ("select 1 from revision where person_key = $1 for update", "locks rows over shards"),
        (
            "with gone as (delete from revision where person_key = $1 returning 1) select 1 from gone",
            "writes within another statement",
        ),
        ("insert into identity values ($1) on conflict (region) do nothing", "a conflict target without source_id"),
        (
            "insert into identity values ($1) on conflict (region, source_id) do update set region = now()::text",
            "a function in on conflict do update",
        ),
        (
            "select 1 from unnest($1) as asked(person_key) cross join lateral ( select * from revision "
            "where person_key = asked.person_key order by revision limit 1 ) as r",
            "a lateral subquery that a shard cannot answer alone",
        ),
    ],
)
def test_what_breaks_a_rule_is_seen(query, offence):
    """Each rule refuses what it is about, and nothing but that."""
    assert [True] == [one.startswith(offence) for one in offences(query, SHARED)], list(offences(query, SHARED))
