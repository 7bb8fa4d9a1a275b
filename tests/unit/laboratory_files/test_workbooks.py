"""Excel workbooks: dates are dates, texts are texts, and numbers where texts were typed are not believed."""

from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from cli.importing.opening import open_laboratory_file
from cli.laboratory_files.refusals import Refusal, UnreadableFileError
from cli.laboratory_files.samples import Notes, Sample
from cli.laboratory_files.tables import workbook as reading
from services.common.instants import format_rfc3339
from tests.testkit.builders.laboratory_files import PERSON, row
from tests.testkit.builders.workbooks import HEADER, workbook

# A workbook's times have no zone.
SAMPLED, REPORTED = datetime.fromisoformat("2022-08-05T13:20"), datetime.fromisoformat("2022-08-06T03:40")


def cells(**changes: Any) -> list[Any]:
    """A good row, its times as dates."""
    names = ("id", "name", "type", "number", "sampled", "reported", "result", "tube")
    good = dict(zip(names, row().split(","), strict=True)) | {"sampled": SAMPLED, "reported": REPORTED}
    return list((good | changes).values())


def read(path: Path) -> tuple[list[Sample | Refusal], Notes]:
    """The rows of a file, and what was noted beside them."""
    with open_laboratory_file(path) as opened:
        assert "xlsx" == opened.encoding
        rows = list(opened.rows)
        assert path.stat().st_size == opened.position()
        return rows, opened.rows.notes


def reasons(found: Sample | Refusal) -> list[tuple[str, str]]:
    """Returns the fields and reasons of a refusal."""
    assert isinstance(found, Refusal), found
    return [(violation.field, violation.reason) for violation in found.violations]


def test_a_workbook_is_read(tmp_path):
    """Dates in UTC+8 by declaration; titles, totals and other sheets as in any table."""
    rows = [["某中心检测结果"], [], HEADER, cells(), cells(id="D2", sampled="2022-08-05 13:20"), ["合计：2人"]]
    found, notes = read(workbook(tmp_path / "book.xlsx", 结果=rows, 说明=[["请勿改动"]]))
    first, second = found
    assert isinstance(first, Sample)
    assert isinstance(second, Sample)
    assert (4, "D1", PERSON, "2022-08-05T13:20:00+08:00") == (
        first.row,
        first.sample_id,
        first.document_number,
        format_rfc3339(first.sampled_at or first.reported_at or 0),  # type: ignore[arg-type]  # it has one
    )
    assert first[3:] == second[3:]
    assert (1, 1) == (notes.titles, notes.totals)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"number": int(PERSON[:15] + "000")}, "证件号码", "NUMBER_CHANGED_BY_SPREADSHEET"),
        ({"number": 12345678, "type": "台胞证"}, "证件号码", "NUMBER_CHANGED_BY_SPREADSHEET"),
        ({"id": 20220805000012345}, "样本编号", "NUMBER_CHANGED_BY_SPREADSHEET"),
        ({"sampled": date(2022, 8, 5)}, "采样时间", "TIME_WITHOUT_CLOCK"),
        ({"sampled": 44778.5556}, "采样时间", "TIME_SERIAL_NUMBER"),
        ({"sampled": time(13, 20)}, "采样时间", "TIME_WITHOUT_DAY"),
        ({"result": True}, "检测结果", "RESULT_UNKNOWN"),
        ({"number": None}, "证件号码", "DOCUMENT_NUMBER_REQUIRED"),
    ],
)
def test_a_cell_of_the_wrong_kind_is_refused(tmp_path, changes, field, reason):
    """A number is never taken for the text that was typed: zeros before it, and digits behind the 15th, are lost."""
    (found,), _ = read(workbook(tmp_path / "book.xlsx", 结果=[HEADER, cells(**changes)]))
    assert [(field, reason)] == reasons(found)


def test_a_short_number_is_a_sample_id(tmp_path):
    """It is the laboratory's own, and whole."""
    (found,), _ = read(workbook(tmp_path / "book.xlsx", 结果=[HEADER, cells(id=220805001)]))
    assert isinstance(found, Sample)
    assert "220805001" == found.sample_id


def test_times_are_right_to_the_second(tmp_path):
    """They are fractions of a day in the workbook."""
    times = [SAMPLED.replace(hour=hour, minute=minute, second=minute) for hour in range(24) for minute in (1, 20, 59)]
    rows = [cells(sampled=at, reported=None, result=None) for at in times]
    found, _ = read(workbook(tmp_path / "book.xlsx", 结果=[HEADER, *rows]))
    assert [f"{at:%Y-%m-%dT%H:%M:%S}+08:00" for at in times] == [
        format_rfc3339(one.sampled_at) for one in found if isinstance(one, Sample) and one.sampled_at is not None
    ]


@pytest.mark.parametrize(
    ("sheets", "reason"),
    [
        ({"a": [HEADER, cells()], "b": [HEADER, cells()]}, "WORKBOOK_SHEETS"),
        ({"a": [["x", "y"]]}, "COLUMN_MISSING"),
        ({"a": []}, "COLUMN_MISSING"),
    ],
)
def test_a_workbook_without_one_table_of_results_is_refused(tmp_path, sheets, reason):
    """Two sheets of results are named: reading one of them would lose the other."""
    with pytest.raises(UnreadableFileError) as caught:
        read(workbook(tmp_path / "book.xlsx", **sheets))
    assert reason == caught.value.reason


def test_a_workbook_that_cannot_be_opened_says_what_to_do(tmp_path, monkeypatch):
    """Damaged, too large, or no reader installed: refused as a whole."""
    path = tmp_path / "book.xlsx"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    for reason in ("WORKBOOK_UNREADABLE", "WORKBOOK_TOO_LARGE"):
        with pytest.raises(UnreadableFileError) as caught:
            read(path)
        assert reason == caught.value.reason
        workbook(path, a=[HEADER, cells()])
        monkeypatch.setattr(reading, "MOST_BYTES", 10)
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    with pytest.raises(UnreadableFileError) as caught:
        read(path)
    assert "WORKBOOK_READER" == caught.value.reason
