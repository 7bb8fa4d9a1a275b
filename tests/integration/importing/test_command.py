"""`hutong import` as people run it: exit status, summary, report, addresses."""

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cli.samples.model import resident_id
from services.common.regions import NATION
from tests.testkit.builders.laboratory_files import LABS, good_lines, row
from tests.testkit.servers.hutong_up import Up, run_cli, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    """A mesh without sample people."""
    async with running(tmp_path_factory.mktemp("import") / "data", "--no-samples") as mesh:
        yield mesh


def written(path: Path, lines: list[str], encoding: str = "gb18030") -> Path:
    """A file of these lines."""
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def names(folder: Path) -> list[str]:
    """Returns the names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.asyncio(loop_scope="module")
async def test_a_good_file_twice(up: Up, tmp_path: Path) -> None:
    """Status 0, the rows counted as new and then as there already, no report; the address is found by the data
    directory."""
    file = written(tmp_path / "good.csv", list(good_lines(3)))
    arguments = ("import", str(file), "--region", "430000", "--lab", "430000-test", "--data", str(up.data))
    status, out, err = await run_cli(*arguments)
    assert (status, err) == (0, "")
    assert "3  新入库" in out
    assert "GB18030" in out
    status, out, err = await run_cli(*arguments)
    assert (status, err) == (0, "")
    assert "3  此前已入库" in out
    assert names(tmp_path) == [file.name]


@pytest.mark.asyncio(loop_scope="module")
async def test_bad_rows_end_with_status_3_and_a_report(up: Up, tmp_path: Path) -> None:
    """Good rows are stored, bad ones stand in FILE.rejected.csv, and the summary says where that is."""
    header, good = good_lines(1)
    file = written(tmp_path / "mixed.csv", [header, good.replace("G0", "M0"), row(id="M1", result="阴")], "utf-8-sig")
    status, out, _ = await run_cli("import", str(file), "--region", "430000", "--lab", "a", "--data", str(up.data))
    assert status == 3
    assert "1  新入库" in out
    assert "1  拒收" in out
    assert "mixed.csv.rejected.csv" in out
    with (tmp_path / "mixed.csv.rejected.csv").open(encoding="utf-8-sig") as report:
        assert [(line["row"], line["reason"]) for line in csv.DictReader(report)] == [("3", "RESULT_UNKNOWN")]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_region_off_the_mesh_is_kept_by_the_nation(up: Up, tmp_path: Path) -> None:
    """Rows of a region without a store of its own are stored by the nation's, and found from another region."""
    number = resident_id("650102", "19070707", 77)
    header, good = good_lines(1)
    line = good.replace(good.split(",")[3], number)
    file = written(tmp_path / "xinjiang.csv", [header, line])
    status, out, err = await run_cli(
        "import", str(file), "--region", "650000", "--lab", "650000-test", "--data", str(up.data)
    )
    assert (status, err) == (0, ""), out
    answer = await up.show({"type": "RESIDENT_ID", "number": number}, "110000", at="2022-08-07T12:00:00+08:00")
    assert answer["status"] == "RECOGNISED"
    assert NATION in up.endpoints.records


@pytest.mark.asyncio(loop_scope="module")
async def test_an_address_can_be_named(up: Up, tmp_path: Path) -> None:
    """--to goes to that store, and a report is written where --report says, also when it stays empty."""
    file = written(tmp_path / "named.csv", list(good_lines(2)))
    report = tmp_path / "report.csv"
    status, _, _ = await run_cli(
        *("import", str(file), "--region", "110000", "--lab", "b", "--to", up.endpoints.records["110000"]),
        *("--report", str(report), "--site", "110105"),
    )
    assert status == 0
    assert report.read_text(encoding="utf-8-sig").count("\n") == 1


async def test_an_unreachable_mesh_ends_with_status_4(tmp_path: Path) -> None:
    """Nobody at the address: status 4, one line that says so, and that running it again is safe."""
    file = written(tmp_path / "good.csv", list(good_lines(2)))
    status, out, err = await run_cli("import", str(file), "--region", "430000", "--lab", "a", "--to", "127.0.0.1:1")
    assert status == 4
    assert len(err.splitlines()) == 1
    assert "run again" in err
    assert "0 行" in out


@pytest.mark.asyncio(loop_scope="module")
async def test_an_unreadable_file_ends_with_status_2(up: Up, tmp_path: Path) -> None:
    """A workbook is named as what it is; nothing is stored and no report written."""
    file = tmp_path / "book.xlsx"
    file.write_bytes(b"PK\x03\x04" + bytes(100))
    status, out, err = await run_cli("import", str(file), "--region", "430000", "--lab", "a", "--data", str(up.data))
    assert (status, out) == (2, "")
    assert "xlsx" in err
    assert names(tmp_path) == [file.name]


@pytest.mark.skipif(not LABS.is_dir(), reason="the shared laboratory files are not here")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("name", "region", "status"),
    [
        ("hunan-lab-gb18030.csv", "430000", 0),
        ("jiangsu-lab-utf8-bom.csv", "320000", 0),
        ("beijing-lab-en.csv", "110000", 0),
        ("dirty-gb18030.csv", "430000", 3),
    ],
)
async def test_the_shared_files_twice(up: Up, tmp_path: Path, name: str, region: str, status: int) -> None:
    """Each of the laboratories' files, imported twice: the second run stores nothing and refuses the same rows."""
    reports = []
    for run in ("first", "second"):
        report = tmp_path / f"{run}.csv"
        found, out, _ = await run_cli(
            *("import", str(LABS / name), "--region", region, "--lab", f"{region}-shared"),
            *("--data", str(up.data), "--report", str(report)),
        )
        assert found == status
        assert ("新入库" in out) == (run == "first")
        reports.append(report.read_bytes())
    assert reports[0] == reports[1]
