"""One process at a time counts a store's feed, each change once, whoever is killed or gives up."""

import asyncio
from typing import Any

import pytest

from services.records.domain.tally import RULES
from services.records.quality.figure_counter import FigureCounter
from services.records.store.protocols.record_store import RecordStore
from services.records.store.values.figures import CountedChanges
from tests.testkit.builders.laboratory_quality import counted_all, counting_of, kept, many
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened


async def test_whoever_counts_at_once_counts_once(store_url: str) -> None:
    """Several services over one store, each counting and asking as it likes: no change is counted twice."""
    async with opened(store_url) as store, opened(store_url) as other:
        records = Records(store, ManualClock())
        # Two processes never write one SQLite file.
        second = other if store_url.startswith("postgresql") else store
        await many(records)
        await asyncio.gather(
            counted_all(counting_of(records), 7),
            counted_all(FigureCounter("other", second, second.figures, records.clock), 5),
        )
        found = await kept(store)
        await store.figures.begin(RULES)
        await counted_all(counting_of(records))
        assert found == await kept(store)
        assert 150 == sum(tally[0] for tally in found[0].values())


class Killed(BaseException):
    """The process ends here."""


class KillingCounts:
    """Counts whose process is killed before they are kept, or after, before anybody knows."""

    def __init__(self, inner: Any, *, after: bool) -> None:
        self._inner = inner
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def count(self, counted: CountedChanges) -> bool:
        """Kills."""
        if self._after:
            await self._inner.count(counted)
        raise Killed


async def test_killed_at_any_commit_nothing_is_counted_twice(records: Records) -> None:
    """FigureCounter goes on from where it was kept, counters and cursor together."""
    await many(records)
    for turn in range(12):
        dying = FigureCounter(
            "t", records.store, KillingCounts(records.store.figures, after=turn % 2 == 0), records.clock
        )
        with pytest.raises(Killed):
            # The turn of the one before may end a moment after it.
            while True:
                await dying.step(9)
    await counted_all(counting_of(records), 9)
    found = await kept(records.store)
    await records.store.figures.begin(RULES)
    await counted_all(counting_of(records))
    assert found == await kept(records.store)


async def test_one_that_lost_its_turn_counts_nothing(records: Records) -> None:
    """What was counted from where the counts no longer stand is not kept."""
    await many(records)
    await counting_of(records).step(10)
    assert not await records.store.figures.count(CountedChanges(RULES, 0, 10, complete=False))
    async with records.store.figures.reading() as counts:
        assert 10 == (await counts.progress()).sequence


async def test_another_replica_counts_meanwhile(postgres_url: str) -> None:
    """While one has its turn the others wait for what it counts."""
    async with opened(postgres_url) as store:
        records = Records(store, ManualClock())
        await many(records)
        async with store.figures.turn() as mine:
            assert mine
            assert 0 == (await counting_of(records).step()).sequence
        assert 280 == (await counting_of(records).step()).sequence


async def test_who_is_cancelled_leaves_the_turn_to_others(postgres_url: str) -> None:
    """No connection goes back into the pool with it, however a question ends."""
    async with opened(postgres_url) as store, opened(postgres_url) as other:
        await store.ping()

        async def hold() -> None:
            async with store.figures.turn() as mine:
                assert mine
                await asyncio.sleep(60)

        holding = asyncio.create_task(hold())
        while not await taken(other):
            await asyncio.sleep(0.02)
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        while await taken(other):
            await asyncio.sleep(0.02)


async def taken(store: RecordStore) -> bool:
    """Tells if somebody else has the turn."""
    async with store.figures.turn() as mine:
        return not mine
