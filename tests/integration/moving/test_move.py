"""A store that moves to another database takes everything along, whatever is written meanwhile and wherever it ends."""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.record_pb2 import TestResult

from services.common.errors import ServiceError
from services.common.instants import Instant
from services.lookup.domain.holders import Link, Switch, Unlink
from services.lookup.settings import Settings as LookupSettings
from services.lookup.store.opening import open_store as open_holders
from services.lookup.store.schemas import SCHEMAS as LOOKUP
from services.records.settings import Settings
from services.records.store.opening import open_checked_store, open_store
from services.records.store.schemas import SCHEMAS as RECORDS
from services.records.store.values.records import LATEST
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.migration_command import file_of, migrate
from services.runtime.storage.move.mover import Move, MoveError
from services.runtime.storage.move.postgres import PostgresPlace
from services.runtime.storage.move.sqlite import SqlitePlace
from services.runtime.storage.move.tables import tables_of
from services.runtime.storage.schema import SchemaError, Schemas
from tests.testkit.builders.records import person, result, submission
from tests.testkit.checks.store_walk import Walked, fill
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.servers.records_service import Records
from tests.testkit.servers.store_urls import sqlite_url

TABLES = tables_of(RECORDS)
NATION = "nation"

WAYS = [("sqlite", "postgres"), ("postgres", "postgres"), ("postgres", "sqlite"), ("sqlite", "sqlite")]

Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture(params=WAYS, ids="-".join)
async def urls(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer
) -> AsyncIterator[tuple[str, str]]:
    """Two URLs, of a store that moves and of where it goes."""
    made = []
    for name, kind in zip(("old", "new"), request.param, strict=True):
        made.append(sqlite_url(tmp_path, name) if kind == "sqlite" else await postgres_server.create_database())
    yield made[0], made[1]
    for url in made:
        if file_of(url) is None:
            await postgres_server.drop_database(url)


class Steps:
    """A store that takes part in a move; before each thing that is asked of it, `before` is done."""

    def __init__(self, place: Any, before: Callable[[str], Awaitable[None]]) -> None:
        self._place = place
        self._before = before

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._place, name)
        if not callable(method) or name == "close":
            return method

        async def step(*args: Any) -> Any:
            await self._before(name)
            return await method(*args)

        return step


async def nothing(step: str) -> None:
    """Does nothing between the steps."""


@asynccontextmanager
async def moving(
    urls: tuple[str, str], before: Callable[[str], Awaitable[None]] = nothing, schemas: Schemas = RECORDS
) -> AsyncIterator[Move]:
    """A move between two stores, in one process's life."""
    places: list[Any] = []
    try:
        for url, is_target in zip(urls, (False, True), strict=True):
            path = file_of(url)
            places.append(
                PostgresPlace(url, schemas.postgres)
                if path is None
                else SqlitePlace(path, schemas.sqlite, is_target=is_target)
            )
        old, new = (Steps(place, before) for place in places)
        yield Move(old, new, tables_of(schemas), lambda text: None)
    finally:
        for place in places:
            await place.close()


def settings(url: str, region: str = NATION, secret: str = SECRET) -> Settings:
    """The settings of a service on a store, which it makes."""
    return Settings(region=region, mesh_secret=secret, store_url=url, store_migrate=True)


@asynccontextmanager
async def served(url: str) -> AsyncIterator[Walked]:
    """A store as a service has it open, beside a move."""
    store: Any = open_store(settings(url), alone=False)
    try:
        yield store
    finally:
        await store.close()


async def contents(url: str, prefix: str = "") -> Rows:
    """Everything in a store's tables, as another program would read it."""
    path = file_of(url)
    rows: Rows = {}
    if path is not None:
        with closing(sqlite3.connect(path)) as file:
            for table in TABLES:
                query = f"select {', '.join(table.columns)} from {prefix}{table.name}"
                rows[table.name] = sorted(file.execute(query).fetchall(), key=repr)
        return rows
    connection = await asyncpg.connect(url)
    try:
        for table in TABLES:
            fetched = await connection.fetch(f"select {', '.join(table.columns)} from {prefix}{table.name}")
            values = [tuple(int(value) if isinstance(value, bool) else value for value in row) for row in fetched]
            rows[table.name] = sorted(values, key=repr)
    finally:
        await connection.close()
    return rows


class Busy:
    """Writes of every kind, one between any two steps of a move. `reasons` counts what came of them."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._numbers = count(5)
        self.reasons: Counter[str] = Counter()

    async def __call__(self, step: str) -> None:
        """Writes once."""
        number = next(self._numbers)
        try:
            await self._write(number % 5, number, f"BUSY-{number - number % 5}")
            self.reasons["written"] += 1
        except ServiceError as error:
            self.reasons[error.reason] += 1

    async def _write(self, kind: int, number: int, of: str) -> None:
        records = self._records
        if kind == 0:
            await records.submit(of, person(number % 7), result())
        elif kind == 1:
            positive = result(outcome=TestResult.TEST_RESULT_POSITIVE)
            await records.submit(f"BUSY-{number}", person(number % 7), positive)
        elif kind == 2:
            await records.amend(of, 1, result(reported=-0.5))
        elif kind == 3:
            await records.retract(of, 2)
        else:
            await records.store.purge(Instant(LATEST), 0, 3)


async def test_everything_comes_along(urls: tuple[str, str]) -> None:
    """Feed id, numbers, revisions, conflicts, cursors, counts, request ids, sessions, owner: to the byte."""
    async with served(urls[0]) as store:
        await fill(store)
    before = await contents(urls[0])
    # What a store has only after a purge, or while a laboratory waits, is filled in by the test below.
    assert {"purged", "copy_due", "count_waiting"} >= {table for table, rows in before.items() if not rows}
    async with moving(urls) as move:
        await move.copy()
        results = await move.switch()
    assert before == await contents(urls[1])
    assert {table: len(rows) for table, rows in before.items()} == {one.table: one.rows for one in results}
    assert all(one.digest for one in results)
    async with served(urls[1]) as store:
        records = Records(store, ManualClock())
        # Numbers go on where they stood, in conflicts as well.
        head = await store.head()
        await records.submit("TUBE-AFTER", person(1), result())
        await records.submit_many([submission("TUBE-AFTER", person(1), result(reported=-0.5))])
        assert (head.feed_id, head.sequence + 1) == ((await store.head()).feed_id, (await store.head()).sequence)
        numbers = [conflict.number for conflict in await store.conflicts(0, 100, True)]
        assert sorted(set(numbers)) == numbers


async def test_what_is_written_meanwhile_comes_along(urls: tuple[str, str]) -> None:
    """Between any two steps something is submitted, amended, retracted or purged."""
    async with served(urls[0]) as store:
        await fill(store)
        busy = Busy(Records(store, ManualClock(), keeps=("430000",)))
        async with moving(urls, busy) as move:
            await move.copy()
            await move.switch()
    assert busy.reasons["written"] > 100
    assert busy.reasons["STORE_MOVING"] > 10
    # The last is asked when the old store is out of use, about what an earlier one could not write.
    refused = {"STORE_MOVING", "STORE_UNAVAILABLE", "RECORD_NOT_FOUND", "REVISION_MISMATCH"}
    assert refused | {"written"} >= set(busy.reasons)
    assert await contents(urls[0], "moved_") == await contents(urls[1])


async def test_a_move_that_was_killed_goes_on(urls: tuple[str, str]) -> None:
    """It dies before one of its steps, under writes, and is run again; each life is longer than the one before."""

    class KilledError(Exception):
        pass

    async with served(urls[0]) as store:
        await fill(store)
        busy = Busy(Records(store, ManualClock(), keeps=("430000",)))
        deaths = 0
        for life in count(1):
            left = life * 40

            async def before(step: str) -> None:
                nonlocal left
                left -= 1
                if not left:
                    raise KilledError
                await busy(step)

            try:
                async with moving(urls, before) as move:
                    await move.copy()
                    await move.switch()
                break
            except KilledError:
                deaths += 1
    assert deaths >= 4
    assert await contents(urls[0], "moved_") == await contents(urls[1])


async def test_while_the_last_changes_are_carried_over_reads_go_on_and_writes_are_told(urls: tuple[str, str]) -> None:
    """UNAVAILABLE with a reason of its own, in every kind of write; whoever gives the move up writes on."""
    async with served(urls[0]) as store:
        await fill(store)
        records = Records(store, ManualClock())

        class StoppedError(Exception):
            pass

        async def before(step: str) -> None:
            if step == "retire":
                raise StoppedError

        async with moving(urls, before) as move:
            await move.copy()
            with pytest.raises(StoppedError):
                await move.switch()
        assert await records.of(person(1))
        for write in (
            records.submit("TUBE-NEW", person(1), result()),
            records.retract("TUBE-1", 1),
            store.forget_answers(LATEST),
            store.purge(Instant(LATEST), 0, 10),
        ):
            with pytest.raises(ServiceError, match="moved to another database") as refused:
                await write
            assert "STORE_MOVING" == refused.value.reason
        async with moving(urls) as move:
            await move.abandon()
        await records.submit("TUBE-NEW", person(1), result())
        async with moving(urls) as move:
            with pytest.raises(SchemaError, match="part of another move"):
                await move.copy()


async def test_the_old_store_is_out_of_use_for_whoever_has_it_open(urls: tuple[str, str]) -> None:
    """A process that was left running answers nothing, and none can be started on it."""
    async with served(urls[0]) as store:
        await fill(store)
        async with moving(urls) as move:
            await move.copy()
            await move.switch()
        for read in (store.people([person(1)], LATEST), store.head(), store.changes(0, 10), store.ping()):
            with pytest.raises(ServiceError) as refused:
                await read
            assert "STORE_UNAVAILABLE" == refused.value.reason
    for again in (settings(urls[0]), Settings(region=NATION, mesh_secret=SECRET, store_url=urls[0])):
        with pytest.raises(SettingsError, match="was moved to"):
            await open_checked_store(again)
    with pytest.raises(SchemaError, match="was moved to"):
        await migrate(RECORDS, urls[0])
    async with moving(urls) as move:
        with pytest.raises(SchemaError, match="was moved to"):
            await move.copy()
        with pytest.raises(SchemaError, match="out of use already"):
            await move.abandon()


async def test_a_store_that_is_not_complete_is_not_served(urls: tuple[str, str]) -> None:
    """Half of the records are no records."""
    async with served(urls[0]) as store:
        await fill(store)
    async with moving(urls) as move:
        await move.copy()
    with pytest.raises(SettingsError, match="is not complete"):
        await open_checked_store(settings(urls[1]))
    async with served(urls[0]) as store:
        await Records(store, ManualClock()).submit("TUBE-NEW", person(1), result())


async def test_only_an_empty_store_of_the_same_owner_is_moved_into(urls: tuple[str, str]) -> None:
    """One with records, another region's and another secret's are left alone; nothing is noted in the old one."""
    old, new = urls
    async with served(old) as store:
        await fill(store)
    before = await contents(old)
    for other, sentence in (
        (settings(new, "430000"), "another region's or secret's"),
        (settings(new, secret="another secret of a mesh"), "another region's or secret's"),
        (settings(new), "is not empty"),
    ):
        occupant: Any = open_store(other, alone=False)
        try:
            # Its owner is noted when it is first asked.
            await occupant.head()
            if sentence == "is not empty":
                await Records(occupant, ManualClock()).submit("TUBE-1", person(1), result())
        finally:
            await occupant.close()
        async with moving(urls) as move:
            with pytest.raises(SchemaError, match=sentence):
                await move.copy()
        if (path := file_of(new)) is not None:
            path.unlink()
        else:
            connection = await asyncpg.connect(new)
            await connection.execute("drop schema public cascade")
            await connection.execute("create schema public")
            await connection.close()
    async with moving(urls) as move:
        await move.copy()
        await move.switch()
    assert before == await contents(new)


async def test_rows_that_differ_stop_the_switch(urls: tuple[str, str]) -> None:
    """Whatever damaged the new store: the old one stays in use."""
    async with served(urls[0]) as store:
        await fill(store)
    async with moving(urls) as move:
        await move.copy()
        damage = "delete from conflict where number = (select max(number) from conflict)"
        if (path := file_of(urls[1])) is not None:
            with closing(sqlite3.connect(path, isolation_level=None)) as file:
                file.execute(damage)
        else:
            connection = await asyncpg.connect(urls[1])
            await connection.execute(damage)
            await connection.close()
        with pytest.raises(MoveError, match="differ in conflict"):
            await move.switch()
        await move.abandon()
    async with served(urls[0]) as store:
        await Records(store, ManualClock()).submit("TUBE-NEW", person(1), result())


async def test_links_and_switches_come_along(urls: tuple[str, str]) -> None:
    """Lookup's store moves by the same way: its log, whose numbers a gateway follows, and what is in force."""

    def opened(url: str) -> Any:
        return open_holders(LookupSettings(mesh_secret=SECRET, store_url=url, store_migrate=True), alone=False)

    clock = ManualClock()
    store = opened(urls[0])
    commands = [
        Link(person(1), person(2), "", "r1"),
        Switch(person(1), "110000", Scope.SCOPE_LOCAL, "r2"),
        Link(person(3), person(4), ""),
    ]
    for command in [*commands, Unlink(person(3), person(4), "mistaken")]:
        await store.commit(command, clock)
    before = await store.changes(0, 10), await store.people([person(2), person(3)]), await store.last()
    async with moving(urls, schemas=LOOKUP) as move:
        await move.copy()
        await move.switch()
    with pytest.raises(ServiceError):
        await store.last()
    await store.close()
    store = opened(urls[1])
    assert before == (await store.changes(0, 10), await store.people([person(2), person(3)]), await store.last())
    # A request that comes again is the same request.
    await store.commit(commands[0], clock)
    assert before[2] == await store.last()
    await store.close()
