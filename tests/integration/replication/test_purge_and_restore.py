"""A region that purges, and is restored from a backup: the nation gives back what was lost, not what was purged."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hutong.records.v1.record_pb2 import RevisionAction, TestResult
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest

from services.common.instants import HOUR, Instant
from tests.testkit.builders.records import person, result
from tests.testkit.clocks import NOON, ManualClock
from tests.testkit.servers.records_service import Records, follow, opened
from tests.testkit.servers.store_urls import sqlite_copy, sqlite_url

DAY = 24 * HOUR
RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED
OLD, YEAR, RECENT = Instant(NOON - 400 * DAY), Instant(NOON - 365 * DAY), NOON
SAMPLED = -401 * 24.0


class Region:
    """Region 430000: four people with a record each of 400 days ago; what it is restored from."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = "region"
        self.clock = ManualClock(OLD)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Records]:
        """Its service over the file that is current."""
        async with opened(sqlite_url(self._directory, self._file)) as store:
            yield Records(store, self.clock)

    async def fill(self) -> None:
        """The old records."""
        async with self.running() as records:
            for number in range(4):
                await records.submit(f"OLD{number}", person(number), result(SAMPLED, SAMPLED))
            self.clock.now = RECENT

    def back_up(self, name: str) -> None:
        """Copies the file."""
        sqlite_copy(self._directory, self._file, name)

    def restore(self, name: str) -> None:
        """From here on the backup is the region."""
        self._file = name
        self.clock.forward(3600)


@asynccontextmanager
async def scene(directory: Path, url: str) -> AsyncIterator[tuple[Region, Callable[[], Awaitable[Records]]]]:
    """A filled region, and the nation, which follows it to its end whenever it is told to."""
    region = Region(directory)
    await region.fill()
    async with opened(url, "nation") as store:
        whole = Records(store, ManualClock(RECENT), "nation")

        async def followed() -> Records:
            async with region.running() as records:
                return await follow(whole, records)

        await followed()
        yield region, followed


async def purge(records: Records, batches: int = 100) -> None:
    """Purges as `hutong records purge --older-than 365d` does; it may be interrupted after some batches."""
    position: int | None = 0
    while position is not None and batches:
        position = (await records.purge(YEAR, position, 1)).position
        batches -= 1


async def standing(records: Records) -> dict[str, int]:
    """The records that stand, by id, each in its current revision."""
    answer = await records.batch([person(number) for number in range(10)])
    return {r.source_id: r.revision for entry in answer.people for r in entry.records if r.action != RETRACTED}


OLDS = {f"OLD{number}": 1 for number in range(4)}


async def test_what_was_purged_is_left_alone(tmp_path: Path, nation_url: str) -> None:
    """Restored from a backup that was made after the purge: lost is what came since, and nothing else."""
    async with scene(tmp_path, nation_url) as (region, followed):
        async with region.running() as records:
            await purge(records)
            assert await standing(records) == {}
            await records.submit("NEW1", person(5), result())
        region.back_up("backup")
        async with region.running() as records:
            await records.submit("NEW2", person(6), result())
        assert await standing(await followed()) == {**OLDS, "NEW1": 1, "NEW2": 1}
        region.restore("backup")
        whole = await followed()
        assert await standing(whole) == {**OLDS, "NEW1": 1, "NEW2": 1}
        async with region.running() as records:
            assert await standing(records) == {"NEW1": 1, "NEW2": 1}


async def test_a_backup_from_before_the_purge(tmp_path: Path, nation_url: str) -> None:
    """The records are back, and so is the retention of then; purged again and restored again, they are left alone,
    and what came since is given back each time."""
    async with scene(tmp_path, nation_url) as (region, followed):
        region.back_up("backup")
        async with region.running() as records:
            await purge(records)
            await records.submit("NEW", person(5), result())
        await followed()
        region.restore("backup")
        whole = await followed()
        assert await standing(whole) == {**OLDS, "NEW": 1}
        async with region.running() as records:
            assert await standing(records) == {**OLDS, "NEW": 1}
            await purge(records)
            assert await standing(records) == {"NEW": 1}
        region.back_up("second")
        async with region.running() as records:
            await records.submit("NEWER", person(6), result())
        await followed()
        region.restore("second")
        assert await standing(await followed()) == {**OLDS, "NEW": 1, "NEWER": 1}
        async with region.running() as records:
            assert await standing(records) == {"NEW": 1, "NEWER": 1}


@pytest.mark.parametrize("batches", [1, 2, 3])
async def test_a_purge_that_was_interrupted(tmp_path: Path, nation_url: str, batches: int) -> None:
    """However far it came before the backup, nothing it took counts as lost."""
    async with scene(tmp_path, nation_url) as (region, followed):
        async with region.running() as records:
            await purge(records, batches)
            assert len(await standing(records)) == 4 - batches
        region.back_up("backup")
        async with region.running() as records:
            await records.submit("NEW", person(5), result())
        await followed()
        region.restore("backup")
        assert await standing(await followed()) == {**OLDS, "NEW": 1}
        async with region.running() as records:
            assert len(await standing(records)) == 4 - batches + 1


async def test_a_purge_amid_the_comparison(tmp_path: Path, nation_url: str) -> None:
    """The region purges between what the nation read of its own and what it is told."""
    async with scene(tmp_path, nation_url) as (region, followed):
        region.back_up("backup")
        async with region.running() as records:
            await records.submit("NEW", person(5), result())
        whole = await followed()
        region.restore("backup")
        async with region.running() as records:
            ask = records.calls.BatchListRecords
            purged: list[Any] = []

            async def purging(request: BatchListRecordsRequest) -> Any:
                await purge(records)
                purged.append(request)
                return await ask(request)

            records.calls.BatchListRecords = purging
            assert await standing(await follow(whole, records)) == {**OLDS, "NEW": 1}
            assert purged != []
            assert await standing(records) == {"NEW": 1}


async def test_an_amendment_that_was_lost_with_what_was_purged(tmp_path: Path, nation_url: str) -> None:
    """Amended within the year, lost with the machine, and the old revision purged after the restore: the amendment was
    lost, and is given back with what it amends."""
    positive = result(SAMPLED, SAMPLED, outcome=TestResult.TEST_RESULT_POSITIVE)
    async with scene(tmp_path, nation_url) as (region, followed):
        async with region.running() as records:
            await records.amend("OLD1", 1, positive)
        region.back_up("backup")
        async with region.running() as records:
            await records.amend("OLD2", 1, positive)
        await followed()
        region.restore("backup")
        async with region.running() as records:
            await purge(records)
            assert await standing(records) == {"OLD1": 2}
        assert await standing(await followed()) == {"OLD0": 1, "OLD1": 2, "OLD2": 2, "OLD3": 1}
        async with region.running() as records:
            assert await standing(records) == {"OLD1": 2, "OLD2": 2}
            assert [r.revision for r in await records.history("OLD2")] == [1, 2]


async def test_a_purged_id_is_used_again(tmp_path: Path, nation_url: str) -> None:
    """By the same person it is the same record, gone on; by another it is theirs, and the former's stays until it is
    purged here."""
    async with scene(tmp_path, nation_url) as (region, followed):
        async with region.running() as records:
            await purge(records)
            await records.submit("OLD0", person(0), result())
            await records.submit("OLD1", person(7), result())
        whole = await followed()
        assert await standing(whole) == {"OLD0": 2, "OLD1": 1, "OLD2": 1, "OLD3": 1}
        assert [r.content for r in await whole.of(person(0))] == [result()]
        assert [r.content for r in await whole.of(person(7))] == [result()]
        assert [r.content for r in await whole.of(person(1))] == [result(SAMPLED, SAMPLED)]
