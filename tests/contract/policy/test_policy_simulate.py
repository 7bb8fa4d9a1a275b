"""`hutong policy simulate` goes through every backend's people: its table, its CSV and its chart."""

import argparse
import asyncio
import csv
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import pytest

from cli.commands.policy import simulate
from cli.simulation.people import everybody
from services.common.instants import HOUR, Instant, format_rfc3339
from services.records.store.protocols.record_store import RecordStore
from services.verdict.policy.files import DEFAULT_DIRECTORY
from tests.testkit.builders.records import fresh_id, person, result
from tests.testkit.clocks import NOON
from tests.testkit.servers.records_service import Records

PEOPLE = 20


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """A draft in which Hubei recognises nothing that is older than twelve hours."""
    folder = tmp_path / "draft" / "420000"
    folder.mkdir(parents=True)
    text = (DEFAULT_DIRECTORY / "420000" / "2022-07-01.yaml").read_text(encoding="utf-8")
    text = (
        text.replace("hours: 72", "hours: 12").replace("hours: 48", "hours: 12").replace("2022-07-01T", "2035-01-01T")
    )
    (folder / "2035-01-01.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "draft"


async def _filled(records: Records) -> tuple[Instant, Instant]:
    """Twenty people with a test each, all known to the store from now on."""
    for number in range(PEOPLE):
        await records.submit(fresh_id(), person(number), result())
    return Instant(records.clock()), Instant(NOON + 36 * HOUR)


def _run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    simulate.add_arguments(parser)
    args = parser.parse_args([str(argument) for argument in arguments])
    status: int = args.run(args)
    return status


async def test_a_table_a_csv_and_a_chart(
    records: Records,
    store: RecordStore,
    store_url: str,
    draft: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All people with a test lose recognition once it is older than the draft allows."""
    first, last = await _filled(records)
    await store.close()
    # The command runs an event loop of its own.
    figures, picture = tmp_path / "figures.csv", tmp_path / "figures.svg"
    arguments = ("--draft", draft, "--from", format_rfc3339(first), "--to", format_rfc3339(last), "--every", "12")
    status = await asyncio.to_thread(_run, *arguments, "--store-url", store_url, "--csv", figures, "--chart", picture)
    assert status == 0
    out = capsys.readouterr().out
    assert f"{PEOPLE} people, {PEOPLE} lose and 0 gain recognition" in out
    with figures.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["region"], row["scene"], row["origin"]) for row in rows} == {("420000", "", "430000")}
    assert sum(int(row["losing"]) for row in rows) >= PEOPLE
    assert sum(int(row["repeat_tests_owed"]) for row in rows) == PEOPLE
    root = ET.fromstring(picture.read_text(encoding="utf-8"))
    words = "".join(root.itertext())
    assert root.tag.endswith("svg")
    assert "Hubei" in words
    assert f"{PEOPLE} lose" in words


async def test_a_sample_takes_so_many_and_goes_round(records: Records, store: RecordStore) -> None:
    """Wherever it begins it finds as many as it wants, nobody twice, and all where there are no more."""
    first, _ = await _filled(records)
    for start in (person(0), person(15), b"\xff" * 16):
        for wanted, expected in ((7, 7), (PEOPLE, PEOPLE), (1000, PEOPLE)):
            people = [one async for one in everybody(store, [first], wanted, partial(bytes, start))]
            assert len(people) == expected
            assert len({one.known[0][0].source_id for one in people}) == expected


async def test_what_was_not_known_yet_is_not_seen(records: Records, store: RecordStore) -> None:
    """Each instant has the records of its own time."""
    before = Instant(records.clock())
    after, _ = await _filled(records)
    people = [one async for one in everybody(store, [before, after], None, lambda: b"")]
    assert [[len(known) for known in one.known] for one in people] == [[0, 1]] * PEOPLE
    assert people[-1].share <= 1


@pytest.mark.parametrize(
    "wrong", [("--from", "2022-08-10T00:00:00"), ("--every", "0"), ("--sample", "0")], ids=lambda wrong: wrong[0]
)
def test_wrong_arguments_are_named(draft: Path, wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is opened."""
    arguments = {"--from": "2022-08-09T00:00:00Z", "--to": "2022-08-10T00:00:00Z", "--draft": str(draft)}
    arguments[wrong[0]] = wrong[1]
    with pytest.raises(SystemExit):
        _run(*(part for pair in arguments.items() for part in pair))
    assert wrong[0] in capsys.readouterr().err


def test_a_store_that_is_not_there_is_not_made(draft: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no empty one, and the status is 2."""
    span = ("--from", "2022-08-09T00:00:00Z", "--to", "2022-08-10T00:00:00Z")
    assert _run("--draft", draft, *span, "--data", tmp_path / "nowhere") == 2
    assert "nation.db" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
