"""A restored region gives an id that it lost to another person's test: each person has what is theirs, and nobody what
is not, in the nation and in the copies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1.record_pb2 import Origin, RecordContent, RevisionAction, TestRecord, TestResult

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


async def conflicts_of(records: Records) -> list[tuple[str, bytes, int]]:
    """The open conflicts of a store: reason, whose the offer is, and the revision it conflicts with."""
    answer = await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))
    return [(conflict.reason, conflict.person_key, conflict.revision) for conflict in answer.conflicts]


async def test_nobody_loses_a_test_to_an_id_that_is_used_again(tmp_path: Path, nation_url: str) -> None:
    """The first person's negative that was lost is given back, the second person's positive stands, the id is the
    second's; somebody has to say which of the two is right, and what is not is retracted everywhere."""
    await reissued(tmp_path)
    async with opened(nation_url, "nation") as store:
        await followed(store, tmp_path, "first")
        whole = await followed(store, tmp_path, "restored")
        async with region(tmp_path, "restored", 7200) as hunan:
            for records in (whole, hunan):
                lost, found = await one(records, FIRST), await one(records, SECOND)
                assert (lost.revision, lost.action, lost.content) == (1, found.action, NEGATIVE)
                assert (found.revision, found.content) == (1, POSITIVE)
                assert await records.history("X1") == [found]
            assert await conflicts_of(hunan) == [("RESTORED_PERSON", FIRST, 1)]
            assert await conflicts_of(whole) == []
            [conflict] = (await hunan.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))).conflicts
            await hunan.calls.SettleConflict(
                cpb.SettleConflictRequest(
                    conflict_id=conflict.conflict_id,
                    settlement=cpb.Settlement.SETTLEMENT_STORED_KEPT,
                    cause="mistyped",
                    purpose=KEEP,
                )
            )
            whole = await follow(whole, hunan)
            for records in (whole, hunan):
                assert (await one(records, FIRST)).action == RETRACTED
                assert (await one(records, SECOND)).action != RETRACTED


async def test_what_was_given_back_is_taken_by_who_decides_so(tmp_path: Path, nation_url: str) -> None:
    """The other way round: the first person's test was right, and the second's is retracted."""
    await reissued(tmp_path)
    async with opened(nation_url, "nation") as store:
        await followed(store, tmp_path, "first")
        whole = await followed(store, tmp_path, "restored")
        async with region(tmp_path, "restored", 7200) as hunan:
            [conflict] = (await hunan.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))).conflicts
            await hunan.calls.SettleConflict(
                cpb.SettleConflictRequest(
                    conflict_id=conflict.conflict_id,
                    settlement=cpb.Settlement.SETTLEMENT_OFFERED_TAKEN,
                    cause="the second was mistyped",
                    purpose=KEEP,
                )
            )
            whole = await follow(whole, hunan)
            for records in (whole, hunan):
                stands = await one(records, FIRST)
                assert (stands.action != RETRACTED, stands.content) == (True, NEGATIVE)
                assert (await one(records, SECOND)).action == RETRACTED
                assert (await records.history("X1"))[-1] == stands


async def test_no_copy_becomes_another_persons(tmp_path: Path, nation_url: str) -> None:
    """What either of the two claims of their own test stands, also when it comes late. What was claimed under another
    document is retracted: nobody can tell whose of the two it is."""
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
                    return (await one(beijing, ALIAS, "C2")).action == RETRACTED

                await until(gone)
                await beijing.submit("C3", FIRST, copied(NEGATIVE), region="110000")
                await beijing.submit("C4", SECOND, copied(POSITIVE), region="110000")

                async def nothing_due() -> bool:
                    return not await store.due_copies(["110000", "430000"], 10)

                await until(nothing_due)
                stands = await one(beijing, SECOND, "C4")
                assert (stands.revision, stands.content) == (1, copied(POSITIVE))
                for copy in await beijing.of(FIRST):
                    assert (copy.revision, copy.content) == (1, copied(NEGATIVE))
