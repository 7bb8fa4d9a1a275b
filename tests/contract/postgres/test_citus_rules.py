"""The store's statements and tables keep the rules of Citus; where there is a cluster, it is asked for each rule."""

import asyncpg
import pytest
from hutong.records.v1.record_pb2 import Origin

from services.records.domain.revisions import RecordId
from services.records.domain.selection import Selection
from services.records.store.postgres.keyed_statement import FEW
from services.records.store.postgres.schema import MIGRATIONS
from services.records.store.postgres.store import PostgresStore
from services.records.store.values.records import LATEST
from services.runtime.storage.postgres.statements import one_by_one, statements
from tests.testkit.builders.records import person, result, sampling
from tests.testkit.checks.citus import DISTRIBUTED, is_cold, make_as_distributed, offences, offences_of_tables
from tests.testkit.checks.statements import recorded, tables_of
from tests.testkit.checks.store_walk import OWNER, walk
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.citus import needs_citus
from tests.testkit.servers.records_service import Records

pytestmark = pytest.mark.postgres


@pytest.fixture
async def distributed_url(postgres_url: str) -> str:
    """A database with the tables as they are handed to Citus."""
    await make_as_distributed(postgres_url)
    return postgres_url


async def test_every_statement_keeps_the_rules(distributed_url):
    """All that the store sends: what touches a distributed table names its column, but for the few that are listed as
    cold, joins nothing that lies elsewhere, and locks no rows there."""
    assert dict(DISTRIBUTED) == {table: column for one in MIGRATIONS for table, column in one.hashed}
    with recorded() as sent:
        store = PostgresStore(distributed_url, drives_copies=True, owner=OWNER)
        await walk(store)
        await store.close()
    said = {one.query for one in sent}
    assert {} == {query: found for query in said if (found := list(offences(query, cold=is_cold(query))))}
    assert 12 < sum(bool(tables_of(query) & set(DISTRIBUTED)) for query in said)


async def test_what_is_about_a_few_asks_their_shards_alone(distributed_url):
    """Reads of few people's records, of the originals of copies, and what is counted of a few laboratories' samples; to
    ask every shard takes a hundred times as long."""
    store = PostgresStore(distributed_url)
    records = Records(store, ManualClock(), keeps=("430000", "340000"))
    for number in range(1, 4):
        await records.submit(f"S{number}", person(number), result() if number > 1 else sampling(-30.0))
    copied = result(origin=Origin(region="430000", source_id="S2", revision=1))
    await store.close()
    with recorded() as sent:
        store = PostgresStore(distributed_url)
        records = Records(store, ManualClock(), keeps=("430000", "340000"))
        for _ in range(2):
            await records.submit("C1", person(1), copied, region="340000")
        assert 2 == len((await records.batch([person(1)])).people[0].records)
        people = [person(number) for number in range(1, FEW + 1)]
        for selection in (None, Selection(LATEST, 5, 2, ("430000",))):
            assert 3 == len((await store.people(people, LATEST, selection=selection)).records)
        assert {} == (await store.people([], LATEST)).records
        assert 2 == len(await store.holders([RecordId("430000", f"S{number}") for number in (1, 2)]))
        async with store.figures.reading() as figures:
            keys = await figures.record_keys([("430000", f"S{number}") for number in (1, 2, 3)])
            assert 3 == len(keys) == len(await figures.revisions(keys, 10))
            assert 3 == len(await figures.people(people, 10))
        await store.close()
    said = {one.query for one in sent}
    assert {} == {query: found for query in said if (found := list(offences(query, cold=is_cold(query), few=True)))}
    assert 8 < sum(bool(tables_of(query) & set(DISTRIBUTED)) for query in said)


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


REFUSED = [
    (
        "select 1 from identity join revision using (source_id) where revision.person_key = $1 and source_id = $2",
        (b"1", "S"),
        "joins tables that are not kept together",
    ),
    ("select 1 from revision where person_key = any($1) for update", ([b"1", b"2"],), "locks rows over shards"),
    (
        "insert into identity values ('4', $1, $2) on conflict (region, source_id) do update set region = now()::text",
        ("S", b"1"),
        "a function in on conflict do update",
    ),
    (
        "select 1 from unnest($1::bytea[]) as asked(person_key) cross join lateral ( select * from revision "
        "where person_key = asked.person_key order by revision limit 1 ) as r",
        ([b"1"],),
        "a lateral subquery that a shard cannot answer alone",
    ),
]
"""Statements that no cluster takes, with their arguments."""

DEAR = [
    ("select body from revision where sequence > $1", "does not name person_key"),
    ("delete from identity where region = $1", "does not name source_id"),
]
"""Statements that a cluster takes, and asks every node."""


def test_what_is_about_a_few_and_asks_every_shard_is_seen():
    """The rule tells a statement that asks every shard for the few keys that it is about."""
    query = (
        "select 1 from unnest($1::bytea[]) as asked(person_key) cross join lateral ( select * from revision "
        "where person_key = asked.person_key order by revision ) as r"
    )
    assert [] == list(offences(query))
    assert ["asks every shard"] == list(offences(query, few=True))


@pytest.mark.parametrize(("query", "offence"), [*((query, offence) for query, _, offence in REFUSED), *DEAR])
def test_what_breaks_a_rule_is_seen(query, offence):
    """Each rule refuses what it is about, and nothing but that."""
    assert [offence] == list(offences(query))


@needs_citus
async def test_catalogs_are_read_as_on_one_node(citus_url):
    """A cluster looks at each relation for whether it is a shard, unless it is told to show them: the store's driver
    reads the catalogs on each connection."""
    query = "explain select 1 from pg_class"
    connection = await asyncpg.connect(citus_url)
    assert "known_shard" in str(await connection.fetch(query))
    await connection.close()
    store = PostgresStore(citus_url)
    assert "known_shard" not in str(await store._run(lambda connection: connection.fetch(query)))
    await store.close()


@needs_citus
async def test_what_a_rule_refuses_a_cluster_refuses(citus_url):
    """A rule that it does not need is no rule here."""
    connection = await asyncpg.connect(citus_url)
    for query, arguments, _ in REFUSED:
        with pytest.raises(asyncpg.PostgresError):
            await connection.fetch(query, *arguments)
    for query, offence in DEAR:
        assert [offence] == list(offences(query))
        await connection.fetch(query, 1 if "sequence" in query else "430000")
    await connection.close()


def test_a_cluster_is_given_one_statement_at_a_time():
    """It hands what comes in one message to its nodes as one: every migration is taken apart, and loses nothing."""
    for migration in MIGRATIONS:
        sql = statements(migration, distribute=True)
        apart = one_by_one(sql)
        assert sql.count(";") == len(apart)
        assert "".join(sql.split()).replace(";", "") == "".join("".join(apart).split())
