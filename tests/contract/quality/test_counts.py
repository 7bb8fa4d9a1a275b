"""Laboratories' figures from counts that are kept up to date: always those of the records, over every backend."""

import asyncio
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hutong.records.v1 import laboratory_quality_service_pb2 as qpb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.instants import HOUR, Instant, from_timestamp
from services.records.domain.tally import RULES
from services.records.quality import figure_counter
from services.records.store.postgres import figures as postgres_counts
from services.records.store.sqlite import figures as sqlite_counts
from services.records.store.values.figures import CountedChanges
from services.records.store.values.records import LATEST
from tests.testkit.builders.laboratory_quality import (
    FIRST,
    POSITIVE,
    WEEK,
    counted_all,
    counting_of,
    days,
    kept,
    listed,
    many,
    overdue,
    quality_of,
    steps,
    take,
)
from tests.testkit.builders.records import fresh_id, person, result, sampling, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.oracles import laboratory_quality as reference
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url


async def live(records: Records, **asked: Any) -> tuple[Instant, list[dict[str, Any]]]:
    """All figures of now, page by page, and the instant they are of."""
    first = await records.calls.ListLaboratoryQuality(qpb.ListLaboratoryQualityRequest(**asked))
    known_at = from_timestamp(first.known_at)
    return known_at, await listed(records, size=2, **asked)


# Against brute force


async def run_against_reference(url: str, plan: list[Any], counts: list[int], hours: int) -> None:
    """Takes the steps, counts some changes after each, and compares."""
    async with opened(url) as store:
        records = Records(store, ManualClock())
        count = counting_of(records)
        log: list[reference.Entry] = []
        for number, step in enumerate(plan):
            if most := counts[number % len(counts)]:
                await count.step(most)
            await take(records, log, step)
        asked: dict[str, Any] = {"days": WEEK, "overdue_hours": hours}
        known_at, found = await live(records, **asked)
        expected = reference.figures(log, known_at, hours)
        assert await listed(records, known_at, **asked) == found
        assert sorted(expected) == [(f.pop("laboratory"), f.pop("day")) for f in found]
        for key, one in zip(sorted(expected), found, strict=True):
            assert one == {k: round(v, 4) if isinstance(v, float) else v for k, v in expected[key].items()}, key
        late = await overdue(records, size=3, **asked)
        assert reference.overdue(log, records.clock.now, hours) == [sample.source_id for sample in late]
        # What was counted bit by bit, undone and done, is what counting everything at once gives.
        bit_by_bit = await kept(store)
        await store.figures.begin(RULES)
        await counted_all(count)
        assert bit_by_bit == await kept(store)


amounts = st.lists(st.sampled_from([0, 0, 1, 2, 3, 50]), min_size=1, max_size=5)


@settings(max_examples=120, deadline=None)
@given(plan=steps, counts=amounts, hours=st.sampled_from([1, 12, 24, 36]))
def test_counts_are_those_of_brute_force_on_sqlite(plan: list[Any], counts: list[int], hours: int) -> None:
    """Whatever is submitted late, amended, withdrawn, moved to another day or laboratory, whenever it is counted."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run_against_reference(sqlite_url(Path(directory)), plan, counts, hours))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=steps, counts=amounts, hours=st.sampled_from([1, 12, 24, 36]))
def test_counts_are_those_of_brute_force_on_postgres(
    postgres_server: PostgresServer,
    plan: list[Any],
    counts: list[int],
    hours: int,
) -> None:
    """The same over PostgreSQL."""

    async def once() -> None:
        url = await postgres_server.create_database()
        await run_against_reference(url, plan, counts, hours)
        await postgres_server.drop_database(url)

    asyncio.run(once())


# Pages


async def test_a_result_between_two_pages_ends_the_call(records: Records) -> None:
    """The next page leaves it out; the list does not grow at its end meanwhile."""
    for number in range(4):
        await records.submit(f"P{number}", person(number), sampling(-30.0 - number))
    await records.submit("LATER", person(7), sampling(-23.9))
    asked = qpb.ListOverdueSamplesRequest(page_size=2)
    first = await records.calls.ListOverdueSamples(asked)
    await records.submit("P1", person(1), result(-31.0, -0.5))
    records.clock.forward(3600)
    asked.page_token = first.next_page_token
    second = await records.calls.ListOverdueSamples(asked)
    assert (["P3", "P2"], ["P0"]) == tuple([s.source_id for s in page.samples] for page in (first, second))
    assert first.known_at == second.known_at


# Definitions, purges, plans


async def test_other_rules_count_again(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of definition makes the counts again; a program of the earlier one answers from the records."""
    await many(records)
    await counted_all(counting_of(records))
    before = await kept(records.store)
    with monkeypatch.context() as patched:
        patched.setattr(figure_counter, "RULES", RULES + 1)
        assert 7 == (await counting_of(records).step(7)).sequence
        await counted_all(counting_of(records))
    assert before == await kept(records.store)
    assert 150 == sum(one["records"] for one in await listed(records, days=WEEK))
    async with records.store.figures.reading() as counts:
        assert RULES + 1 == (await counts.progress()).rules


async def test_a_purge_in_the_middle_of_counting_leaves_nobody_on_the_list(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is purged between reading a record and keeping its count is not counted, nor is anything kept of its
    person."""
    await records.submit("S1", person(1), sampling(-30.0))
    await records.submit("S2", person(2), result(-30.0, -29.0, POSITIVE))
    count = counting_of(records)
    keep = count.figures.count

    async def late(counted: CountedChanges) -> bool:
        monkeypatch.undo()
        records.clock.forward(3600)
        assert 2 == (await records.purge(records.clock.now)).records
        return await keep(counted)

    monkeypatch.setattr(count.figures, "count", late)
    await counted_all(count)
    assert [] == await overdue(records, days=WEEK, overdue_hours=1)
    async with records.store.figures.reading() as counts:
        assert [] == list(await counts.waiting("", FIRST, LATEST, 10))
        assert [] == list(await counts.positive_days([(person(2), 19208)]))


async def test_figures_of_purged_records_stay(records: Records) -> None:
    """A year's figures outlive its records; nobody is called for a sample that is gone."""
    await records.submit("S1", person(1), sampling(-30.0))
    await records.submit("S2", person(2), result(-30.0, -20.0, POSITIVE))
    await counted_all(counting_of(records))
    records.clock.forward(3600)
    purge: Any = records.store
    assert 2 == (await purge.purge(records.clock.now, 0, 100)).records
    await records.submit("S3", person(3), sampling(-30.0))
    (found,) = await listed(records, days=days("2022-08-04", "2022-08-04"))
    assert (3, 1, 1) == (found["records"], found["reported"], found["positive"])
    assert ["S3"] == [sample.source_id for sample in await overdue(records)]
    async with records.store.figures.reading() as counts:
        assert [] == list(await counts.positive_days([(person(2), 19208)]))


async def test_metrics_of_many_laboratories_are_exact(records: Records) -> None:
    """Quantiles of several laboratories and days together are those of all their results."""
    turnarounds = [1800 * n + n for n in range(1, 21)]
    await records.submit_many(
        [
            submission(fresh_id(), person(n), result(-30.0, -30.0 + seconds / 3600, laboratory=f"lab-{n % 4}"))
            for n, seconds in enumerate(turnarounds)
        ]
    )
    shown = await quality_of(records).grouped(19208, 19209, records.clock.now, 24, lambda figures: {"all": [*figures]})
    assert (turnarounds[9], turnarounds[18]) == (shown["all"].turnaround(0.5), shown["all"].turnaround(0.95))
    assert 20 == shown["all"].records


async def test_overdue_samples_are_found_by_an_index_on_sqlite(tmp_path: Path) -> None:
    """In their order, of all and of one laboratory: nothing is sorted."""
    async with opened(sqlite_url(tmp_path)):
        with sqlite3.connect(tmp_path / "records.db") as connection:
            for query in (sqlite_counts.WAITING, sqlite_counts.WAITING_OF_LABORATORY):
                plan = connection.execute(f"explain query plan {query}", (1, "", "", 2, 10, "a")[: query.count("?")])
                (step,) = [row[3] for row in plan]
                assert step.startswith("SEARCH count_waiting USING")


async def test_overdue_samples_are_found_by_an_index_on_postgres(postgres_url: str) -> None:
    """The same on PostgreSQL."""
    async with opened(postgres_url) as store:
        await store.ping()
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute("set enable_seqscan = off; set enable_bitmapscan = off")
            for query, index in (
                (postgres_counts.WAITING, "count_waiting_pkey"),
                (postgres_counts.WAITING_OF_LABORATORY, "count_waiting_by_laboratory"),
            ):
                asked = (1, "", "", HOUR, 10, "a")[: query.count("$")]
                plan = "\n".join(row[0] for row in await connection.fetch(f"explain {query}", *asked))
                assert index in plan
                assert "Sort" not in plan
        finally:
            await connection.close()
