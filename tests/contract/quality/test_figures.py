"""The figures of how well laboratories work, over every backend."""

import asyncio
import sqlite3
import tempfile
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from hutong.records.v1 import laboratory_quality_service_pb2 as qpb
from hutong.records.v1.record_pb2 import Channel, Origin, RecordContent, RecordKind, TestResult, Tube
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from services.common.errors import ServiceError
from services.common.instants import HOUR, Instant, parse_rfc3339, to_timestamp
from services.records.quality.metrics import OTHER, QualityMetrics, by_label
from services.records.store.postgres import by_time
from services.records.store.protocols.record_store import RecordStore
from services.records.store.sqlite import reads
from services.records.store.values.records import LATEST
from tests.testkit.builders.laboratory_quality import days, listed, overdue, quality_of, steps
from tests.testkit.builders.records import fresh_id, person, result, sampling, submission
from tests.testkit.clocks import NOON, ManualClock
from tests.testkit.oracles import laboratory_quality as reference
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.tools import ROOT

GOLDEN = yaml.safe_load((ROOT / "tests" / "golden" / "quality" / "laboratories.yaml").read_text())


async def refused(call: Any) -> list[tuple[str, str]]:
    """The fields and reasons for which a call is refused."""
    with pytest.raises(ServiceError) as caught:
        await call
    return [(violation.field, violation.reason) for violation in caught.value.violations]


# Golden figures


def local(text: str) -> Instant:
    """An instant written in UTC+8 to the minute."""
    return parse_rfc3339(f"{text}:00+08:00")


def golden_content(step: dict[str, Any], base: RecordContent | None = None) -> RecordContent:
    """Returns the content that a step makes of the one before."""
    content = RecordContent(tube=Tube.TUBE_SINGLE, site="430100", channel=Channel.CHANNEL_LABORATORY)
    if base is not None:
        content.CopyFrom(base)
    for field in ("sampled", "reported"):
        if field in step:
            getattr(content, f"{field}_at").CopyFrom(to_timestamp(local(step[field])))
    if "result" in step:
        content.result = TestResult.Value(f"TEST_RESULT_{step['result']}")
    content.kind = RecordKind.RECORD_KIND_RESULT if content.result else RecordKind.RECORD_KIND_SAMPLING
    content.tube = Tube.Value(f"TUBE_{step['tube']}") if "tube" in step else content.tube
    content.laboratory = step.get("laboratory", content.laboratory)
    if "origin" in step:
        content.origin.CopyFrom(Origin(region=step["origin"]))
    return content


async def play(records: Records, steps: list[dict[str, Any]], said: dict[str, RecordContent]) -> None:
    """Takes the steps, each at its time."""
    for step in steps:
        records.clock.now = max(records.clock.now, local(step["at"]))
        if step["do"] == "retract":
            await records.retract(step["id"], step["revision"])
            continue
        content = golden_content(step, said.get(step["id"]) if step["do"] == "amend" else None)
        said[step["id"]] = content
        if step["do"] == "amend":
            await records.amend(step["id"], step["revision"], content)
        else:
            assert 0 != (await records.submit(step["id"], person(step["person"]), content)).record.revision


async def check(records: Records, checks: list[dict[str, Any]]) -> None:
    """Compares the figures with the expected ones, in pages of two."""
    hours = GOLDEN["overdue_hours"]
    for expected in checks:
        known_at = local(expected["known_at"])
        asked = {"days": qpb.DayRange(**GOLDEN["days"]), "overdue_hours": hours}
        if "expect" in expected:
            assert expected["expect"] == await listed(records, known_at, 2, **asked), expected["known_at"]
        samples = [
            {
                "source_id": sample.source_id,
                "laboratory": sample.laboratory,
                "overdue_by_hours": round(sample.overdue_by_hours, 4),
            }
            for sample in await overdue(records, known_at, 2, **asked)
        ]
        assert expected["overdue"] == samples, expected["known_at"]


async def test_golden_figures(store: RecordStore) -> None:
    """What happened at two laboratories on two days, told in YAML, gives the figures told there; also in hindsight."""
    records = Records(store, ManualClock(local("2022-08-05T09:00")))
    said: dict[str, RecordContent] = {}
    await play(records, GOLDEN["steps"], said)
    await check(records, GOLDEN["checks"])
    await play(records, GOLDEN["later"], said)
    # A service that remembers no answer.
    await check(Records(store, records.clock), GOLDEN["later_checks"])


# Against brute force


async def run_against_reference(url: str, plan: list[Any], hours: int) -> None:
    """Takes the steps and compares, after them and as known after each."""
    async with opened(url) as store:
        records = Records(store, ManualClock())
        log: list[reference.Entry] = []
        moments: list[Instant] = []
        for action, number, who, content in plan:
            source_id = f"S{number}"
            mine = [entry for entry in log if entry.source_id == source_id]
            try:
                if action == "submit":
                    response = await records.submit(source_id, person(who), content)
                    record = response.record
                elif action == "amend":
                    record = await records.amend(source_id, len(mine), content)
                else:
                    record = await records.retract(source_id, len(mine))
            except ServiceError:
                continue
            if record.revision > len(mine):
                at = record.recorded_at.ToMicroseconds()
                owner = mine[0].person if mine else person(who)
                log.append(reference.Entry(at, source_id, owner, record.content, action == "retract"))
            moments.append(Instant(records.clock.now))
        for known_at in [*moments[::4], Instant(NOON + HOUR)]:
            expected = reference.figures(log, known_at, hours)
            found = await listed(records, known_at, days=days("2022-08-01", "2022-08-06"), overdue_hours=hours)
            assert sorted(expected) == [(f.pop("laboratory"), f.pop("day")) for f in found]
            for key, one in zip(sorted(expected), found, strict=True):
                wanted = {k: round(v, 4) if isinstance(v, float) else v for k, v in expected[key].items()}
                assert wanted == one, key
            late = await overdue(records, known_at, 3, days=days("2022-08-01", "2022-08-06"), overdue_hours=hours)
            assert reference.overdue(log, known_at, hours) == [sample.source_id for sample in late]


@settings(max_examples=120, deadline=None)
@given(plan=steps, hours=st.sampled_from([1, 12, 24, 36]))
def test_figures_are_those_of_brute_force_on_sqlite(plan: list[Any], hours: int) -> None:
    """Whatever is submitted, amended and withdrawn in whatever order, and as known whenever."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run_against_reference(sqlite_url(Path(directory)), plan, hours))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=steps, hours=st.sampled_from([1, 12, 24, 36]))
def test_figures_are_those_of_brute_force_on_postgres(
    postgres_server: PostgresServer,
    plan: list[Any],
    hours: int,
) -> None:
    """The same over PostgreSQL, which answers by another query."""

    async def once() -> None:
        url = await postgres_server.create_database()
        await run_against_reference(url, plan, hours)
        await postgres_server.drop_database(url)

    asyncio.run(once())


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


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"days": days("2022-8-5", "")}, ("days.first", "DAY_FORMAT")),
        ({"days": days("", "20220805")}, ("days.last", "DAY_FORMAT")),
        ({"days": days("2022-08-05", "2022-08-04")}, ("days", "DAYS_ORDER")),
        ({"days": days("2022-07-01", "2022-08-01")}, ("days", "DAYS_TOO_MANY")),
        ({"overdue_hours": 241}, ("overdue_hours", "OVERDUE_HOURS")),
        ({"overdue_hours": -1}, ("overdue_hours", "OVERDUE_HOURS")),
        ({"page_size": -1}, ("page_size", "PAGE_SIZE")),
        ({"page_token": "?"}, ("page_token", "PAGE_TOKEN")),
    ],
)
async def test_wrong_questions(records: Records, asked: dict[str, Any], wrong: tuple[str, str]) -> None:
    """Each wrong field is named."""
    assert [wrong] == await refused(records.calls.ListLaboratoryQuality(qpb.ListLaboratoryQualityRequest(**asked)))
    assert [wrong] == await refused(records.calls.ListOverdueSamples(qpb.ListOverdueSamplesRequest(**asked)))


async def test_31_days_may_be_asked_at_once(records: Records) -> None:
    """And no more."""
    assert [] == await listed(records, days=days("2022-07-02", "2022-08-01"))


async def test_an_answer_names_nobody(records: Records) -> None:
    """No person's key is in it."""
    await records.submit(fresh_id(), person(77), sampling(-30.0))
    request = qpb.ListOverdueSamplesRequest()
    assert person(77) not in (await records.calls.ListOverdueSamples(request)).SerializeToString()


async def test_a_reader_that_gives_up_lets_go_of_the_store(records: Records) -> None:
    """Reading by place in time can be left in the middle, any number of times; writing goes on meanwhile."""
    await records.submit_many([submission(fresh_id(), person(n), result()) for n in range(600)])
    for _ in range(20):
        batches = records.store.by_time(Instant(0), LATEST, LATEST)
        assert 0 < len(await anext(batches))
        await records.submit(fresh_id(), person(1), result())
        await batches.aclose()
    assert [620] == [found["records"] for found in await listed(records, days=days("2022-08-05", "2022-08-05"))]


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


def sample(name: str, laboratory: str, **labels: str) -> float | None:
    """A metric of the store "metrics"."""
    return REGISTRY.get_sample_value(
        f"hutong_laboratory_{name}", {"store": "metrics", "laboratory": laboratory, **labels}
    )


async def test_figures_as_metrics(records: Records) -> None:
    """Of the last three days together; a laboratory that has no more records has no more series."""
    await records.submit("M1", person(1), result(-26.0, -24.0, TestResult.TEST_RESULT_POSITIVE, laboratory="m"))
    await records.submit("M2", person(2), result(-6.0, -2.0, laboratory="m"))
    await records.submit("M3", person(3), sampling(-30.0, laboratory="m"))
    metrics = QualityMetrics("metrics", quality_of(records), overdue_hours=24, every=1.0, clock=records.clock)
    await metrics.refresh()
    assert (3, 1, 0.5) == (sample("records", "m"), sample("overdue_samples", "m"), sample("positive_ratio", "m"))
    assert (7200, 14400) == tuple(sample("turnaround_seconds", "m", quantile=q) for q in ("0.5", "0.95"))
    records.clock.forward(5 * 24 * 3600)
    await metrics.refresh()
    assert (None, None) == (sample("records", "m"), sample("turnaround_seconds", "m", quantile="0.5"))


async def test_metrics_have_a_bounded_number_of_series(records: Records) -> None:
    """Whoever invents laboratories ends up among the others, together."""
    await records.submit_many([submission(fresh_id(), person(n), result(laboratory=f"lab-{n % 7}")) for n in range(24)])
    today = (date(2022, 8, 5) - date(1970, 1, 1)) // timedelta(days=1)
    shown = await quality_of(records).grouped(today, today, records.clock.now, 24, partial(by_label, most=2))
    assert {"lab-0": 4, "lab-1": 4, OTHER: 16} == {label: figures.records for label, figures in shown.items()}
