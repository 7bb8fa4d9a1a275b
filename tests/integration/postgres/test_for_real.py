"""PostgreSQL as it is run: migrations by command, a replica that stands still, purging, Citus's tables."""

import asyncio
import sys
from asyncio.subprocess import PIPE

import asyncpg
import pytest
from hutong.records.v1.change_feed_service_pb2 import FeedCursor, ListChangesRequest
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome

from services.common.errors import Unavailable
from services.common.instants import DAY, Instant
from services.lookup.store.schemas import SCHEMAS as HOLDERS
from services.records.retention.purge import purge
from services.records.store.postgres.schema import MIGRATIONS, SCHEMA
from services.records.store.postgres.store import PostgresStore
from services.records.store.schemas import SCHEMAS
from services.records.store.values.feed import Head
from services.records.store.values.records import People
from services.runtime.clock import system_clock
from services.runtime.storage.migration_command import migrate
from services.runtime.storage.postgres import migration
from services.runtime.storage.postgres.migration import check
from services.runtime.storage.postgres.statements import NOTE, script, statements
from services.runtime.storage.schema import Migration, Schema, SchemaError
from tests.testkit.builders.records import person, result, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.tools import ROOT

pytestmark = pytest.mark.postgres

_RECORDS_LEDGER = """
create table schema_migration (
    number integer primary key, name text not null, distributed boolean not null,
    applied_at timestamptz not null default now()
);
insert into schema_migration select number, name, distributed from store_migration
"""
_HOLDERS_LEDGER = """
create table holder_schema (number integer primary key);
insert into holder_schema select number from store_migration
"""


async def command(*arguments: str, **environ: str) -> tuple[int, str, str]:
    """Runs a module of the software; its status and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", *arguments),
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", **environ},
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_service_refuses_tables_that_are_not_up_to_date(postgres_url):
    """It ends with status 2 and the command to run; after that command it would start."""
    environ = {"HUTONG_REGION": "430000", "HUTONG_MESH_SECRET": SECRET, "HUTONG_STORE_URL": postgres_url}
    status, _, said = await command("services.records", **environ)
    assert 2 == status
    assert "hutong migrate records" in said
    status, said, _ = await command("cli", "migrate", "records", "--store-url", postgres_url)
    assert (0, [f"{one.number} {one.name}" for one in MIGRATIONS]) == (status, said.splitlines()[:-1])
    status, said, _ = await command("services.records.migrate", "--store-url", postgres_url)
    assert (0, 1) == (status, len(said.splitlines()))
    await PostgresStore(postgres_url).check_schema()


@pytest.mark.parametrize(
    ("schemas", "ledger"), [(SCHEMAS, _RECORDS_LEDGER), (HOLDERS, _HOLDERS_LEDGER)], ids=["records", "lookup"]
)
async def test_what_an_earlier_program_noted_is_taken_over(postgres_url, schemas, ledger):
    """A database whose migrations stand in the ledger of its time is up to date as it is; migrating it does nothing but
    note them where they stand now."""
    await migrate(schemas, postgres_url)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(ledger)
    await connection.execute("drop table store_migration")
    await check(connection, schemas.postgres)
    assert [] == await migrate(schemas, postgres_url)
    rows = await connection.fetch("select number from store_migration where store = $1", schemas.store)
    assert [one.number for one in schemas.postgres.migrations if not one.adds] == sorted(row[0] for row in rows)
    await connection.close()


async def test_lookup_refuses_tables_that_are_not_up_to_date(postgres_url):
    """As records does: no service alters a database that it was not told to alter."""
    environ = {"HUTONG_MESH_SECRET": SECRET, "HUTONG_STORE_URL": postgres_url}
    status, _, said = await command("services.lookup", **environ)
    assert (2, True) == (status, "hutong migrate lookup" in said)
    connection = await asyncpg.connect(postgres_url)
    assert 0 == await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'")
    assert (0, "") == (await command("services.lookup.migrate", **environ))[::2]
    await check(connection, HOLDERS.postgres)
    await connection.close()


@pytest.mark.parametrize(("owner", "visitor"), [(SCHEMAS, HOLDERS), (HOLDERS, SCHEMAS)], ids=["records", "lookup"])
async def test_a_database_holds_one_store(postgres_url, owner, visitor):
    """Another kind of store is not made beside it."""
    await migrate(owner, postgres_url)
    with pytest.raises(SchemaError, match="something else"):
        await migrate(visitor, postgres_url)


async def test_the_statements_by_hand_do_what_the_command_does(postgres_url):
    """What --sql prints makes a database that the service takes, with a feed of its own."""
    _, printed, _ = await command("cli", "migrate", "records", "--sql")
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(printed)
    await check(connection, SCHEMA)
    assert 32 == len(await connection.fetchval("select feed_id from feed_head"))
    assert [] == await migrate(SCHEMAS, postgres_url)
    await connection.close()


async def test_the_command_says_what_is_wrong(postgres_url):
    """A URL of no store, and a database that is not there."""
    assert 2 == (await command("cli", "migrate", "records", "--store-url", "mysql://x"))[0]
    status, _, said = await command("cli", "migrate", "lookup", "--store-url", postgres_url + "-not")
    assert (4, True) == (status, "InvalidCatalogName" in said)


async def test_a_newer_database_is_refused(postgres_url):
    """An old program does not write tables it does not know."""
    await migrate(SCHEMAS, postgres_url)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(NOTE, "records", SCHEMA.newest + 1, "from the future", False)
    await connection.close()
    with pytest.raises(SchemaError, match="update it"):
        await PostgresStore(postgres_url).check_schema()


async def test_a_program_goes_on_with_what_was_only_added(postgres_url):
    """It finds its tables, and migrates nothing; what is more than an addition is refused."""
    first = Migration(1, "first", "create table first (a int);")
    second = Migration(2, "second", "create table second (a int);", adds=True)
    third = Migration(3, "third", "drop table first;")
    before, now, later = (Schema("tests", "first", [first, second, third][:count]) for count in (1, 2, 3))
    connection = await asyncpg.connect(postgres_url)
    assert [first, second] == list(await migration.migrate(connection, now))
    assert [] == list(await migration.migrate(connection, now))
    assert [] == list(await migration.migrate(connection, before))
    assert 2 == await migration.version(connection, now)
    assert [third] == list(await migration.migrate(connection, later))
    for each in (before, now):
        with pytest.raises(SchemaError, match="at 3, this program knows only"):
            await migration.check(connection, each)
    # What is printed for who applies it by hand notes the same.
    fourth = Migration(4, "fourth", "create table fourth (a int);", adds=True)
    await connection.execute(script("tests", fourth, distribute=False))
    assert 4 == await migration.version(connection, now)
    await migration.check(connection, later)
    await connection.close()


async def test_tables_made_before_migrations_existed_are_taken_over(postgres_url):
    """A database of the first version keeps its rows and gets what came later."""
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(statements(MIGRATIONS[0], distribute=False))
    await connection.execute("update feed_head set feed_id = 'f'")
    applied = await migrate(SCHEMAS, postgres_url)
    assert list(MIGRATIONS[1:]) == list(applied)
    assert "f" == await connection.fetchval("select feed_id from feed_head")
    await connection.close()


async def test_migrations_at_once_are_applied_once(postgres_url):
    """Several replicas' jobs start together: each migration is one's."""
    applied = await asyncio.gather(*(migrate(SCHEMAS, postgres_url) for _ in range(4)))
    assert [one.number for one in MIGRATIONS] == sorted(one.number for several in applied for one in several)


_CITUS = """
create table calls (number serial, call text);
create function create_distributed_table(t regclass, c text, shard_count int, colocate_with text)
returns void language sql as $$ insert into calls (call) values (t::text || ' by ' || c || ' ' || shard_count) $$;
create function create_reference_table(t regclass) returns void language sql
as $$ insert into calls (call) values (t::text || ' everywhere') $$;
"""


async def test_the_same_tables_are_distributed_on_citus(postgres_url):
    """With --distribute the tables are not partitioned but handed to Citus, by person; the whole contract's statements
    run on them as they are. Citus itself is a stub here, which notes how it was called."""
    with pytest.raises(SchemaError, match="Citus"):
        await migrate(SCHEMAS, postgres_url, distribute=True)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(_CITUS)
    await migrate(SCHEMAS, postgres_url, distribute=True)
    calls = [row[0] for row in await connection.fetch("select call from calls order by number")]
    assert [
        "identity by source_id 32",
        "revision by person_key 32",
        "feed_head everywhere",
        "laboratory everywhere",
        "purged everywhere",
        "feed_mark everywhere",
    ] == calls
    assert 0 == await connection.fetchval("select count(*) from pg_inherits")
    await connection.close()
    async with opened(postgres_url) as store:
        records = Records(store, ManualClock())
        made = (await records.submit("S1", person(1), result())).record
        assert [made] == await records.of(person(1))
        assert [made] == await records.history("S1")


async def test_partitioned_tables_are_not_distributed_afterwards(postgres_url):
    """It is decided with the first migration."""
    await migrate(SCHEMAS, postgres_url)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(_CITUS)
    await connection.execute("delete from store_migration where number > 1; delete from store_addition")
    await connection.close()
    with pytest.raises(SchemaError, match="partitioned already"):
        await migrate(SCHEMAS, postgres_url, distribute=True)


class Original(PostgresStore):
    """A store that can be cut off."""

    cut = False

    async def people(self, person_keys, known_at, *, original=False, selection=None) -> People:
        """Or not."""
        if self.cut:
            raise Unavailable("STORE_UNAVAILABLE", "", "")
        return await super().people(person_keys, known_at, original=original, selection=selection)

    async def head(self) -> Head:
        """Or not."""
        if self.cut:
            raise Unavailable("STORE_UNAVAILABLE", "", "")
        return await super().head()


async def test_a_replica_is_read_while_it_keeps_up(postgres_server: PostgresServer, postgres_url):
    """Level with the original it answers as of the last look; behind, the original answers; alone, it answers as of
    its own last commit, and says so."""
    clock = ManualClock()
    original = Original(postgres_url, migrates=True)
    records = Records(original, clock)
    first = (await records.submit("S1", person(1), result())).record
    await original.close()
    # A copy of the database is a replica that stands still.
    copied = f"{postgres_url}r"
    connection = await asyncpg.connect(postgres_server.dsn())
    await connection.execute(f"create database {copied.rpartition('/')[2]} template {postgres_url.rpartition('/')[2]}")
    await connection.close()
    original = Original(postgres_url)
    replica = PostgresStore(copied, is_replica=True)
    records = Records(original, clock, replica=replica)
    try:
        clock.forward(10)
        now = clock.now
        level = await records.batch([person(1)])
        assert [first] == list(level.people[0].records)
        assert now <= level.as_of.seconds * 1_000_000 + level.as_of.nanos // 1000 <= clock.now

        amended = await records.amend("S1", 1, result(reported=-0.5))
        assert [amended] == await records.of(person(1))

        original.cut = True
        clock.forward(10)
        alone = await records.batch([person(1)])
        assert [first] == list(alone.people[0].records)
        assert first.recorded_at == alone.as_of
    finally:
        await replica.close()
        await original.close()
        await postgres_server.drop_database(copied)


async def test_a_purge_takes_whole_old_records_and_leaves_the_feed_readable(store_url):
    """Records whose newest revision is old are gone with all their revisions; the feed passes over their numbers, for
    who begins, who stands amid them, and who goes on; a record amended since stays whole."""
    now = system_clock()
    clock = ManualClock(Instant(now - 400 * DAY))
    async with opened(store_url) as store:
        records = Records(store, clock)
        clock.now = Instant(now - 400 * DAY)
        contents = result(-9_000.0, -9_000.0)
        await records.submit_many([submission(f"OLD{n}", person(n), contents) for n in range(1, 31)])
        await records.retract("OLD5", 1)
        clock.now = Instant(now - 10 * DAY)
        await records.amend("OLD7", 1, result(-9_000.0, -8_999.0))
        await records.submit("NEW", person(40), contents)

        assert 29 == await purge(store, 365 * 86_400, most=7)
        assert 0 == await purge(store, 365 * 86_400, most=7)
        assert [] == await records.of(person(5))
        assert [1, 2] == [one.revision for one in await records.history("OLD7")]
        ranges = [(row.purged_from, row.sequence) for row in await store.changes(0, 100) if row.purged_from]
        assert [(1, 6), (8, 31)] == ranges

        feed = records.calls

        async def read(sequence: int, size: int) -> tuple[list[tuple[str, int]], int]:
            feed_id = (await store.head()).feed_id
            answer = await feed.ListChanges(
                ListChangesRequest(cursor=FeedCursor(feed_id=feed_id, sequence=sequence), page_size=size)
            )
            return [(one.record.source_id, one.record.revision) for one in answer.changes], answer.cursor.sequence

        left = [("OLD7", 1), ("OLD7", 2), ("NEW", 1)]
        assert (left, 33) == await read(0, 100)
        assert (left, 33) == await read(3, 100)
        assert (left[1:], 33) == await read(20, 100)
        seen, at = [], 0
        while at < 33:
            page, at = await read(at, 1)
            seen += page
        assert left == seen

        # A number once purged is used no more, and a record submitted again is a new one.
        again = await records.submit("OLD1", person(1), contents)
        assert SubmitOutcome.SUBMIT_OUTCOME_CREATED == again.outcome
        assert 34 == (await store.head()).sequence


async def test_purges_at_once_take_everything_once(store_url):
    """Two that meet, and a writer beside them: each record is counted by one, and what is new stays."""
    now = system_clock()
    clock = ManualClock(Instant(now - 400 * DAY))
    async with opened(store_url) as store:
        records = Records(store, clock)
        contents = result(-9_000.0, -9_000.0)
        await records.submit_many([submission(f"OLD{n}", person(n), contents) for n in range(200)])
        clock.now = now

        async def write() -> None:
            for n in range(20):
                await records.submit(f"NEW{n}", person(n), contents)

        first, second, _ = await asyncio.gather(purge(store, 365 * 86_400, 7), purge(store, 365 * 86_400, 7), write())
        assert 200 == first + second
        assert [(1, 200)] == [(row.purged_from, row.sequence) for row in await store.changes(0, 300) if row.purged_from]
        assert [20 * [1]] == [[len(await records.history(f"NEW{n}")) for n in range(20)]]


async def test_the_purge_is_a_command(tmp_path):
    """It says how many; an age it does not understand is a wrong command line."""
    url = sqlite_url(tmp_path)
    async with opened(url) as store:
        await Records(store, ManualClock()).submit("S1", person(1), result())
    assert 2 == (await command("cli", "records", "purge", "--store-url", url, "--older-than", "1y"))[0]
    status, said, _ = await command("cli", "records", "purge", "--store-url", url, "--older-than", "365d")
    assert (0, True) == (status, "1 records were purged" in said)
