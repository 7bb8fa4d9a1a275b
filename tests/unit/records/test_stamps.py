"""Which instants commits bear once somebody has said at which one he reads."""

import pytest

from services.common.instants import Instant
from services.records.store.stamps import MOST_AHEAD, Stamps

NOW = Instant(1_000_000_000)


@pytest.mark.parametrize("ahead", [-5, 0, 5, MOST_AHEAD])
async def test_what_begins_later_bears_a_later_instant(ahead: int) -> None:
    """Also where the reader's clock is ahead of this one, or this one stands still."""
    stamps = Stamps()
    at = Instant(NOW + ahead)
    await stamps.settle(at, NOW)
    token, instant = stamps.begin(lambda: NOW)
    stamps.end(token)
    assert instant == max(NOW, at + 1)


async def test_no_reader_pushes_commits_far_ahead() -> None:
    """A reader whose clock is wrong by more than a second is promised nothing."""
    stamps = Stamps()
    await stamps.settle(Instant(NOW + 60 * MOST_AHEAD), NOW)
    assert stamps.begin(lambda: NOW)[1] == NOW + MOST_AHEAD + 1
