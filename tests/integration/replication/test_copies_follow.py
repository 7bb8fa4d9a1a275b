"""Copies follow their origins whatever is down meanwhile, over every backend of the nation."""

import asyncio
import math
from pathlib import Path
from typing import Any

from hutong.records.v1.record_pb2 import Origin, RevisionAction, TestRecord, TestResult
from prometheus_client import REGISTRY

from services.common.errors import Unavailable
from tests.testkit.builders.records import person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, accept_feed, nation, opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.waiting import until

POSITIVE = TestResult.TEST_RESULT_POSITIVE
RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED


class ShutRegion:
    """A region that can be shut to writes."""

    def __init__(self, calls: Any) -> None:
        self._calls = calls
        self.shut = False

    def __getattr__(self, name: str) -> Any:
        if self.shut and name in ("AmendRecord", "RetractRecord"):

            async def refuse(_: Any) -> Any:
                raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")

            return refuse
        return getattr(self._calls, name)


async def current(records: Records) -> TestRecord:
    """The one record of the person."""
    [record] = await records.of(person(1))
    return record


async def test_copies_in_several_regions_follow(tmp_path: Path, nation_url: str) -> None:
    """One origin, a copy on the mesh and one that the nation keeps: both follow; one that cannot be reached follows as
    soon as it can, also when the nation was stopped in between."""
    async with (
        opened(sqlite_url(tmp_path, "430000")) as hunan_store,
        opened(sqlite_url(tmp_path, "110000")) as beijing_store,
        opened(sqlite_url(tmp_path, "440000")) as guangdong_store,
        opened(nation_url, "nation") as store,
    ):
        hunan = Records(hunan_store, ManualClock(), "430000")
        beijing = Records(beijing_store, ManualClock(), "110000")
        guangdong = Records(guangdong_store, ManualClock(), "440000")
        shut_region = ShutRegion(guangdong.calls)
        regions = {"430000": hunan.calls, "110000": beijing.calls, "440000": shut_region}
        whole = nation(store, regions)
        copied = result(origin=Origin(region="430000", source_id="X1", revision=1))
        await hunan.submit("X1", person(1), result())
        async with whole.service.running():
            await beijing.submit("C1", person(1), copied, region="110000")
            await guangdong.submit("C2", person(1), copied, region="440000")
            await whole.submit("C3", person(2), copied, region="360000")

            async def all_known() -> bool:
                return len(await whole.of(person(1))) == 3

            await until(all_known)
            shut_region.shut = True
            await hunan.amend("X1", 1, result(outcome=POSITIVE))

            async def followed() -> bool:
                kept_here = (await whole.of(person(2)))[0]
                return (await current(beijing)).revision == 2 and kept_here.revision == 2

            await until(followed)
            assert (await current(guangdong)).revision == 1
        # Nobody remembers now that the third is due, but the store.
        shut_region.shut = False
        whole = nation(store, regions)
        async with whole.service.running():

            async def third() -> bool:
                return (await current(guangdong)).revision == 2

            await until(third)
            assert (await current(guangdong)).content.result == POSITIVE
            await hunan.retract("X1", 2)

            async def gone() -> bool:
                copies = [await current(beijing), await current(guangdong), (await whole.of(person(2)))[0]]
                return {copy.action for copy in copies} == {RETRACTED}

            await until(gone)

            async def nothing_due() -> bool:
                return not await store.due_copies(["110000", "360000", "430000", "440000"], 10)

            await until(nothing_due)


async def test_a_copy_that_comes_late_follows(tmp_path: Path, nation_url: str) -> None:
    """A copy made of a revision that has been amended since is put right as soon as the nation sees it."""
    async with (
        opened(sqlite_url(tmp_path, "430000")) as hunan_store,
        opened(sqlite_url(tmp_path, "110000")) as beijing_store,
        opened(nation_url, "nation") as store,
    ):
        hunan, beijing = Records(hunan_store, ManualClock()), Records(beijing_store, ManualClock(), "110000")
        await hunan.submit("X1", person(1), result())
        await hunan.retract("X1", 1)
        whole = nation(store, {"430000": hunan.calls, "110000": beijing.calls})
        async with whole.service.running():

            async def known() -> bool:
                head = await store.head()
                return bool(head.sequence == 2)

            await until(known)
            copied = result(origin=Origin(region="430000", source_id="X1", revision=1))
            await beijing.submit("C1", person(1), copied, region="110000")

            async def gone() -> bool:
                return (await current(beijing)).action == RETRACTED

            await until(gone)


def lag(region: str) -> float:
    """Returns by how many seconds the nation is behind a region."""
    value = REGISTRY.get_sample_value("hutong_records_follower_lag_seconds", {"store": "nation", "region": region})
    assert value is not None
    return value


async def test_lag_tells_a_silent_region_from_one_that_is_gone(tmp_path: Path) -> None:
    """A region in which nothing happens is not behind; one that cannot be heard is, and more so every second."""
    async with (
        opened(sqlite_url(tmp_path, "430000")) as hunan_store,
        opened(sqlite_url(tmp_path, "n"), "nation") as store,
    ):
        clock = ManualClock()
        hunan = Records(hunan_store, clock, "430000")
        await hunan.submit("X1", person(1), result())
        whole = Records(store, clock, "nation", {"430000": hunan.calls})
        whole.service.close = None
        async with whole.service.running():

            async def heard() -> bool:
                return lag("430000") < 1

            await until(heard)
            for _ in range(2):
                # Time passes and nothing happens; the next sign of life closes the gap.
                clock.forward(60)
                assert lag("430000") >= 59
                await until(heard)
        clock.forward(60)
        assert lag("430000") >= 60
        clock.forward(60)
        assert lag("430000") >= 120


async def test_lag_of_each_region_by_itself(tmp_path: Path) -> None:
    """While a restored region is read again and compared it is not known how far behind it is; the others are as ever;
    and it ends with the comparison."""
    clock = ManualClock()
    async with (
        opened(sqlite_url(tmp_path, "430000")) as hunan_store,
        opened(sqlite_url(tmp_path, "rebuilt")) as rebuilt_store,
        opened(sqlite_url(tmp_path, "440000")) as guangdong_store,
        opened(sqlite_url(tmp_path, "n"), "nation") as store,
    ):
        guangdong = Records(guangdong_store, clock, "440000")
        hunan, rebuilt = Records(hunan_store, clock), Records(rebuilt_store, clock)
        for region in (hunan, rebuilt):
            await region.submit("X1", person(1), result())

        async def heard() -> bool:
            return lag("430000") < 1 and lag("440000") < 1

        async with nation(store, {"430000": hunan.calls, "440000": guangdong.calls}, clock).service.running():
            await until(heard)
        compare, ask = asyncio.Event(), rebuilt.calls.BatchListRecords

        async def later(request: Any) -> Any:
            await compare.wait()
            return await ask(request)

        rebuilt.calls.BatchListRecords = later
        whole = nation(store, {"430000": rebuilt.calls, "440000": guangdong.calls}, clock)
        async with whole.service.running():
            await accept_feed(whole)
        for compares in (False, False, True):
            # Begun again, and again after a restart in the middle of it.
            if compares:
                compare.set()
            whole = nation(store, {"430000": rebuilt.calls, "440000": guangdong.calls}, clock)
            async with whole.service.running():
                if compares:
                    await until(heard)
                    return

                async def read_to_the_end() -> bool:
                    here = (await store.cursors())["430000"]
                    return here.rereading and here.sequence == 1 and lag("440000") < 1

                await until(read_to_the_end)
                assert lag("430000") == math.inf
                assert list((await whole.batch([person(1)])).behind) == ["430000"]
