"""Tables: the lines of a text, or the rows of a workbook, as rows that are ready to be submitted or refused."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter

from cli.laboratory_files.cleaning import fold
from cli.laboratory_files.columns import REQUIRED, Column, Layout
from cli.laboratory_files.damage import Survey, believed
from cli.laboratory_files.lines import LONGEST_LINE
from cli.laboratory_files.reading import optional_cells, plain, read_row
from cli.laboratory_files.refusals import Refusal, whole
from cli.laboratory_files.samples import Notes, Sample
from cli.laboratory_files.tables.header import find_header, find_row, split

_TOTALS = (
    *("合计", "总计", "小计", "共计", "总数", "总人数", "总人次", "备注", "说明", "注：", "注:"),
    *("制表", "审核", "复核", "导出时间", "打印时间", "total", "sum", "subtotal", "remark"),
)
_AROUND = '" \t\r\n'
# A totals row has nothing where a sample has what makes it one.
_OF_SAMPLES = (Column.DOCUMENT_NUMBER, Column.SAMPLED_AT, Column.REPORTED_AT, Column.RESULT)


class CsvReader:
    """Reads a text line by line, from its start each time. A quoted cell cannot span lines: a stray quotation mark
    spoils its own line only. `lines` yields the text's lines from the first, each time it is called.

    Raises UnreadableFileError when the header cannot be used.
    """

    def __init__(self, lines: Callable[[], Iterable[str]]) -> None:
        self._lines = lines
        self.layout, self._separator = find_header(enumerate(lines(), start=1), Notes())
        self.notes = Notes()

    def __iter__(self) -> Iterator[Sample | Refusal]:
        survey = self._survey()
        lines = enumerate(self._lines(), start=1)
        find_header(lines, self.notes)
        return believed(self._rows(lines), survey, self.layout)

    def _survey(self) -> Survey:
        survey = Survey()
        lines = enumerate(self._lines(), start=1)
        find_header(lines, Notes())
        separator = self._separator
        number, sample = self.layout.positions[Column.DOCUMENT_NUMBER], self.layout.positions[Column.SAMPLE_ID]
        last = max(number, sample)
        for _, line in lines:
            # Enough of a line to see its ids: where quotation marks or separators mislead, the row tells.
            cells = line.split(separator, last + 1)
            if len(cells) > last:
                survey.see(cells[number].strip(_AROUND))
                survey.see_sample(cells[sample].strip(_AROUND), cells[number])
        return survey

    def _rows(self, lines: Iterator[tuple[int, str]]) -> Iterator[Sample | Refusal]:
        layout, separator = self.layout, self._separator
        width, local = layout.width, layout.local_times
        # Where the file has no column, its text is taken from behind the line's cells: the type that the header
        # implies, or nothing.
        places = {Column.DOCUMENT_TYPE: width, **layout.positions}
        order = [places.get(column, width + 1) for column in REQUIRED] + optional_cells(layout, width + 1)
        in_order, beyond = itemgetter(*order), [layout.document_type, ""] if max(order) >= width else []
        for number, line in lines:
            # Most rows have nothing to unquote and nothing wrong.
            if '"' not in line and "\r" not in line and len(line) <= LONGEST_LINE:
                cells = line.rstrip("\n").split(separator)
                if len(cells) == width and (sample := plain(number, local, *in_order(cells + beyond))) is not None:
                    yield sample
                    continue
            row = self._row(number, line)
            if row is not None:
                yield row

    def _row(self, number: int, line: str) -> Sample | Refusal | None:
        if len(line) > LONGEST_LINE:
            return whole(number, "ROW_TOO_LONG", "这一行太长", "The line is too long")
        try:
            cells = split(line.rstrip("\r\n"), self._separator)
        except csv.Error:
            return whole(number, "ROW_QUOTES", "引号不成对", "The quotation marks do not match")
        return row_of_cells(number, cells, self.layout, self.notes)


class WorkbookReader:
    """Reads the rows of a workbook's sheet. `rows` yields them from the first, each time it is called, as texts.

    Raises UnreadableFileError when the header cannot be used.
    """

    def __init__(self, rows: Callable[[], Iterable[Sequence[str]]]) -> None:
        self._sheet = rows
        self.layout: Layout = find_row(enumerate(rows(), start=1), Notes())
        self.notes = Notes()

    def __iter__(self) -> Iterator[Sample | Refusal]:
        survey = Survey()
        number, sample = self.layout.positions[Column.DOCUMENT_NUMBER], self.layout.positions[Column.SAMPLE_ID]
        for cells in self._sheet():
            if len(cells) > max(number, sample):
                survey.see(cells[number])
                survey.see_sample(cells[sample].strip(), cells[number])
        return believed(self._rows(), survey, self.layout)

    def _rows(self) -> Iterator[Sample | Refusal]:
        numbered = enumerate(self._sheet(), start=1)
        find_row(numbered, self.notes)
        for number, cells in numbered:
            row = row_of_cells(number, cells, self.layout, self.notes)
            if row is not None:
                yield row


def row_of_cells(number: int, cells: Sequence[str], layout: Layout, notes: Notes) -> Sample | Refusal | None:
    """Returns the row that the cells of a line make; None for a blank one and for one of totals, which is counted."""
    width = layout.width
    # What lies behind the last column is often empty cells of a spreadsheet's width.
    end = len(cells)
    while end > width and not cells[end - 1].strip():
        end -= 1
    filled = cells[:end]
    if not any(cell.strip() for cell in filled):
        return None
    if _is_total(filled, layout):
        notes.totals += 1
        return None
    if end < width:
        return whole(
            number,
            "ROW_SHORT",
            f"只有 {end} 列，应为 {width} 列",
            f"The row has {end} columns instead of {width}",
        )
    if end > width:
        return whole(
            number,
            "ROW_LONG",
            f"有 {end} 列，应为 {width} 列，无法确定哪一列多余",
            f"The row has {end} columns instead of {width}; which one is too many cannot be told",
        )
    return read_row(number, {column: filled[at] for column, at in layout.positions.items()}, layout, notes)


def _is_total(cells: Sequence[str], layout: Layout) -> bool:
    first = next((fold(cell) for cell in cells if cell.strip()), "").lower()
    if not first.startswith(_TOTALS):
        return False
    places = (layout.positions[column] for column in _OF_SAMPLES)
    return not any(
        cells[place].strip() for place in places if place < len(cells) and fold(cells[place]).lower() != first
    )
