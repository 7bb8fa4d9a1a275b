"""A retraction lasts, by whichever way the content comes again, over every backend."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord, TestResult

from services.common.errors import ServiceError
from services.records.domain.replication import Cursor
from services.records.store.unit_of_work import Plan, Touch
from tests.testkit.builders.records import KEEP, person, request_id, result, sampling, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, follow, opened
from tests.testkit.servers.store_urls import sqlite_url

RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED
CONTENTS = (sampling(), result(outcome=TestResult.TEST_RESULT_POSITIVE), result())
"""All that was ever said of the record."""


@pytest.fixture
async def records(store_url: str) -> AsyncIterator[Records]:
    """A sampling record that received a result, which was amended, and retracted."""
    async with opened(store_url) as store:
        made = Records(store, ManualClock())
        for content in CONTENTS[:2]:
            await made.submit("S1", person(1), content)
        await made.amend("S1", 2, CONTENTS[2])
        await made.retract("S1", 3)
        yield made


async def alone(records: Records) -> None:
    """One by one."""
    for content in CONTENTS:
        await records.submit("S1", person(1), content, request_id())


async def in_a_batch(records: Records) -> None:
    """In one batch, several times."""
    for _ in range(2):
        await records.submit_many([submission("S1", person(1), content) for content in CONTENTS], request_id())


async def in_a_stream(records: Records) -> None:
    """In a stream, as every import sends them: in one batch, and each in its own."""
    rows = [submission("S1", person(1), content) for content in CONTENTS]

    async def requests() -> AsyncIterator[StreamRecordsRequest]:
        yield StreamRecordsRequest(session_id=str(uuid4()), purpose=KEEP)
        for number, batch in enumerate((rows, *([row] for row in rows)), 1):
            yield StreamRecordsRequest(batch=number, submissions=batch)

    assert [answer.created async for answer in records.calls.StreamRecords(requests())] == [0] * 5


async def by_settling(records: Records) -> None:
    """Offered as something else, and taken by someone."""
    with pytest.raises(ServiceError):
        await records.submit("S1", person(1), result(reported=-0.5))
    [conflict] = (await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))).conflicts
    with pytest.raises(ServiceError):
        await records.calls.SettleConflict(
            cpb.SettleConflictRequest(
                conflict_id=conflict.conflict_id,
                settlement=cpb.Settlement.SETTLEMENT_OFFERED_TAKEN,
                cause="why",
                purpose=KEEP,
            )
        )


@pytest.mark.parametrize("again", [alone, in_a_batch, in_a_stream, by_settling])
async def test_a_late_duplicate_resurrects_nothing(
    records: Records, again: Callable[[Records], Awaitable[None]]
) -> None:
    """Every content the record ever had, once more: nothing is appended."""
    before = await records.history("S1")
    await again(records)
    assert await records.history("S1") == before
    assert [record.action for record in await records.of(person(1))] == [RETRACTED]


async def test_a_feed_read_again_resurrects_nothing(tmp_path: Path, store_url: str) -> None:
    """A follower that reads from the start, with or without a comparison, has what it had; also what comes after late
    duplicates."""
    async with opened(sqlite_url(tmp_path, "region")) as region_store, opened(store_url, "nation") as store:
        region, whole = Records(region_store, ManualClock()), Records(store, ManualClock(), "nation")
        await region.submit("S1", person(1), CONTENTS[1])
        await region.retract("S1", 1)
        whole = await follow(whole, region)

        async def history() -> list[TestRecord]:
            return await whole.history("S1")

        before = await history()
        assert [record.action for record in before][1:] == [RETRACTED]
        for rereading in (False, True):
            await region.submit("S1", person(1), CONTENTS[1])
            again = Cursor(rereading=rereading)

            def decide(_: object, again: Cursor = again) -> Plan:
                return Plan(lambda _: b"", cursor=again)

            await store.commit(Touch(followed="430000"), decide, whole.clock)
            whole = await follow(whole, region)
            assert await history() == before
