"""The lines of a file as rows: each either ready to be submitted or refused with every reason found in it."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import NamedTuple, TypeVar

from hutong.common.v1.subject_pb2 import DocumentType
from hutong.records.v1.record_pb2 import TestResult, Tube

from cli.laboratory_files import values
from cli.laboratory_files.columns import Column, Layout, read_header
from cli.laboratory_files.lines import LONGEST_LINE
from services.common.documents import normalise
from services.common.errors import InvalidArgument, Text, Violation
from services.common.instants import Instant

T = TypeVar("T")


class Sample(NamedTuple):
    """One row that could be read. `row` counts lines, the header being 1, as spreadsheets do. Whether it makes a valid
    record (a report after its sample, a sample not in the future) is for the region's store to judge."""

    row: int
    sample_id: str
    document_type: DocumentType.ValueType
    document_number: str
    sampled_at: Instant | None
    reported_at: Instant | None
    result: TestResult.ValueType
    tube: Tube.ValueType

    def __repr__(self) -> str:
        # The document's number is in no log and no traceback.
        return f"Sample(row={self.row})"


_made = partial(tuple.__new__, Sample)
"""A Sample of a tuple of its fields, in half the time."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that was refused; the violations' fields are the file's own column names."""

    row: int
    violations: tuple[Violation, ...]


def whole(row: int, reason: str, zh: str, en: str) -> Refusal:
    """A row refused as a whole."""
    return Refusal(row, (Violation("", reason, Text(zh, en)),))


class Reader:
    """Reads a file line by line. A quoted cell cannot span lines: a stray quotation mark spoils its own line only.

    Raises UnreadableFileError when the header cannot be used.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = enumerate(lines, start=1)
        self.layout: Layout = read_header(self._header())

    def _header(self) -> list[str]:
        for _, line in self._lines:
            if line.strip():
                return next(csv.reader([line]))
        return []

    def __iter__(self) -> Iterator[Sample | Refusal]:
        width, local = self.layout.width, self.layout.local_times
        in_order = itemgetter(*(self.layout.positions[column] for column in Column))
        for number, line in self._lines:
            # Most rows have nothing to unquote and nothing wrong.
            if '"' not in line and "\r" not in line and len(line) <= LONGEST_LINE:
                cells = line.rstrip("\n").split(",")
                if len(cells) == width and (sample := plain(number, local, *in_order(cells))) is not None:
                    yield sample
                    continue
            row = self._row(number, line)
            if row is not None:
                yield row

    def _row(self, number: int, line: str) -> Sample | Refusal | None:
        if len(line) > LONGEST_LINE:
            return whole(number, "ROW_TOO_LONG", "这一行太长", "The line is too long")
        try:
            cells = next(csv.reader([line], strict=True), [])
        except csv.Error:
            return whole(number, "ROW_QUOTES", "引号不成对", "The quotation marks do not match")
        if not any(cell.strip() for cell in cells):
            return None
        layout = self.layout
        if len(cells) < layout.width:
            return whole(
                number,
                "ROW_SHORT",
                f"只有 {len(cells)} 列，应为 {layout.width} 列",
                f"The row has {len(cells)} columns instead of {layout.width}",
            )
        if len(cells) > layout.width:
            return whole(
                number,
                "ROW_LONG",
                f"有 {len(cells)} 列，应为 {layout.width} 列，无法确定哪一列多余",
                f"The row has {len(cells)} columns instead of {layout.width}; which one is too many cannot be told",
            )
        return read_row(number, {column: cells[at] for column, at in layout.positions.items()}, layout)


def plain(
    number: int,
    local_times: bool,
    sample_id: str,
    document_type: str,
    document_number: str,
    sampled_at: str,
    reported_at: str,
    result: str,
    tube: str,
) -> Sample | None:
    """One row of any format from the texts of its columns in order; None when anything is wrong with it, which
    `read_row` tells."""
    try:
        kind = values.document_type(document_type)
        return _made(
            (
                number,
                values.sample_id(sample_id),
                *normalise(kind, document_number),
                values.time(sampled_at, local_times),
                values.time(reported_at, local_times),
                values.result(result),
                values.tube(tube),
            )
        )
    except (values.RefusedValueError, InvalidArgument):
        return None


def read_row(number: int, cells: Mapping[Column, str], layout: Layout) -> Sample | Refusal:
    """One row of any format from the texts of its columns, refused with every reason found in it."""
    violations: list[Violation] = []

    def read(column: Column, reader: Callable[[str], T]) -> T | None:
        try:
            return reader(cells[column])
        except values.RefusedValueError as refused:
            violations.append(Violation(layout.headers[column], refused.reason, refused.text))
            return None

    sample_id = read(Column.SAMPLE_ID, values.sample_id)
    document_type = read(Column.DOCUMENT_TYPE, values.document_type)
    document_number = cells[Column.DOCUMENT_NUMBER]
    if document_type is not None:
        try:
            document_type, document_number = normalise(document_type, document_number)
        except InvalidArgument as refused:
            header = layout.headers[Column.DOCUMENT_NUMBER]
            violations.extend(Violation(header, found.reason, found.text) for found in refused.violations)
    sampled_at = read(Column.SAMPLED_AT, lambda cell: values.time(cell, layout.local_times))
    reported_at = read(Column.REPORTED_AT, lambda cell: values.time(cell, layout.local_times))
    result = read(Column.RESULT, values.result)
    tube = read(Column.TUBE, values.tube)
    if violations or sample_id is None or document_type is None or result is None or tube is None:
        return Refusal(number, tuple(violations))
    return Sample(number, sample_id, document_type, document_number, sampled_at, reported_at, result, tube)
