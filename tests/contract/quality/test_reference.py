"""Laboratories' figures are those told in YAML, and those of brute force, over every backend."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hutong.records.v1 import laboratory_quality_service_pb2 as qpb
from hutong.records.v1.record_pb2 import Channel, Origin, RecordContent, RecordKind, TestResult, Tube
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.instants import HOUR, Instant, parse_rfc3339, to_timestamp
from services.records.store.protocols.record_store import RecordStore
from tests.testkit.builders.laboratory_quality import days, listed, overdue, steps, take
from tests.testkit.builders.records import person, result
from tests.testkit.clocks import NOON, ManualClock
from tests.testkit.oracles import laboratory_quality as reference
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.tools import ROOT

GOLDEN = yaml.safe_load((ROOT / "tests" / "golden" / "quality" / "laboratories.yaml").read_text())


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


async def test_what_waits_for_somebody_is_no_amendment(records: Records) -> None:
    """The graver of two statements counts while they wait, but amends nothing; brought back, what was stored was never
    amended; confirmed, what was offered has replaced it."""

    async def told() -> list[tuple[int, int, int]]:
        figures = await listed(records, days=days("2022-08-04", "2022-08-04"))
        return [(one["records"], one.get("amended", 0), one.get("positive", 0)) for one in figures]

    negative, positive = result(-30.0, -29.0), result(-30.0, -28.0, TestResult.TEST_RESULT_POSITIVE)
    log: list[reference.Entry] = []
    for number in (1, 2):
        assert await take(records, log, ("submit", number, number, negative))
        assert not await take(records, log, ("submit", number, number, positive))
    assert [(2, 0, 2)] == await told()
    assert await take(records, log, ("keep", 1, 1, None))
    assert [(2, 0, 1)] == await told()
    assert await take(records, log, ("take", 2, 2, None))
    assert [(2, 1, 1)] == await told()
    assert [3, 3] == [sum(entry.source_id == source_id for entry in log) for source_id in ("S1", "S2")]


async def run_against_reference(url: str, plan: list[Any], hours: int) -> None:
    """Takes the steps and compares, after them and as known after each."""
    async with opened(url) as store:
        records = Records(store, ManualClock())
        log: list[reference.Entry] = []
        moments: list[Instant] = []
        for step in plan:
            if await take(records, log, step):
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
