"""One sign of life of two is enough."""

import asyncio

import pytest

from services.common.errors import Unavailable
from services.records.store.errors import unavailable
from services.runtime.rpc.health import EitherPing


async def well() -> None:
    """Answers."""


async def gone() -> None:
    """Answers that it cannot."""
    raise unavailable()


async def test_one_that_says_nothing_takes_none_of_the_others_time():
    """Whichever of the two it is; and it is asked no second time meanwhile."""
    asked = 0

    async def silent() -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    for either in (EitherPing(silent, well), EitherPing(well, silent)):
        asked = 0
        async with asyncio.timeout(60):
            for _ in range(3):
                await either()
        assert 1 == asked


async def test_it_fails_once_both_have():
    """With the trouble of one of them, and not before."""
    await EitherPing(gone, well)()
    await EitherPing(well, gone)()
    with pytest.raises(Unavailable):
        await EitherPing(gone, gone)()
