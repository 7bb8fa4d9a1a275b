"""The nation follows the regions: without loss, without doubling, whoever dies meanwhile."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hutong.common.v1.subject_pb2 import Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1 import record_read_service_pb2 as rpb
from hutong.records.v1 import record_write_service_pb2 as wpb

from services.common.errors import ServiceError
from services.common.instants import HOUR, Instant, from_timestamp, to_timestamp
from services.records.composition import build
from services.records.settings import Settings
from services.runtime.clock import system_clock
from tests.testkit.builders.records import KEEP, SHOW, fresh_id, person, result, sampling, submission
from tests.testkit.calls import local
from tests.testkit.clocks import ManualClock
from tests.testkit.directories import directory_file
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.servers.records_service import Records, accept_feed, opened
from tests.testkit.servers.store_urls import sqlite_url


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    """Returns when something has become true; fails when it does not in time."""
    end = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.05)


async def sequence(records: Records) -> int:
    """Returns the last number of a store's own feed."""
    return (await records.store.head()).sequence


@asynccontextmanager
async def region(directory: Path, code: str, name: str = "") -> AsyncIterator[Records]:
    """A region's service in this process."""
    async with opened(sqlite_url(directory, name or code)) as store:
        yield Records(store, ManualClock(), code)


@asynccontextmanager
async def nation(url: str, *regions: Records) -> AsyncIterator[Records]:
    """The nation's service, following regions of this process."""
    async with opened(url, "nation") as store:
        feeds = {followed.service.name.removeprefix("records-"): followed.calls for followed in regions}
        records = Records(store, ManualClock(), "nation", feeds)
        records.service.close = None
        async with records.service.running():
            yield records


async def test_the_nation_has_what_the_regions_have(tmp_path: Path, nation_url: str) -> None:
    """Revisions and standings of several regions arrive exactly as they are there."""
    async with region(tmp_path, "430000") as hunan, region(tmp_path, "440000") as guangdong:
        source_id = fresh_id()
        await hunan.submit(source_id, person(1), sampling())
        await hunan.calls.PutLaboratory(
            wpb.PutLaboratoryRequest(
                region="430000", laboratory="430000-xiangya", display_name=LocalizedText(zh="湘雅", en="Xiangya")
            )
        )
        async with nation(nation_url, hunan, guangdong) as whole:
            guangdong.clock.forward(60)
            await guangdong.submit(fresh_id(), person(1), result(-9, -8), region="440000")
            await hunan.amend(source_id, 1, result())

            async def arrived() -> bool:
                return await sequence(whole) == 4

            await until(arrived)
            ours = await whole.batch([person(1)])
            theirs = [*(await hunan.of(person(1))), *(await guangdong.of(person(1)))]
            assert theirs == list(ours.people[0].records)
            assert await hunan.history(source_id) == await whole.history(source_id)
            assert list((await hunan.batch([person(1)])).laboratories) == list(ours.laboratories)
            first = (await hunan.history(source_id))[0]
            assert [first] == await hunan.of(person(1), from_timestamp(first.recorded_at))


async def test_the_nation_hears_within_the_second(tmp_path: Path) -> None:
    """A commit in a region of the same process wakes the follower, and the nation's own watchers."""
    async with region(tmp_path, "430000") as hunan, nation(sqlite_url(tmp_path, "nation"), hunan) as whole:
        stream = whole.calls.WatchChanges(fpb.WatchChangesRequest())
        await anext(stream)
        submitted = (await hunan.submit(fresh_id(), person(1), result())).record
        batch = await asyncio.wait_for(anext(stream), 0.9)
        assert [submitted] == [change.record for change in batch.changes]
        await stream.aclose()


async def test_the_nation_says_up_to_when_it_has_everything(tmp_path: Path) -> None:
    """as_of is the least of what was followed: at first nothing, then the present, region by region."""
    async with region(tmp_path, "430000") as hunan, region(tmp_path, "440000") as guangdong:
        silent = Records(guangdong.store, guangdong.clock, "440000")
        answers = asyncio.Event()
        watch = silent.calls.WatchChanges

        async def slow(request: fpb.WatchChangesRequest) -> AsyncIterator[fpb.WatchChangesResponse]:
            await answers.wait()
            async for response in watch(request):
                yield response

        silent.calls.WatchChanges = slow
        async with nation(sqlite_url(tmp_path, "nation"), hunan, silent) as whole:
            await hunan.submit(fresh_id(), person(1), result())

            async def arrived() -> bool:
                return await sequence(whole) == 1

            await until(arrived)
            assert from_timestamp((await whole.batch([person(1)])).as_of) == 0
            answers.set()

            async def followed() -> bool:
                return from_timestamp((await whole.batch([person(1)])).as_of) > 0

            await until(followed)
            as_of = from_timestamp((await whole.batch([person(1)])).as_of)
            assert as_of <= min(hunan.clock.now, guangdong.clock.now)


async def test_followed_regions_are_not_written_in_the_nation(tmp_path: Path) -> None:
    """A region on the mesh writes its records itself; the others' reach the nation directly."""
    async with region(tmp_path, "430000") as hunan, opened(sqlite_url(tmp_path, "nation"), "nation") as store:
        whole = Records(store, ManualClock(), "nation", {"430000": hunan.calls}, keeps=("360000",))
        with pytest.raises(ServiceError) as caught:
            await whole.submit(fresh_id(), person(1), result())
        assert (caught.value.code.name, caught.value.reason) == ("FAILED_PRECONDITION", "REGION_NOT_KEPT")
        direct = await whole.submit(fresh_id(), person(1), result(), region="360000")
        assert [direct.record] == await whole.of(person(1))


async def test_two_replicas_of_the_nation_follow_without_doubling(tmp_path: Path, postgres_url: str) -> None:
    """Replicas that follow the same region into one store take each change once between them."""
    async with (
        region(tmp_path, "430000") as hunan,
        nation(postgres_url, hunan) as one,
        nation(postgres_url, hunan) as two,
    ):
        ids = [fresh_id() for _ in range(60)]
        for start in range(0, 60, 5):
            await hunan.submit_many([submission(i, person(3), sampling()) for i in ids[start : start + 5]])

        async def arrived() -> bool:
            return len(await two.of(person(3))) == 60 and await sequence(one) >= 60

        await until(arrived)
        page = await one.calls.ListChanges(fpb.ListChangesRequest())
        assert ids == [change.record.source_id for change in page.changes]


async def test_a_rebuilt_feed_is_read_again_from_the_start(tmp_path: Path) -> None:
    """When a region's store was rebuilt, and somebody said so, the nation takes what is new, and doubles nothing."""
    url = sqlite_url(tmp_path, "nation")
    kept = fresh_id()
    async with region(tmp_path, "430000", "old") as hunan, nation(url, hunan) as whole:
        await hunan.submit(kept, person(1), result())

        async def one() -> bool:
            return await sequence(whole) == 1

        await until(one)
    async with region(tmp_path, "430000", "new") as hunan, nation(url, hunan) as whole:
        again = [submission(kept, person(1), result()), submission(fresh_id(), person(1), result(-9, -8))]
        await hunan.submit_many(again)
        await accept_feed(whole)

        async def two() -> bool:
            return await sequence(whole) == 2

        await until(two)
        assert [row.source_id for row in again] == [record.source_id for record in await whole.of(person(1))]
        cursors = await whole.store.cursors()
        assert (await hunan.store.head()).feed_id == cursors["430000"].feed_id


async def test_a_region_is_killed_and_comes_back(tmp_path: Path) -> None:
    """A region's process is killed and started again over its store: the nation resumes, nothing is lost or doubled."""
    process = RecordsProcess("430000", sqlite_url(tmp_path, "430000"))
    content = sampling()
    content.sampled_at.CopyFrom(to_timestamp(Instant(system_clock() - HOUR)))
    submitted: list[str] = []

    async def submit(count: int) -> None:
        ids = [fresh_id() for _ in range(count)]
        await process.calls.BatchSubmitRecords(
            wpb.BatchSubmitRecordsRequest(submissions=[submission(i, person(1), content) for i in ids], purpose=KEEP)
        )
        submitted.extend(ids)

    await process.start()
    settings = Settings(
        region="nation",
        mesh_secret=SECRET,
        store_url=sqlite_url(tmp_path, "nation"),
        store_migrate=True,
        directory=directory_file(tmp_path / "directory.yaml", {"430000": process.address}),
    )
    service = build(settings)
    whole = local(service.name, "tests", service.bindings)
    request = rpb.BatchListRecordsRequest(subjects=[Subject(person_key=person(1))], purpose=SHOW)

    async def arrived() -> bool:
        answer = await whole.BatchListRecords(request)
        return len(answer.people[0].records) >= len(submitted)

    async with service.running():
        await submit(20)
        await until(arrived)
        await submit(20)
        await process.end(signal.SIGKILL)
        stale = from_timestamp((await whole.BatchListRecords(request)).as_of)
        await process.start()
        await submit(20)
        await until(arrived)

        async def current() -> bool:
            return from_timestamp((await whole.BatchListRecords(request)).as_of) > stale

        await until(current)
        page = await whole.ListChanges(fpb.ListChangesRequest())
        assert submitted == [change.record.source_id for change in page.changes]
        assert list(range(1, 61)) == [change.sequence for change in page.changes]
    await process.end()
