"""A store from before selections were made: migrated and weighed, it reads of long pasts what a new one does."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

import pytest
from hutong.records.v1.record_pb2 import Origin, TestResult, Tube

from services.common.instants import HOUR, Instant
from services.records.domain.selection import Selection
from services.records.retention.weighing import EarlierRevisions
from services.records.store.postgres import schema as postgres_schema
from services.records.store.sqlite import schema as sqlite_schema
from services.records.store.values.records import LATEST
from services.runtime.storage.postgres.migration import migrate
from services.runtime.storage.sqlite.migration import migrate_file
from tests.testkit.builders.records import person, result, sampling, submission
from tests.testkit.clocks import NOON, ManualClock
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url

BEFORE_SELECTIONS = 7
DAY = 24
FORMER = (
    "person_key, region, source_id, revision, sequence, recorded_at, placed_at, retracted, laboratory, digest, body"
)
COLUMNS = f"{FORMER}, latest_at, weight, always_given, superseded_at"
NEGATIVE, POSITIVE = TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE


class Database(Protocol):
    """A database that is reached past the store."""

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Returns the rows of a query."""

    async def make_former(self, revisions: Sequence[tuple[Any, ...]]) -> str:
        """Makes a store of the former schema with these revisions; returns its URL."""


class _File:
    def __init__(self, directory: Any) -> None:
        self._directory = directory

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self._directory / "former.db") as file:
            return file.execute(query).fetchall()

    async def make_former(self, revisions: Sequence[tuple[Any, ...]]) -> str:
        with sqlite3.connect(self._directory / "former.db", isolation_level=None) as file:
            former = replace(sqlite_schema.SCHEMA, migrations=sqlite_schema.MIGRATIONS[:BEFORE_SELECTIONS])
            migrate_file(file, former)
            file.executemany(f"insert into revision ({FORMER}) values ({','.join('?' * 11)})", revisions)
        return sqlite_url(self._directory, "former")


class _Database:
    def __init__(self, url: str) -> None:
        self._url = url

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        asyncpg = pytest.importorskip("asyncpg")
        connection = await asyncpg.connect(self._url)
        try:
            yield connection
        finally:
            await connection.close()

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self._connected() as connection:
            return [tuple(row) for row in await connection.fetch(query)]

    async def make_former(self, revisions: Sequence[tuple[Any, ...]]) -> str:
        async with self._connected() as connection:
            former = replace(postgres_schema.SCHEMA, migrations=postgres_schema.MIGRATIONS[:BEFORE_SELECTIONS])
            await migrate(connection, former)
            blanks = ", ".join(f"${number}" for number in range(1, 12))
            rows = [(*row[:7], bool(row[7]), *row[8:]) for row in revisions]
            await connection.executemany(f"insert into revision ({FORMER}) values ({blanks})", rows)
        return self._url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Any) -> Database:
    """An empty one of either kind."""
    return _File(tmp_path) if request.param == "sqlite" else _Database(request.getfixturevalue("postgres_url"))


async def _write_pasts(url: str) -> None:
    async with opened(url) as store:
        records = Records(store, ManualClock(), keeps=("430000", "340000"))
        for who in (1, 2):
            past = [
                result(-2.0 * DAY * n, -2.0 * DAY * n + 2, POSITIVE if n == 150 else NEGATIVE, Tube.TUBE_SINGLE)
                for n in range(1, 201)
            ]
            rows = [submission(f"P{who}-{n}", person(who), content) for n, content in enumerate(past)]
            await records.submit_many(rows)
        copy = result(-300.0 * DAY, -300.0 * DAY + 2, origin=Origin(region="430000", source_id="P1-149", revision=1))
        await records.submit("copy", person(1), copy, region="340000")
        await records.submit("awaited", person(1), sampling(-400.0))
        for revision in range(1, 6):
            await records.amend("P1-120", revision, result(-200.0, -198.0 + revision / 100))
        await records.retract("P2-149", 1)


def _plain(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(int(value) if isinstance(value, bool) else value for value in row) for row in rows]


async def test_a_former_store_comes_to_the_state_of_a_new_one(database: Database, tmp_path: Any) -> None:
    """Migrated, it gives whole pasts, as nothing tells what may be left out; weighed, in parts, by several that were
    killed and begun again, all its columns are those of a store that never was otherwise, and so is what it reads."""
    url = sqlite_url(tmp_path, "new")
    await _write_pasts(url)
    with sqlite3.connect(tmp_path / "new.db") as file:
        order = "order by person_key, region, source_id, revision"
        expected = file.execute(f"select {COLUMNS} from revision {order}").fetchall()
    people, question = [person(1), person(2)], Selection(Instant(NOON - 80 * HOUR), 3, 6)
    async with opened(url) as store:
        given = await store.people(people, LATEST, selection=question)
        then = await store.people(people, Instant(NOON + 1), selection=question)
    former = await database.make_former([row[:11] for row in expected])
    async with opened(former) as store:
        assert 402 == sum(map(len, (await store.people(people, LATEST, selection=question)).records.values()))
        assert 150 == await store.weigh(150)
        assert 402 > sum(map(len, (await store.people(people, LATEST, selection=question)).records.values()))
    async with opened(former) as store:
        await EarlierRevisions(store).run()
        assert 0 == await store.weigh(1)
        weighed = await store.people(people, LATEST, selection=question)
        assert (given.records, given.left_out) == (weighed.records, weighed.left_out)
        assert 30 > sum(map(len, weighed.records.values()))
        weighed = await store.people(people, Instant(NOON + 1), selection=question)
        assert (then.records, then.left_out) == (weighed.records, weighed.left_out)
    assert expected == sorted(_plain(await database.rows(f"select {COLUMNS} from revision")))
