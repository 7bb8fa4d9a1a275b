"""Excel workbooks: the one sheet that holds results, its cells as texts. What a workbook holds as a number where a text
was typed is not believed."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

from cli.laboratory_files.columns import known_columns
from cli.laboratory_files.reading import NumberCell
from cli.laboratory_files.refusals import UnreadableFileError
from cli.laboratory_files.tables.header import MOST_TITLES

MOST_BYTES = 1 << 30
"""The most bytes of a workbook unpacked; a sheet has at most a million rows."""
_EXACT = 10**15
_HALF_SECOND = timedelta(milliseconds=500)
_FEW = 3

WORKBOOK = b"PK\x03\x04"
"""The bytes a workbook begins with."""


class Sheet:
    """One sheet of a workbook. `read` counts the rows that were read last, of `total`."""

    def __init__(self, rows: Callable[[], Iterator[Sequence[object]]], total: int) -> None:
        self._rows = rows
        self.total = total
        self.read = 0

    def rows(self) -> Iterator[Sequence[str]]:
        """Yields the rows from the first, as texts."""
        for number, cells in enumerate(self._rows(), start=1):
            self.read = number
            yield [text_of(cell) for cell in cells]


def open_workbook(path: Path) -> Sheet:
    """Returns the sheet that holds results.

    Raises UnreadableFileError with reason WORKBOOK_READER (the library is not installed), WORKBOOK_UNREADABLE,
    WORKBOOK_TOO_LARGE or WORKBOOK_SHEETS (several sheets hold results).
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise UnreadableFileError(
            "WORKBOOK_READER",
            "未安装读取 Excel 工作簿的组件（pip install hutong[xlsx]）；也可另存为 CSV",
            "What reads Excel workbooks is not installed (pip install hutong[xlsx]); or save it as CSV",
        ) from None
    _check_size(path)
    try:
        workbook = CalamineWorkbook.from_path(str(path))
        sheets = [workbook.get_sheet_by_name(name) for name in workbook.sheet_names]
    except CalamineError:
        raise _unreadable() from None
    holding = [sheet for sheet in sheets if _holds_results(sheet.iter_rows())]
    if len(holding) > 1:
        names = "、".join(sheet.name for sheet in holding)
        raise UnreadableFileError(
            "WORKBOOK_SHEETS",
            f"有几个工作表都有结果：{names}；请各存为一个文件",
            f"Several sheets hold results: {names}; save each as a file of its own",
        )
    chosen = holding[0] if holding else max(sheets, key=lambda sheet: sheet.total_height, default=None)
    if chosen is None:
        raise UnreadableFileError("FILE_EMPTY", "工作簿是空的", "The workbook is empty")
    return Sheet(chosen.iter_rows, 0 if chosen.end is None else chosen.end[0] + 1)


def text_of(cell: object) -> str:
    """Returns a cell's value as a text: a date and time in UTC+8 by declaration; a number as a NumberCell, in the
    scientific notation where it has more digits than a workbook keeps."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, datetime):
        # A time is a fraction of a day there, which may fall short of its second.
        return (cell + _HALF_SECOND).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return f"{cell.total_seconds() / 86_400:.4f}"
    if isinstance(cell, float) and abs(cell) >= _EXACT:
        return NumberCell(f"{cell:.5E}")
    if isinstance(cell, float) and cell.is_integer():
        return NumberCell(int(cell))
    if isinstance(cell, bool):
        return str(cell).upper()
    return NumberCell(cell)


def _holds_results(rows: Iterator[Sequence[object]]) -> bool:
    for number, cells in enumerate(rows):
        if number >= MOST_TITLES:
            return False
        if known_columns([text_of(cell) for cell in cells]) >= _FEW:
            return True
    return False


def _check_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        raise _unreadable() from None
    if size > MOST_BYTES:
        raise UnreadableFileError(
            "WORKBOOK_TOO_LARGE",
            "工作簿过大，请另存为 CSV",
            "The workbook is too large; save it as CSV",
        )


def _unreadable() -> UnreadableFileError:
    return UnreadableFileError(
        "WORKBOOK_UNREADABLE",
        "工作簿打不开（损坏或有密码）；请去掉密码，或另存为 CSV",
        "The workbook cannot be opened (damaged, or with a password); remove the password, or save it as CSV",
    )
