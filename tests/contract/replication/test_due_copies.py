"""Copies whose originals changed are noted until they have followed, over every backend."""

from collections.abc import AsyncIterator

import pytest
from hutong.records.v1.record_pb2 import Origin

from services.records.domain.revisions import RecordId
from tests.testkit.builders.records import person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened

COPY = RecordId("340000", "C1")


@pytest.fixture
async def records(store_url: str) -> AsyncIterator[Records]:
    """A store that sees an original, X1, and a copy of it."""
    async with opened(store_url, "nation") as store:
        made = Records(store, ManualClock(), keeps=("430000", COPY.region))
        await made.submit("X1", person(1), result())
        copied = result(origin=Origin(region="430000", source_id="X1", revision=1))
        await made.submit(COPY.source_id, person(1), copied, region=COPY.region)
        yield made


async def test_what_became_due_again_meanwhile_stays_due(records: Records) -> None:
    """A comparison that began before the latest change does not count for it."""
    compared = await records.store.due_copies([COPY.region], 10)
    assert [due.id for due in compared] == [COPY]
    await records.amend("X1", 1, result(reported=-0.5))
    again = await records.store.due_copies([COPY.region], 10)
    await records.store.copies_done(compared)
    assert await records.store.due_copies([COPY.region], 10) == again
    await records.store.copies_done(again)
    assert await records.store.due_copies([COPY.region], 10) == []


async def test_due_copies_are_told_by_region(records: Records) -> None:
    """Nobody is told of those of a region that was not asked for."""
    assert await records.store.due_copies(["110000"], 10) == []
    assert await records.store.due_copies([], 10) == []
