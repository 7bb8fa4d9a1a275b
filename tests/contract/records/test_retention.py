"""A store says how far its retention has come, in the snapshot in which it says what it has, over every backend."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.common.instants import Instant, from_timestamp
from services.records.store.values.records import LATEST
from tests.testkit.builders.records import person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url

MANY = 300
"""More people than one statement reads."""


@pytest.fixture
async def records(store_url: str) -> AsyncIterator[Records]:
    """The service of region 430000 with records of three hours, one an hour."""
    async with opened(store_url) as store:
        filled = Records(store, ManualClock())
        for number in range(3):
            await filled.submit(f"S{number}", person(number), result())
            filled.clock.forward(3600)
        yield filled


async def retention(records: Records, who: list[bytes] | None = None) -> Instant | None:
    """Returns what an answer tells of a purge."""
    answer = await records.batch(who or [person(0)])
    return from_timestamp(answer.purged_before) if answer.HasField("purged_before") else None


async def recorded(records: Records, number: int) -> Instant:
    """Returns the instant at which the store committed a record."""
    [record] = await records.of(person(number))
    return from_timestamp(record.recorded_at)


async def test_nothing_is_said_until_something_was_purged(records: Records) -> None:
    """A store that keeps everything says nothing; one that has purged says before when, whoever is asked for."""
    assert await retention(records) is None
    before = await recorded(records, 1)
    assert (await records.purge(before, 0, 100)).records == 1
    assert await retention(records) == before
    assert await retention(records, [person(9)]) == before
    assert [len(await records.of(person(number))) for number in range(3)] == [0, 1, 1]


async def test_retention_only_grows(records: Records, store_url: str) -> None:
    """A later purge that keeps more changes nothing; and the store knows when it is opened again."""
    later, earlier = await recorded(records, 2), await recorded(records, 1)
    await records.purge(later, 0, 100)
    await records.purge(earlier, 0, 100)
    assert await retention(records) == later
    async with opened(store_url) as store:
        assert (await store.people([], LATEST)).purged_before == later


async def test_an_interrupted_purge_is_stated_with_its_first_batch(records: Records) -> None:
    """Whatever is missing after one batch of several is below what is stated; what is left is there as before."""
    before = records.clock()
    done = await records.purge(before, 0, 1)
    assert (done.records, done.position is None) == (1, False)
    assert await retention(records) == before
    assert [len(await records.of(person(number))) for number in range(3)] == [0, 1, 1]


async def test_a_purge_amid_an_answer_is_stated_in_it(tmp_path: Path) -> None:
    """A file is read in parts where many are asked for: what a purge takes from the later ones, the answer says so."""
    async with opened(sqlite_url(tmp_path)) as store:
        records = Records(store, ManualClock())
        await records.submit("S1", person(1), result())
        before = records.clock()
        answer = store.people([*(person(number + 100) for number in range(MANY)), person(1)], LATEST).__await__()
        # To where others have their turn.
        next(answer)
        assert (await store.purge(before, 0, 100)).records == 1
        with pytest.raises(StopIteration) as ended:
            while True:
                next(answer)
        assert (ended.value.value.records, ended.value.value.purged_before) == ({}, before)
