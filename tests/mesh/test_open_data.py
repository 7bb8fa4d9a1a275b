"""Open data of a mesh: `hutong supervision export` brings the file and its dictionary, with small figures hidden."""

import asyncio
import csv
import sqlite3
from pathlib import Path

import httpx
import pytest

from cli.main import main
from cli.mesh import embedded
from cli.mesh.endpoints import write_endpoints
from services.common.instants import calendar_day
from services.runtime.clock import system_clock

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(300)]


async def test_the_export_is_whole_and_hides_what_is_small(tmp_path: Path) -> None:
    """A day that is over, with a figure of 3 beside greater ones; today is not in it; others get none."""
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    async with embedded(data) as mesh:
        write_endpoints(mesh.endpoints, data)
        yesterday = calendar_day(system_clock()) - 1
        with sqlite3.connect(data / "supervision.db") as file:
            rows = [(yesterday, "110000", scene, 3, number) for scene, number in ((0, 3), (5, 40), (9, 70))]
            rows.append((yesterday + 1, "310000", 0, 1, 900))
            file.executemany("insert into supervision_figure values (?, ?, ?, ?, ?)", rows)
        arguments = ["supervision", "export", "--out", str(out), "--data", str(data)]
        assert 0 == await asyncio.to_thread(main, arguments)
        assert 0 != await asyncio.to_thread(main, [*arguments, "--last", "2999-01-01"])
        async with httpx.AsyncClient(base_url=mesh.http) as http:
            assert 403 == (await http.get("/v1/supervision/openData")).status_code
    written = list(csv.DictReader((out / "recognition.csv").read_text(encoding="utf-8-sig").splitlines()))
    refused = {row["scene"]: row["refused"] for row in written}
    assert {"110000"} == {row["region"] for row in written}
    assert ("x", "113") == (refused["CODE"], refused["ALL"])
    assert 1 == [refused["HOTEL"], refused["METRO"]].count("x")
    assert "repeat_tests_avoided" in (out / "dictionary.csv").read_text(encoding="utf-8-sig")
