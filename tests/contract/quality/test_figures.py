"""The figures of how well laboratories work, over every backend."""

import sqlite3
from pathlib import Path

import asyncpg
from hutong.records.v1 import laboratory_quality_service_pb2 as qpb

from services.records.store.postgres import by_time
from services.records.store.sqlite import reads
from tests.testkit.builders.laboratory_quality import days, listed, overdue, refused
from tests.testkit.builders.records import fresh_id, person, result, sampling, submission
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url

# Golden figures


# Against brute force


# Days, pages, hours


async def test_more_records_than_are_read_at_once(records: Records) -> None:
    """Reading in batches loses none and doubles none, also where many stand at the same instant."""
    for start in range(0, 700, 350):
        await records.submit_many(
            [submission(fresh_id(), person(n), result(-3.0, laboratory="big")) for n in range(start, start + 350)]
        )
    (found,) = await listed(records, days=days("2022-08-05", "2022-08-05"))
    assert (700, 700, 7200) == (found["records"], found["timed"], found["turnaround_median_seconds"])


async def test_one_laboratory_day_by_day(records: Records) -> None:
    """Another's figures are left out, and so are days without records."""
    for hours, laboratory in ((-60.0, "mine"), (-3.0, "mine"), (-3.0, "other")):
        await records.submit(fresh_id(), person(1), result(hours, laboratory=laboratory))
    response = await records.calls.GetLaboratoryQuality(
        qpb.GetLaboratoryQualityRequest(laboratory="mine", days=days("2022-08-01", "2022-08-05"))
    )
    assert [("mine", "2022-08-03"), ("mine", "2022-08-05")] == [(q.laboratory, q.day) for q in response.days]


async def test_days_that_are_not_named(records: Records) -> None:
    """Figures are of the day of known_at; overdue samples of the last seven days."""
    for hours in (-24.0 * 8, -24.0 * 5, -3.0):
        await records.submit(fresh_id(), person(1), sampling(hours))
    assert ["2022-08-05"] == [found["day"] for found in await listed(records)]
    assert 1 == len(await overdue(records))


async def test_a_late_result_ends_the_call(records: Records) -> None:
    """A sample is overdue until its result comes, and no longer."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), sampling(-30.0))
    (sample,) = await overdue(records)
    assert ("430000", source_id, "430000-xiangya") == (sample.region, sample.source_id, sample.laboratory)
    assert sampling(-30.0).sampled_at == sample.sampled_at
    assert 6.0 == round(sample.overdue_by_hours, 3)
    await records.submit(source_id, person(1), result(-30.0, -0.5))
    assert [] == await overdue(records)


async def test_overdue_samples_of_one_laboratory_oldest_first(records: Records) -> None:
    """In pages, each sample once; the store's own hours where none are named."""
    for number in range(5):
        await records.submit(f"L{number}", person(number), sampling(-25.0 - number, laboratory="late"))
        await records.submit(f"O{number}", person(number), sampling(-25.0 - number, laboratory="other"))
    await records.submit("RECENT", person(9), sampling(-23.0, laboratory="late"))
    found = await overdue(records, size=2, laboratory="late")
    assert ["L4", "L3", "L2", "L1", "L0"] == [sample.source_id for sample in found]
    assert 6 == len(await overdue(records, laboratory="late", overdue_hours=22))


async def test_pages_show_what_was_known_at_first(records: Records) -> None:
    """A result that comes between two pages changes neither."""
    for number in range(3):
        await records.submit(f"P{number}", person(number), sampling(-30.0 - number, laboratory=f"lab-{number}"))
    asked = qpb.ListLaboratoryQualityRequest(days=days("2022-08-04", "2022-08-04"), page_size=2)
    first = await records.calls.ListLaboratoryQuality(asked)
    await records.submit("P2", person(2), result(-32.0, -0.5, laboratory="lab-2"))
    asked.page_token = first.next_page_token
    second = await records.calls.ListLaboratoryQuality(asked)
    assert [("lab-0", 1), ("lab-1", 1), ("lab-2", 1)] == [
        (q.laboratory, q.overdue) for q in [*first.quality, *second.quality]
    ]
    asked.days.last = "2022-08-05"
    assert [("page_token", "PAGE_TOKEN")] == await refused(records.calls.ListLaboratoryQuality(asked))


async def test_days_are_found_by_an_index_on_sqlite(tmp_path: Path) -> None:
    """Neither the days before nor those after are read, nor is anything sorted to find a page."""
    async with opened(sqlite_url(tmp_path)):
        with sqlite3.connect(tmp_path / "records.db") as connection:
            plan = connection.execute(f"explain query plan {reads.BY_TIME}", (64, 1, 1, 0, b"", "", "", 0))
            steps = [row[3] for row in plan]
    assert 1 == sum("INDEX revision_by_place" in step for step in steps)
    assert [] == [step for step in steps if "SCAN" in step and "SCAN c" not in step]


async def test_days_are_found_by_an_index_on_postgres(postgres_url: str) -> None:
    """Every partition has its own, small one."""
    async with opened(postgres_url) as store:
        await store.ping()
        connection = await asyncpg.connect(postgres_url)
        try:
            # So few rows as there are here are read without any index, unless that is forbidden.
            await connection.execute("set enable_seqscan = off")
            rows = await connection.fetch(f"explain {by_time.BY_TIME}", 0, 1, 2)
        finally:
            await connection.close()
    plan = [row[0] for row in rows]
    assert 16 == sum("Bitmap Index Scan on" in step and "placed_at" in step for step in plan)
    assert [] == [step for step in plan if "Seq Scan" in step]


# Metrics
