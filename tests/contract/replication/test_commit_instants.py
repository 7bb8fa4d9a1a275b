"""The instants of commits come after every instant that somebody has read at, over every backend."""

import pytest

from services.common.instants import SECOND, Instant, from_timestamp
from tests.testkit.builders.records import person, result
from tests.testkit.servers.records_service import Records


@pytest.mark.parametrize("ahead", [0.0, 0.5, 0.9])
async def test_what_begins_later_bears_a_later_instant(records: Records, ahead: float) -> None:
    """Also where the reader's clock is ahead of the store's; a second reading pushes nothing back."""
    at = Instant(records.clock() + round(ahead * SECOND))
    await records.store.settle(at, records.clock())
    await records.store.settle(Instant(at - SECOND), records.clock())
    written = await records.submit("S1", person(1), result())
    assert at < from_timestamp(written.record.recorded_at) <= at + SECOND // 100


async def test_no_reader_pushes_commits_far_ahead(records: Records) -> None:
    """A reader whose clock is wrong by more than a second is promised nothing."""
    now = records.clock()
    await records.store.settle(Instant(now + 60 * SECOND), now)
    written = await records.submit("S1", person(1), result())
    assert from_timestamp(written.record.recorded_at) <= now + 2 * SECOND
