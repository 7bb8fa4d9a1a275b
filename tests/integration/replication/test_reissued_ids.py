"""A restored region gives an id that it lost to another person's test: each person has what is theirs, and nobody what
is not, in the nation and in the copies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1.record_pb2 import Origin, RecordContent, RevisionAction, TestRecord, TestResult

from services.records.domain.holders import REISSUED_CAUSE
from services.records.store.protocols.record_store import RecordStore
from tests.testkit.builders.records import KEEP, person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, follow, nation, opened
from tests.testkit.servers.store_urls import sqlite_copy, sqlite_url
from tests.testkit.waiting import until

NEGATIVE, POSITIVE = result(), result(-4, -3, outcome=TestResult.TEST_RESULT_POSITIVE)
RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED
FIRST, SECOND, ALIAS = person(1), person(2), person(3)


@asynccontextmanager
async def region(directory: Path, name: str, later: float = 0) -> AsyncIterator[Records]:
    """Region 430000 over one of its files, so many seconds after noon."""
    async with opened(sqlite_url(directory, name)) as store:
        records = Records(store, ManualClock())
        records.clock.forward(later)
        yield records


async def reissued(directory: Path) -> None:
    """X1 was the first person's negative; it is lost, and the second person's positive in the restored region."""
    async with region(directory, "first") as hunan:
        await hunan.submit("X0", FIRST, result(-9, -8))
        sqlite_copy(directory, "first", "backup")
        await hunan.submit("X1", FIRST, NEGATIVE)
    sqlite_copy(directory, "backup", "restored")
    async with region(directory, "restored", 3600) as hunan:
        await hunan.submit("X1", SECOND, POSITIVE)


async def one(records: Records, who: bytes, source_id: str = "X1") -> TestRecord:
    """A person's record under an id."""
    [record] = [record for record in await records.of(who) if record.source_id == source_id]
    return record


async def followed(store: RecordStore, directory: Path, name: str) -> Records:
    """The nation, having followed one of the files to its end."""
    whole = Records(store, ManualClock(), "nation")
    async with region(directory, name, 7200) as hunan:
        return await follow(whole, hunan)


async def test_the_test_is_whose_the_region_says(tmp_path: Path, nation_url: str) -> None:
    """The first person's negative is retracted, the second person's positive found, exactly as it is in the region, and
    there is nothing to settle; and all of it back again when the file with the first person is found after all."""
    await reissued(tmp_path)
    async with opened(nation_url, "nation") as store:
        await followed(store, tmp_path, "first")
        whole = await followed(store, tmp_path, "restored")
        async with region(tmp_path, "restored") as hunan:
            assert await one(whole, SECOND) == await one(hunan, SECOND)
        lost = await one(whole, FIRST)
        assert (lost.action, lost.cause, lost.content) == (RETRACTED, REISSUED_CAUSE, NEGATIVE)
        assert await whole.history("X1") == [await one(whole, SECOND)]
        assert [record.source_id for record in await whole.of(FIRST) if record.action != RETRACTED] == ["X0"]
        conflicts = await whole.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP, settled_too=True))
        assert conflicts.conflicts == []

        whole = await followed(store, tmp_path, "first")
        back, gone = await one(whole, FIRST), await one(whole, SECOND)
        assert (back.revision, back.content, gone.action) == (3, NEGATIVE, RETRACTED)
        assert [record.revision for record in await whole.history("X1")] == [1, 2, 3]


async def test_no_copy_becomes_another_persons(tmp_path: Path, nation_url: str) -> None:
    """What was claimed of the first person's test is retracted, also under another document and when it comes late;
    what the second person claims stands."""
    await reissued(tmp_path)

    def copied(content: RecordContent) -> RecordContent:
        made = result()
        made.CopyFrom(content)
        made.origin.CopyFrom(Origin(region="430000", source_id="X1", revision=1))
        return made

    async with opened(sqlite_url(tmp_path, "110000")) as beijing_store, opened(nation_url, "nation") as store:
        beijing = Records(beijing_store, ManualClock(), "110000")
        async with region(tmp_path, "first") as hunan:
            whole = nation(store, {"430000": hunan.calls, "110000": beijing.calls})
            async with whole.service.running():
                await beijing.submit("C1", FIRST, copied(NEGATIVE), region="110000")
                await beijing.submit("C2", ALIAS, copied(NEGATIVE), region="110000")

                async def known() -> bool:
                    return len(await whole.of(FIRST)) == 3 and len(await whole.of(ALIAS)) == 1

                await until(known)
                assert (await one(beijing, ALIAS, "C2")).revision == 1
        async with region(tmp_path, "restored", 7200) as hunan:
            whole = nation(store, {"430000": hunan.calls, "110000": beijing.calls})
            async with whole.service.running():

                async def gone() -> bool:
                    copies = [await one(beijing, FIRST, "C1"), await one(beijing, ALIAS, "C2")]
                    return [copy.action for copy in copies] == [RETRACTED] * 2

                await until(gone)
                await beijing.submit("C3", FIRST, copied(NEGATIVE), region="110000")
                await beijing.submit("C4", SECOND, copied(POSITIVE), region="110000")

                async def late() -> bool:
                    return (await one(beijing, FIRST, "C3")).action == RETRACTED

                await until(late)

                async def nothing_due() -> bool:
                    return not await store.due_copies(["110000", "430000"], 10)

                await until(nothing_due)
                stands = await one(beijing, SECOND, "C4")
                assert (stands.revision, stands.content) == (1, copied(POSITIVE))
                assert [copy.content for copy in await beijing.of(FIRST)] == [copied(NEGATIVE)] * 2
