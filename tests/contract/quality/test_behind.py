"""Laboratories' figures are right where counting is behind, or has not begun."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from hutong.records.v1 import laboratory_quality_service_pb2 as qpb

from services.records.quality import figure_counter
from tests.testkit.builders.laboratory_quality import WEEK, counted_all, counting_of, listed, many, overdue, quality_of
from tests.testkit.builders.records import person, result, sampling
from tests.testkit.servers.records_service import Records


@contextmanager
def stalled(records: Records, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is counted meanwhile, as if another replica were at it and slow."""

    @asynccontextmanager
    async def never(self: Any) -> AsyncIterator[bool]:
        yield False

    with monkeypatch.context() as patched:
        patched.setattr(type(records.store.figures), "turn", never)
        patched.setattr(figure_counter, "PATIENCE", 0.0)
        yield


async def test_figures_say_up_to_when_they_count(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a surge an answer is of the last commit that was counted, and says so."""
    last = (await records.submit("S1", person(1), result(-3.0))).record.recorded_at
    await counted_all(counting_of(records))
    records.clock.forward(10)
    with stalled(records, monkeypatch):
        await records.submit("S2", person(2), result(-3.0))
        page = await records.calls.ListLaboratoryQuality(qpb.ListLaboratoryQualityRequest())
        assert ([1], last) == ([found.records for found in page.quality], page.known_at)
        mine = await records.calls.GetLaboratoryQuality(qpb.GetLaboratoryQualityRequest(laboratory="430000-xiangya"))
        assert ([1], last) == ([found.records for found in mine.days], mine.known_at)
    assert [2] == [found["records"] for found in await listed(records)]


async def test_nobody_is_called_for_a_result_that_is_there(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where counting is behind, and where that empties whole pages."""
    for number in range(6):
        await records.submit(f"S{number}", person(number), sampling(-30.0 - number))
    last = (await records.submit("S9", person(9), result(-3.0))).record.recorded_at
    await counted_all(counting_of(records))
    records.clock.forward(10)
    with stalled(records, monkeypatch):
        for number in (5, 4, 3, 1):
            await records.submit(f"S{number}", person(number), result(-30.0 - number, -1.0))
        assert ["S2", "S0"] == [sample.source_id for sample in await overdue(records, size=1)]
        page = await records.calls.ListOverdueSamples(qpb.ListOverdueSamplesRequest())
        assert last == page.as_of


async def test_a_store_that_was_not_counted_answers_from_its_records(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until all there was has been counted once, counts tell nothing."""
    await many(records)
    await counting_of(records).step(100)
    with stalled(records, monkeypatch):
        assert 150 == sum(one["records"] for one in await listed(records, days=WEEK))
        assert 30 == len(await overdue(records, overdue_hours=1, days=WEEK))
        shown = await quality_of(records).grouped(19208, 19209, records.clock.now, 24, lambda figures: {1: [*figures]})
        assert 150 == shown[1].records


async def test_an_empty_store_is_counted_to_its_end(records: Records) -> None:
    """Where there is nothing to count, all is counted."""
    assert (await counting_of(records).step()).complete
    async with records.store.figures.reading() as counts:
        assert (await counts.progress()).complete
