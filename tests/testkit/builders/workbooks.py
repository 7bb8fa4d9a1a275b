"""Excel workbooks for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from tests.testkit.builders.laboratory_files import CHINESE

HEADER = CHINESE.split(",")


def workbook(path: Path, **sheets: Sequence[Sequence[Any]]) -> Path:
    """Writes a workbook of these sheets, each a list of rows of values; a date is a date, a number a number."""
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path
