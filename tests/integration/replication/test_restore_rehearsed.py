"""The runbook of restoring a region, and the nation, rehearsed on both engines: backed up under intake, lost, restored,
while intake goes on. Nothing that was acknowledged is lost, and nobody is milder for a moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1.record_pb2 import RevisionAction, TestResult

from services.common.errors import Unavailable
from services.records.replication import follower as following
from tests.testkit.builders.records import KEEP, person, result, sampling
from tests.testkit.clocks import ManualClock
from tests.testkit.faults.recording import Measured
from tests.testkit.servers.backups import BackedUp, backed_up
from tests.testkit.servers.records_service import Records, caught_up, nation, opened
from tests.testkit.servers.store_urls import sqlite_url

NEGATIVE, POSITIVE = result(), result(outcome=TestResult.TEST_RESULT_POSITIVE)
RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED


class Line:
    """The way to the region: nobody while it is down, and its present service otherwise."""

    def __init__(self) -> None:
        self.calls: Any = None

    def _reach(self) -> Any:
        if self.calls is None:
            raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "Nobody is there")
        return self.calls

    async def WatchChanges(self, request: Any) -> AsyncIterator[Any]:
        """Changes, until the region goes down."""
        calls = self._reach()
        async with aclosing(calls.WatchChanges(request)) as stream:
            async for batch in stream:
                yield batch
                if self._reach() is not calls:
                    raise Unavailable("SERVICE_RESTARTED", "已重启", "It was restarted")

    def __getattr__(self, name: str) -> Any:
        async def call(request: Any) -> Any:
            return await getattr(self._reach(), name)(request)

        return call


class Laboratory:
    """Submits without end, and remembers what was acknowledged: of each record, the person and the last content."""

    def __init__(self, first: int) -> None:
        self.number = first
        self.acknowledged: dict[str, tuple[bytes, Any]] = {}

    async def work(self, region: Records, rounds: int) -> None:
        """Samples, results, corrections: some negative at first, and then positive."""
        for _ in range(rounds):
            region.clock.forward(1)
            number, who = self.number, person(self.number % 40)
            self.number += 1
            source_id = f"S{number}"
            if number % 3 == 0:
                await self._acknowledged(source_id, who, sampling(), region.submit(source_id, who, sampling()))
            content = POSITIVE if number % 4 == 0 else NEGATIVE
            await self._acknowledged(source_id, who, content, region.submit(source_id, who, content))
            if number % 5 == 0:
                revision = (await region.history(source_id))[-1].revision
                other = POSITIVE if content is NEGATIVE else NEGATIVE
                await self._acknowledged(source_id, who, other, region.amend(source_id, revision, other))
            await asyncio.sleep(0)

    async def _acknowledged(self, source_id: str, who: bytes, content: Any, call: Any) -> None:
        await call
        self.acknowledged[source_id] = who, content

    def positive(self) -> dict[bytes, set[str]]:
        """The people of whom the last that was acknowledged is positive, and by which records."""
        people: dict[bytes, set[str]] = {}
        for source_id, (who, content) in self.acknowledged.items():
            if content is POSITIVE:
                people.setdefault(who, set()).add(source_id)
        return people


async def stands(records: Records, people: list[bytes]) -> dict[str, tuple[bytes, Any]]:
    """Returns what a store says of these people: of each record that was not withdrawn, whose it is and its content."""
    answer = await records.batch(people)
    return {
        record.source_id: (record.person_key, record.content)
        for entry in answer.people
        for record in entry.records
        if record.action != RETRACTED
    }


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def lost(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BackedUp]:
    """Returns the store that will be lost, on each engine."""
    async with backed_up(request.param, tmp_path, "records") as store:
        yield store


async def backed_up_under_intake(store: BackedUp, laboratory: Laboratory, region: Records) -> None:
    """Backs the store up while the laboratory works, which goes on for a while after it."""
    backup = asyncio.create_task(store.back_up())
    while not backup.done():
        await laboratory.work(region, 1)
        await asyncio.sleep(0.02)
    await backup
    await laboratory.work(region, 30)


async def test_a_region_restored_under_intake(
    tmp_path: Path, lost: BackedUp, monkeypatch: Any, measured: Measured
) -> None:
    """Every person who was shown to be positive stays so all along, and in the end region and nation have it all."""
    monkeypatch.setattr(following, "LONGEST_WAIT", 0.1)
    line, before, after = Line(), Laboratory(0), Laboratory(100_000)
    async with opened(sqlite_url(tmp_path, "nation"), "nation") as store:
        whole = nation(store, {"430000": line})
        async with whole.service.running():
            async with opened(lost.url) as region_store:
                region = Records(region_store, ManualClock())
                line.calls = region.calls
                await before.work(region, 30)
                await backed_up_under_intake(lost, before, region)
                await caught_up(whole, region)
                line.calls = None
            shown = before.positive()
            assert len(shown) > 10

            milder: list[str] = []

            async def watch() -> None:
                while True:
                    known = await stands(whole, list(shown))
                    milder.extend(
                        source_id
                        for records in shown.values()
                        for source_id in records
                        if source_id not in known or known[source_id][1].result != POSITIVE.result
                    )
                    await asyncio.sleep(0.001)

            watching = asyncio.create_task(watch())
            try:
                async with opened(await lost.restore()) as region_store:
                    restored = Records(region_store, ManualClock())
                    restored.clock.forward(7200)
                    assert len(await stands(restored, [who for who, _ in before.acknowledged.values()])) < len(
                        before.acknowledged
                    )
                    await after.work(restored, 10)
                    line.calls = restored.calls
                    await after.work(restored, 30)
                    await caught_up(whole, restored)
                    assert not watching.done()
                    acknowledged = before.acknowledged | after.acknowledged
                    people = list({who for who, _ in acknowledged.values()})
                    measured.of().saw("records acknowledged", len(acknowledged))
                    kept = await stands(restored, people)
                    measured.of().lose(sum(kept.get(name) != said for name, said in acknowledged.items()))
                    assert kept == acknowledged
                    assert await stands(whole, people) == acknowledged
                    # Nothing contradicts: nobody has to settle anything.
                    for records in (restored, whole):
                        listed = await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))
                        assert listed.conflicts == []
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            assert milder == []


async def test_the_nation_restored_under_intake(tmp_path: Path, lost: BackedUp, monkeypatch: Any) -> None:
    """What it had followed since its backup it follows again, though the region goes on meanwhile."""
    monkeypatch.setattr(following, "LONGEST_WAIT", 0.1)
    laboratory = Laboratory(0)
    async with opened(sqlite_url(tmp_path, "region")) as region_store:
        region = Records(region_store, ManualClock())
        async with opened(lost.url, "nation") as store:
            whole = nation(store, {"430000": region.calls})
            async with whole.service.running():
                await laboratory.work(region, 30)
                await caught_up(whole, region)
                await backed_up_under_intake(lost, laboratory, region)
                await caught_up(whole, region)
        await laboratory.work(region, 10)
        people = list({who for who, _ in laboratory.acknowledged.values()})
        async with opened(await lost.restore(), "nation") as store:
            whole = nation(store, {"430000": region.calls})
            missing = laboratory.acknowledged.keys() - (await stands(whole, people)).keys()
            assert len(missing) > 10, "the backup is an older one"
            async with whole.service.running():
                await laboratory.work(region, 10)
                await caught_up(whole, region)
                assert await stands(whole, people) == laboratory.acknowledged
                assert await stands(region, people) == laboratory.acknowledged
