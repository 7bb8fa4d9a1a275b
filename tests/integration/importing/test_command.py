"""`hutong import` as people run it: exit status, summary, report, addresses."""

import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cli.samples.model import resident_id
from services.common.regions import NATION
from tests.testkit.builders.fhir import LATER, POSITIVE, bundle, concept, identifier, observation, patient
from tests.testkit.builders.laboratory_files import CHINESE, LABS, good_lines, row
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
    """A workbook that is damaged is named as what it is; nothing is stored and no report written."""
    file = tmp_path / "book.xlsx"
    file.write_bytes(b"PK\x03\x04" + bytes(100))
    status, out, err = await run_cli("import", str(file), "--region", "430000", "--lab", "a", "--data", str(up.data))
    assert (status, out) == (2, "")
    assert "The workbook cannot be opened" in err
    assert names(tmp_path) == [file.name]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("name", "region", "status"),
    [
        ("hunan-gb18030.csv", "430000", 0),
        ("jiangsu-utf8-bom.csv", "320000", 0),
        ("beijing-english.csv", "110000", 0),
        ("dirty-gb18030.csv", "430000", 3),
    ],
)
async def test_laboratories_files_twice(up: Up, tmp_path: Path, name: str, region: str, status: int) -> None:
    """Each of the laboratories' files, imported twice: the second run stores nothing and refuses the same rows."""
    reports = []
    for run in ("first", "second"):
        report = tmp_path / f"{run}.csv"
        ended, out, _ = await run_cli(
            *("import", str(LABS / name), "--region", region, "--lab", f"{region}-data"),
            *("--data", str(up.data), "--report", str(report)),
        )
        assert ended == status
        assert ("新入库" in out) == (run == "first")
        reports.append(report.read_bytes())
    assert reports[0] == reports[1]


@pytest.mark.asyncio(loop_scope="module")
async def test_files_that_refer_to_each_other_are_given_together(up: Up, tmp_path: Path) -> None:
    """A bulk export's Patients and Observations, each file with its own counts; what was passed over is named."""
    people, tests = tmp_path / "Patient.ndjson", tmp_path / "Observation.ndjson"
    people.write_text(json.dumps(patient("7")) + "\n", encoding="utf-8")
    others = observation(id="o2", code={"text": "体温"})
    pointing = observation(subject={"reference": "Patient/7"}, identifier=[{"value": "BULK-1"}])
    tests.write_text("".join(json.dumps(one) + "\n" for one in (pointing, others)), encoding="utf-8")
    arguments = ("--region", "430000", "--lab", "430000-test", "--data", str(up.data))
    status, out, _ = await run_cli("import", str(tests), *arguments)
    assert status == 3
    status, out, err = await run_cli("import", str(people), str(tests), *arguments)
    assert (status, err) == (0, "")
    assert "Patient.ndjson（UTF-8）: 0 行" in out
    assert "1  新入库" in out
    assert "体温" in out
    assert [] == [name for name in names(tmp_path) if name.endswith(".resume")]


@pytest.mark.asyncio(loop_scope="module")
async def test_standard_input_is_a_file(up: Up, tmp_path: Path) -> None:
    """It is kept aside while it is read, and no trace of it stays."""
    text = "\n".join(good_lines(3)).replace("G0000", "STDIN")
    arguments = ("import", "-", "--region", "430000", "--lab", "430000-test", "--data", str(up.data))
    status, out, err = await run_cli(*arguments, stdin=text.encode(), cwd=tmp_path)
    assert (status, err) == (0, "")
    assert "stdin（UTF-8）: 3 行" in out
    assert names(tmp_path) == []


@pytest.mark.asyncio(loop_scope="module")
async def test_a_correction_takes_effect_and_the_code_follows(up: Up, tmp_path: Path) -> None:
    """Negative, then corrected to positive, then withdrawn; each again changes nothing."""
    number = resident_id("430102", "19080808", 88)
    header = f"{CHINESE},更正,更正原因"
    steps = [
        (row(id="C1", number=number, tube="单检") + ",,", "新入库", "RECOGNISED"),
        (
            row(id="C1", number=number, tube="单检", result="阳性", reported="2022-08-06 05:00") + ",更正,复核",
            "更正已生效",
            "POSITIVE",
        ),
        (row(id="C1", number=number) + ",撤回,样本弄错", "撤回已生效", "NOT_RECOGNISED"),
    ]
    for step, (line, said, expected) in enumerate(steps):
        file = written(tmp_path / f"{step}.csv", [header, line])
        for word in (said, "此前"):
            status, out, err = await run_cli(
                *("import", str(file), "--region", "430000", "--lab", "430000-test", "--data", str(up.data))
            )
            assert (status, err) == (0, "")
            assert f"1  {word}" in out
        answer = await up.show({"type": "RESIDENT_ID", "number": number}, "430000", at="2022-08-06T12:00:00+08:00")
        assert answer["status"] == expected


@pytest.mark.asyncio(loop_scope="module")
async def test_a_correction_by_fhir_takes_effect(up: Up, tmp_path: Path) -> None:
    """final, corrected, entered-in-error: as the status declares it, and the first file again brings nothing back."""
    number = resident_id("430102", "19080808", 77)
    told = {"subject": {"identifier": identifier(number)}, "identifier": [{"value": "FHIR-1"}]}
    steps = [
        (observation(**told), "RECOGNISED"),
        (observation(**told, status="corrected", valueCodeableConcept=concept(POSITIVE), issued=LATER), "POSITIVE"),
        (observation(**told, status="entered-in-error"), "NOT_RECOGNISED"),
        (observation(**told), "NOT_RECOGNISED"),
    ]
    for step, (resource, expected) in enumerate(steps):
        file = tmp_path / f"{step}.json"
        file.write_text(bundle(resource), encoding="utf-8")
        status, _, err = await run_cli(
            *("import", str(file), "--region", "430000", "--lab", "430000-test", "--data", str(up.data))
        )
        assert (status, err) == (0, "")
        answer = await up.show({"type": "RESIDENT_ID", "number": number}, "430000", at="2022-08-06T12:00:00+08:00")
        assert answer["status"] == expected


@pytest.mark.asyncio(loop_scope="module")
async def test_nobody_is_green_on_the_milder_of_two_statements(up: Up, tmp_path: Path) -> None:
    """Negative, then positive without a declaration: a conflict that every store's list shows, and a red code
    meanwhile; settled, the negative is back."""
    number = resident_id("430102", "19080808", 99)
    for step, result in enumerate(("阴性", "阳性")):
        file = written(tmp_path / f"{step}.csv", [CHINESE, row(id="G1", number=number, tube="单检", result=result)])
        await run_cli("import", str(file), "--region", "430000", "--lab", "430000-test", "--data", str(up.data))
    document = {"type": "RESIDENT_ID", "number": number}
    assert "POSITIVE" == (await up.show(document, "430000", at="2022-08-06T12:00:00+08:00"))["status"]
    status, out, _ = await run_cli("records", "conflicts", "--data", str(up.data))
    assert status == 0
    [line] = [line for line in out.splitlines() if "430000/G1" in line]
    settling = ("settle", line.split()[0], "--store", "430000", "--keep", "--cause", "asked the lab")
    status, out, _ = await run_cli("records", "conflicts", "--data", str(up.data), *settling)
    assert status == 0
    assert "RECOGNISED" == (await up.show(document, "430000", at="2022-08-06T12:00:00+08:00"))["status"]
