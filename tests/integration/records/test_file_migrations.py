"""SQLite files made by earlier programs open with all they hold; those of later ones are refused."""

import asyncio
import re
import sqlite3
import stat
import sys
from asyncio.subprocess import PIPE
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.instants import Instant
from services.lookup.domain.holders import Link, Switch
from services.lookup.settings import Settings as LookupSettings
from services.lookup.store.opening import open_store as open_holder_store
from services.lookup.store.postgres import schema as holders_in_postgres
from services.lookup.store.sqlite import schema as holders
from services.records.domain.replication import Cursor
from services.records.settings import Settings
from services.records.store.opening import open_store
from services.records.store.postgres import schema
from services.records.store.sqlite.schema import MIGRATIONS, SCHEMA
from services.records.store.unit_of_work import Plan, Touch
from services.records.store.values.records import LATEST
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.schema import Migration, Schema, SchemaError
from services.runtime.storage.sqlite.migration import check_file, file_version, migrate_file
from tests.testkit.builders.records import person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.tools import ROOT

NEWEST = MIGRATIONS[-1].number


def tables(file: sqlite3.Connection) -> list[str]:
    """The names of a file's tables."""
    return [name for (name,) in file.execute("select name from sqlite_schema where type = 'table' order by name")]


def shape(path: Path) -> list[str]:
    """Returns every column of every table of a file, and every index."""
    with sqlite3.connect(path) as file:
        columns = [
            f"{table}: {column[1:]}" for table in tables(file) for column in file.execute(f"pragma table_info({table})")
        ]
        indexes = file.execute("select sql from sqlite_schema where type = 'index' and sql is not null order by name")
        return columns + [" ".join(sql.split()) for (sql,) in indexes]


def earlier(full: Path, path: Path, number: int, *, numbered: bool) -> Path:
    """A file as it was at a number, with the rows that a full one has in the tables and columns it had then."""
    with sqlite3.connect(path, isolation_level=None) as file:
        migrate_file(file, replace(SCHEMA, migrations=MIGRATIONS[:number]))
        file.execute("pragma application_id = 0")
        if not numbered:
            file.execute("pragma user_version = 0")
        file.execute("attach ? as source", (str(full),))
        for table in tables(file):
            columns = ", ".join(row[1] for row in file.execute(f"pragma table_info({table})"))
            file.execute(f"delete from {table}")
            file.execute(f"insert into {table} ({columns}) select {columns} from source.{table}")
    return path


async def contents(url: str) -> tuple[object, ...]:
    """Returns the store's answers about everything it was given."""
    async with opened(url) as store:
        head = await store.head()
        return (
            await store.people([person(1), person(2)], LATEST),
            await store.changes(0, 100),
            [(row.sequence, row.body) for row in await store.laboratories(0)],
            (head.feed_id, head.sequence),
            await store.cursors(),
        )


@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "unnumbered"])
@pytest.mark.parametrize("number", range(1, 6))
async def test_a_file_of_each_earlier_number_opens_and_keeps_its_data(tmp_path, number, numbered):
    """Also one without a number, as programs made them before there were any: it is current afterwards, gives what it
    held, and takes more."""
    url = sqlite_url(tmp_path, "full")
    async with opened(url) as store:
        records = Records(store, ManualClock())
        await records.submit("S1", person(1), result())
        await records.amend("S1", 1, result(reported=-0.5))
        await records.submit("S2", person(2), result())
        cursor = Cursor("feed", 7, Instant(1))
        await store.commit(Touch(followed="440000"), lambda _: Plan(lambda _: b"", cursor=cursor), ManualClock())
    with sqlite3.connect(tmp_path / "full.db") as file:
        body = Laboratory(laboratory="430000-xiangya", revision=1).SerializeToString()
        file.execute("insert into laboratory values ('430000-xiangya', 1, 4, ?)", (body,))
        file.execute("update feed_head set sequence = 4, laboratory_sequence = 4")

    path = earlier(tmp_path / "full.db", tmp_path / "earlier.db", number, numbered=numbered)
    assert await contents(url) == await contents(sqlite_url(tmp_path, "earlier"))
    assert shape(tmp_path / "full.db") == shape(path)
    with sqlite3.connect(path) as file:
        assert NEWEST == file_version(file)
    async with opened(sqlite_url(tmp_path, "earlier")) as store:
        await Records(store, ManualClock()).submit("S3", person(3), result())
        assert 5 == (await store.head()).sequence


def test_a_migration_is_whole_or_not_at_all(tmp_path):
    """One that fails, at whichever statement, leaves the file at the number before, without what it began."""
    first = Migration(1, "first", "create table first (a);")
    bad = Migration(2, "bad", "create table second (a); insert into nowhere values (1);")
    with sqlite3.connect(tmp_path / "file.db", isolation_level=None) as file:
        migrate_file(file, Schema("tests", "first", [first]))
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            migrate_file(file, Schema("tests", "first", [first, bad]))
        assert (1, ["first"]) == (file_version(file), tables(file))


def test_a_program_goes_on_with_what_was_only_added(tmp_path):
    """It opens the file, and migrates nothing; the program that made it knows how far it is. What is more than an
    addition is refused."""
    first = Migration(1, "first", "create table first (a);")
    second = Migration(2, "second", "create table second (a);", adds=True)
    third = Migration(3, "third", "drop table first;")
    before, now, later = (Schema("tests", "first", [first, second, third][:count]) for count in (1, 2, 3))
    with sqlite3.connect(tmp_path / "file.db", isolation_level=None) as file:
        assert [first, second] == migrate_file(file, now)
        assert [] == migrate_file(file, now)
        assert [] == migrate_file(file, before)
        assert 2 == file_version(file)
        assert [(1,)] == list(file.execute("pragma user_version"))
        assert [third] == migrate_file(file, later)
        for schema_ in (before, now):
            with pytest.raises(SchemaError, match="at 3, this program knows only"):
                check_file(file, schema_)


ADDITIONS = [
    r"create table (if not exists )?\w+ \(.*\)( strict)?(, without rowid)?( \{\w+\})?",
    r"create index (if not exists )?\w+ on \w+.*",
    r"alter table \w+ add column \w+ .* default .*",
]


@pytest.mark.parametrize(
    "each",
    [
        one
        for made in (MIGRATIONS, schema.MIGRATIONS, holders.MIGRATIONS, holders_in_postgres.MIGRATIONS)
        for one in made
        if one.adds
    ],
    ids=lambda one: one.name,
)
def test_what_says_that_it_only_adds_only_adds(each):
    """Tables, plain indexes, and columns that have a default."""
    assert not each.rows
    assert all("default" in definition for _, _, definition in each.columns)
    statements = [" ".join(one.split()) for one in each.statements.split(";") if one.strip()]
    assert statements
    assert [] == [one for one in statements if not any(re.fullmatch(pattern, one) for pattern in ADDITIONS)]


async def test_a_file_ahead_of_the_program_is_refused_with_a_sentence(tmp_path):
    """The service ends with status 2, names the file, both numbers and what to do, and leaves the file as it was."""
    url = sqlite_url(tmp_path)
    async with opened(url):
        pass
    with sqlite3.connect(tmp_path / "records.db") as file:
        file.execute(f"pragma user_version = {NEWEST + 1}")
    with pytest.raises(SettingsError, match="update it"):
        open_store(Settings(region="430000", mesh_secret=SECRET, store_url=url))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.records"),
        env={
            "PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}",
            "HUTONG_REGION": "430000",
            "HUTONG_MESH_SECRET": SECRET,
            "HUTONG_STORE_URL": url,
        },
        cwd=ROOT,
        stderr=PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert 2 == process.returncode
    assert f"{url}: the schema of the file is at {NEWEST + 1}, this program knows only {NEWEST}" in said.decode()
    with sqlite3.connect(tmp_path / "records.db") as file:
        assert NEWEST + 1 == file_version(file)


async def test_holders_files_are_numbered_as_well(tmp_path):
    """A file from before there were numbers keeps its links and switches; one of a later program is refused."""
    settings = LookupSettings(mesh_secret=SECRET, store_url=f"sqlite:///{tmp_path / 'lookup.db'}", store_migrate=True)
    one, other = person(1), person(2)
    store = open_holder_store(settings)
    await store.commit(Link(one, other, "test"), ManualClock())
    await store.commit(Switch(one, "210000", Scope.SCOPE_LOCAL, "test"), ManualClock())
    before = await store.people([one, other])
    await store.close()
    with sqlite3.connect(tmp_path / "lookup.db") as file:
        file.execute("pragma user_version = 0")
        file.execute("pragma application_id = 0")
    store = open_holder_store(settings)
    assert before == await store.people([one, other])
    assert 2 == await store.last()
    await store.close()
    newest = holders.MIGRATIONS[-1].number
    with sqlite3.connect(tmp_path / "lookup.db") as file:
        assert newest == file_version(file)
        file.execute(f"pragma user_version = {newest + 1}")
    with pytest.raises(SettingsError, match="update it"):
        open_holder_store(settings)


SERVICES = {
    "records": {"HUTONG_REGION": "430000", "HUTONG_LISTEN": "127.0.0.1:0"},
    "lookup": {"HUTONG_LISTEN": "127.0.0.1:0"},
}


async def run(*arguments: str, **environ: str) -> tuple[int, str]:
    """Runs a module of the software to its end; its status and what it said to standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", *arguments),
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", "HUTONG_MESH_SECRET": SECRET, **environ},
        cwd=ROOT,
        stderr=PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.parametrize("service", SERVICES)
async def test_no_service_makes_a_store_that_it_was_not_told_to_make(tmp_path, service):
    """A file that is not there (a volume not mounted, a path mistyped) ends the service with a sentence and is not
    there afterwards; `hutong migrate` makes it, readable by its owner alone."""
    path = tmp_path / "data" / "store.db"
    environ = SERVICES[service] | {"HUTONG_STORE_URL": f"sqlite:///{path}"}
    status, said = await run(f"services.{service}", **environ)
    assert (2, False) == (status, path.parent.exists())
    assert f"hutong migrate {service}" in said
    assert (0, "") == await run("cli", "migrate", service, **environ)
    assert (0o600, 0o700) == (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode))
    assert (0, "") == await run(f"services.{service}.migrate", **environ)


@pytest.mark.parametrize("told", ["false", "true"])
@pytest.mark.parametrize(("owner", "visitor"), [("records", "lookup"), ("lookup", "records")])
@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
async def test_a_service_leaves_another_services_file_alone(tmp_path, owner, visitor, told, marked):
    """Not one byte is changed, whether it was told to make its store or not; also of a file from before there were
    marks."""
    path = tmp_path / "store.db"
    url = f"sqlite:///{path}"
    assert (0, "") == await run(f"services.{owner}.migrate", "--store-url", url)
    if not marked:
        with closing(sqlite3.connect(path)) as file:
            file.execute("pragma application_id = 0")
    before = path.read_bytes()
    environ = SERVICES[visitor] | {"HUTONG_STORE_URL": url, "HUTONG_STORE_MIGRATE": told}
    status, said = await run(f"services.{visitor}", **environ)
    assert (2, before) == (status, path.read_bytes())
    assert f"something else than a store of {visitor}" in said
    assert 4 == (await run(f"services.{visitor}.migrate", "--store-url", url))[0]
    assert before == path.read_bytes()


RELEASED = {
    "sqlite 1": "204ccec94e01a53c",
    "sqlite 2": "7f7d3a14bf90f7de",
    "sqlite 3": "37c8f8b69ffd4a69",
    "sqlite 4": "fe82e11dece3b7a1",
    "sqlite 5": "5758c40507b38d75",
    "sqlite 7": "b54865a505bf1d98",
    "postgres 1": "a6d96a4f5ed587eb",
    "postgres 2": "d946fa56dc013df0",
    "postgres 3": "16d243d95d5df99f",
    "postgres 4": "5b509a7f76988a3b",
    "postgres 5": "5e44ee65053a8a80",
    "postgres 7": "95862f12c10bcc08",
}


def test_a_released_migration_is_never_edited():
    """What databases out there were made by stays as it is, to the letter; the digests here only grow in number."""
    now = {
        f"{kind} {one.number}": sha256(one.statements.encode()).hexdigest()[:16]
        for kind, migrations in (("sqlite", MIGRATIONS), ("postgres", schema.MIGRATIONS))
        for one in migrations
    }
    assert RELEASED == {name: digest for name, digest in now.items() if name in RELEASED}
