"""The nation restored from an older backup: who watches it is told, what it lost of the regions comes back exactly, and
until it has, it says so; copies that have followed stay as they are."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1.record_pb2 import Origin, TestResult
from prometheus_client import REGISTRY

from services.common.errors import ServiceError
from services.common.instants import SECOND, Instant, from_timestamp
from services.records.replication.completeness import BEHIND
from tests.testkit.builders.records import person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.servers.records_service import Records, nation, opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.waiting import until

POSITIVE = TestResult.TEST_RESULT_POSITIVE
HUNAN, BEIJING = "430000", "110000"


class Store:
    """The nation's database, which can be backed up and restored while the nation is stopped."""

    def __init__(self, directory: Path, server: PostgresServer | None) -> None:
        self._directory = directory
        self._server = server
        self.url = ""

    async def create(self) -> None:
        """An empty one."""
        self.url = await self._server.create_database() if self._server else sqlite_url(self._directory, "nation")

    async def copied(self) -> "Store":
        """A copy of it as it is."""
        copy = Store(self._directory, self._server)
        name = f"copy_{uuid4().hex}"
        if self._server is None:
            copy.url = sqlite_url(self._directory, name)
            with (
                sqlite3.connect(self.url.removeprefix("sqlite:///")) as source,
                sqlite3.connect(self._directory / f"{name}.db") as target,
            ):
                source.backup(target)
            return copy
        copy.url = self._server.dsn(name)
        connection = await asyncpg.connect(self._server.dsn())
        try:
            await connection.execute(f'create database {name} template "{self.url.rpartition("/")[2]}"')
        finally:
            await connection.close()
        return copy


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Returns the nation's database, over every backend."""
    return Store(tmp_path, request.getfixturevalue("postgres_server") if request.param == "postgres" else None)


@asynccontextmanager
async def running(store: Store, regions: dict[str, Records], clock: ManualClock) -> AsyncIterator[Records]:
    """The nation's service, following."""
    async with opened(store.url, "nation") as opened_store:
        whole = nation(opened_store, {code: region.calls for code, region in regions.items()}, clock)
        async with whole.service.running():
            yield whole


async def end_of(records: Records) -> fpb.FeedCursor:
    """Returns the cursor of a watcher that has seen everything."""
    page = await records.calls.ListChanges(fpb.ListChangesRequest(page_size=5000))
    cursor: fpb.FeedCursor = page.cursor
    return cursor


async def says(records: Records) -> list[Any]:
    """Returns the answers about everybody, without the instants of this store."""
    return [list(await records.of(person(number))) for number in (1, 2, 3)]


async def refusal(call: Awaitable[Any]) -> str:
    """The reason a call is refused for; empty when it is not."""
    try:
        await call
    except ServiceError as error:
        return error.reason
    return ""


async def test_what_it_lost_comes_back_and_watchers_know(tmp_path: Path, store: Store) -> None:
    """Restored and caught up, it says exactly what it said; a watcher's cursor of what was lost is refused, at once and
    however far its feed has come since; a copy that has followed its origin is neither undone nor amended again."""
    await store.create()
    async with (
        opened(sqlite_url(tmp_path, HUNAN)) as hunan_store,
        opened(sqlite_url(tmp_path, BEIJING)) as beijing_store,
    ):
        clock = ManualClock()
        hunan, beijing = Records(hunan_store, ManualClock()), Records(beijing_store, ManualClock(), BEIJING)
        regions = {HUNAN: hunan, BEIJING: beijing}
        await hunan.submit("X1", person(1), result())
        await hunan.submit("X2", person(2), result())
        copied = result(origin=Origin(region=HUNAN, source_id="X1", revision=1))

        async with running(store, regions, clock) as whole:
            await beijing.submit("C1", person(1), copied, region=BEIJING)

            async def known() -> bool:
                return len(await whole.of(person(1))) == 2 and not await whole.store.due_copies([BEIJING], 1)

            await until(known)
            early = await end_of(whole)
        backup = await store.copied()

        async with running(store, regions, clock) as whole:
            await hunan.amend("X1", 1, result(outcome=POSITIVE))
            await hunan.retract("X2", 1)
            await hunan.submit("X3", person(3), result())

            async def followed() -> bool:
                heads = [await end_of(records) for records in (hunan, beijing)]
                cursors = await whole.store.cursors()
                due = await whole.store.due_copies([BEIJING, HUNAN], 1)
                return (
                    not due
                    and heads[1].sequence == 2
                    and [cursors[code].sequence for code in (HUNAN, BEIJING)] == [head.sequence for head in heads]
                )

            await until(followed)
            before, late = await says(whole), await end_of(whole)

        async with opened(backup.url, "nation") as restored:
            asleep = Records(restored, clock, "nation")
            assert await refusal(asleep.calls.ListChanges(fpb.ListChangesRequest(cursor=late))) == "FEED_REBUILT"
        async with running(backup, regions, clock) as whole:
            await until(followed)
            assert await says(whole) == before
            assert [(r.revision, r.content.result) for r in await beijing.of(person(1))] == [(2, POSITIVE)]
            assert await refusal(whole.calls.ListChanges(fpb.ListChangesRequest(cursor=late))) == "FEED_REBUILT"
            again = await whole.calls.ListChanges(fpb.ListChangesRequest(cursor=early))
            assert {change.record.person_key for change in again.changes} == {person(1), person(2), person(3)}
            await hunan.amend("X1", 2, result())

            async def followed_again() -> bool:
                return [r.revision for r in await beijing.of(person(1))] == [3]

            await until(followed_again)


class Shut:
    """A region whose feed cannot be heard until it is opened."""

    def __init__(self, calls: Any) -> None:
        self._calls = calls
        self.open = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calls, name)

    async def WatchChanges(self, request: fpb.WatchChangesRequest) -> AsyncIterator[fpb.WatchChangesResponse]:
        """As the region's, once it is open."""
        await self.open.wait()
        async for batch in self._calls.WatchChanges(request):
            yield batch


async def test_until_it_has_caught_up_it_says_that_it_has_not(tmp_path: Path, store: Store) -> None:
    """As of the backup and no later, with the region named as one to be asked, and so with the lag; then as ever."""
    await store.create()
    async with opened(sqlite_url(tmp_path, HUNAN)) as hunan_store:
        clock = ManualClock()
        hunan = Records(hunan_store, clock)
        await hunan.submit("X1", person(1), result())

        def lag() -> float:
            labels = {"store": "nation", "region": HUNAN}
            return REGISTRY.get_sample_value("hutong_records_follower_lag_seconds", labels) or 0.0

        async def caught_up(whole: Records) -> bool:
            answer = await whole.batch([person(1)])
            return len(answer.people[0].records) == 1 and not answer.behind

        async with opened(store.url, "nation") as first:
            whole = nation(first, {HUNAN: hunan.calls}, clock)
            async with whole.service.running():
                await until(lambda: caught_up(whole))
        backup = await store.copied()
        backed_up_at = clock()
        clock.forward(3600)
        await hunan.amend("X1", 1, result(outcome=POSITIVE))

        async with opened(backup.url, "nation") as restored:
            shut = Shut(hunan.calls)
            whole = nation(restored, {HUNAN: shut}, clock)
            async with whole.service.running():

                async def started() -> bool:
                    return lag() > BEHIND / SECOND

                await until(started)
                answer = await whole.batch([person(1)])
                assert [r.revision for r in answer.people[0].records] == [1]
                assert from_timestamp(answer.as_of) <= backed_up_at
                assert list(answer.behind) == [HUNAN]
                assert lag() >= 3600
                page = await whole.calls.ListChanges(fpb.ListChangesRequest())
                assert from_timestamp(page.as_of) <= backed_up_at
                shut.open.set()
                await until(lambda: caught_up(whole))

                async def told() -> bool:
                    return lag() < 1

                await until(told)
                assert [r.revision for r in await whole.of(person(1))] == [2]
                assert from_timestamp((await whole.batch([person(1)])).as_of) > Instant(backed_up_at + 3600 * SECOND)


async def test_a_store_that_goes_back_while_it_is_followed_into(tmp_path: Path) -> None:
    """A database that fails over to a standby lacks its last commits, under a follower that has seen them acknowledged:
    the follower goes by the cursor that is stored, and nothing stays missing."""
    async with (
        opened(sqlite_url(tmp_path, HUNAN)) as hunan_store,
        opened(sqlite_url(tmp_path, "nation"), "nation") as store,
    ):
        hunan = Records(hunan_store, ManualClock())
        whole = nation(store, {HUNAN: hunan.calls})
        async with whole.service.running():
            for number in (1, 2, 3):

                async def known(number: int = number) -> bool:
                    return len(await whole.of(person(number))) == 1 and (await store.head()).sequence == number

                await hunan.submit(f"X{number}", person(number), result())
                if number < 3:
                    await until(known)
                if number == 2:
                    with sqlite3.connect(tmp_path / "nation.db") as file:
                        for table, column in (("revision", "sequence"), ("feed_mark", "last_sequence")):
                            file.execute(f"delete from {table} where {column} > 1")
                        file.execute("delete from identity where source_id = 'X2'")
                        file.execute("update feed_head set sequence = 1")
                        # The mark is the region's own, of the commit that the cursor stands at.
                        mark = await hunan.store.mark(1)
                        file.execute("update follow set sequence = 1, mark = ?", (mark,))
            await until(known)
            assert [len(await whole.of(person(number))) for number in (1, 2, 3)] == [1, 1, 1]
