"""`hutong laboratory` over a wire to a real store."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.exits import Exit
from cli.main import main
from services.runtime.rpc.server import Server
from tests.testkit.builders.records import person, result, sampling
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url

DAYS = ["--first", "2022-08-04", "--last", "2022-08-05"]


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """A store of Hunan with five records of two laboratories."""
    async with opened(sqlite_url(tmp_path)) as store:
        records = Records(store, ManualClock())
        await records.submit("A", person(1), result(-3.0, -0.5))
        await records.submit("B", person(2), result(-5.0, -1.0))
        await records.amend("B", 1, result(-5.0, -0.9))
        await records.submit("C", person(3), sampling(-30.0))
        await records.submit("D", person(4), sampling(-28.5, laboratory="430000-other"))
        server = Server(records.service.name, records.service.bindings)
        port = await server.start("127.0.0.1:0")
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.drain(0.0, 1.0)


async def run(*arguments: str) -> int:
    """Runs a command, which has an event loop of its own."""
    return await asyncio.to_thread(main, ["laboratory", *arguments])


async def test_figures_of_all_laboratories_as_json(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One object for each laboratory and day, under the names of the contract."""
    assert Exit.OK == await run("quality", *DAYS, "--to", address, "--json")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [
        ("430000-other", "2022-08-04", 1, 0, 1, None),
        ("430000-xiangya", "2022-08-04", 1, 0, 1, None),
        ("430000-xiangya", "2022-08-05", 2, 1, 0, 9000),
    ] == [
        (f["laboratory"], f["day"], f["records"], f["amended"], f["overdue"], f["turnaround_median_seconds"])
        for f in found
    ]


async def test_figures_of_one_laboratory_as_a_table(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole numbers, never cut to the width of a terminal, and nothing of the other laboratory."""
    assert Exit.OK == await run("quality", "430000-xiangya", *DAYS, "--to", address)
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("│") and "2022-08-05" in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert ["430000-xiangya", "2022-08-05", "2", "2", "0", "0", "2:30", "4:06", "0", "50.00%", "0", "0"] == cells
    assert "430000-other" not in out


async def test_overdue_samples_as_a_table(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whom to call about which sample, the oldest first."""
    assert Exit.OK == await run("overdue", *DAYS, "--known-at", "2022-08-05T14:00:00+08:00", "--to", address)
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in out.splitlines() if "湖南" in line]
    assert [
        ["430000-xiangya", "湖南省 430000", "C", "2022-08-04 06:00", "8.0"],
        ["430000-other", "湖南省 430000", "D", "2022-08-04 07:30", "6.5"],
    ] == rows
    assert "逾期样本 2 份" in out


async def test_hours_decide_what_is_overdue(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With 29 hours, one of the two samples is."""
    assert Exit.OK == await run("overdue", *DAYS, "--hours", "29", "--to", address, "--json")
    assert ["C"] == [json.loads(line)["source_id"] for line in capsys.readouterr().out.splitlines()]


async def test_a_wrong_day_is_explained(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In both languages, with the status of a command that cannot be used."""
    assert Exit.USAGE == await run("quality", "--first", "5 August", "--to", address)
    assert "日期应如2022-08-05 / A day is written like 2022-08-05" in capsys.readouterr().err


async def test_a_store_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a store nor a running mesh: says so."""
    monkeypatch.setattr("cli.commands.laboratory.query.SECONDS", 0.3)
    assert Exit.UNREACHABLE == await run("overdue", "--data", str(tmp_path))
    assert "hutong up" in capsys.readouterr().err
    assert Exit.UNREACHABLE == await run("overdue", "--to", "127.0.0.1:1")
    assert "127.0.0.1:1" in capsys.readouterr().err
