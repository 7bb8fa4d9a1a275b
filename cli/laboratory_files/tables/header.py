"""Finds the header of a table: what separates its cells, and which lines before it are titles."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cli.laboratory_files.cleaning import clean
from cli.laboratory_files.columns import Layout, known_columns, read_header
from cli.laboratory_files.refusals import UnreadableFileError
from cli.laboratory_files.samples import Notes

SEPARATORS = {
    ",": "逗号 comma",
    ";": "分号 semicolon",
    "\t": "制表符 tab",
    "|": "竖线 pipe",
    "，": "全角逗号 full-width comma",
}
MOST_TITLES = 20
"""Lines that are looked at for a header; a line that holds this few columns is none."""
_FEW = 3
_DECLARED = re.compile(r"\ufeff?\"?sep=(.)\"?", re.IGNORECASE)


class Header(NamedTuple):
    """A table's layout and what separates its cells."""

    layout: Layout
    separator: str


def split(line: str, separator: str) -> list[str]:
    """Returns the cells of one line. Raises csv.Error where quotation marks do not match."""
    return next(csv.reader([line], delimiter=separator, strict=True), [])


def find_header(lines: Iterator[tuple[int, str]], notes: Notes) -> Header:
    """Returns the header among the first lines, which are taken off; what stands before it is counted as titles.

    Raises UnreadableFileError with reason FILE_SEPARATORS, naming both, where two separators fit, and as read_header
    does.
    """
    declared = ""
    seen: list[str] = []
    for _, line in lines:
        text = line.strip("\r\n")
        if not text.strip():
            continue
        match = _DECLARED.fullmatch(text.strip(" "))
        if match is not None and not seen and not declared:
            declared = match[1]
            continue
        seen.append(text)
        header = _header(text, declared)
        if header is not None:
            notes.titles += len(seen) - 1
            return header
        if len(seen) >= MOST_TITLES:
            break
    # The line that comes nearest to a header says best what is missing.
    nearest, separator = max(
        ((text, separator) for text in seen for separator in SEPARATORS),
        key=lambda pair: known_columns(_cells(*pair)),
        default=("", ","),
    )
    return Header(read_header(_cells(nearest, separator)), separator)


def find_row(rows: Iterator[tuple[int, Sequence[str]]], notes: Notes) -> Layout:
    """Returns the layout of a workbook's sheet by the header among its first rows, which are taken off. Raises as
    find_header does."""
    seen: list[Sequence[str]] = []
    for _, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        seen.append(cells)
        if known_columns(cells) >= _FEW:
            notes.titles += len(seen) - 1
            return read_header([clean(cell, notes.cleaned) for cell in cells])
        if len(seen) >= MOST_TITLES:
            break
    return read_header(max(seen, key=known_columns, default=()))


def _header(text: str, declared: str) -> Header | None:
    fitting = {separator: count for separator in SEPARATORS if (count := known_columns(_cells(text, separator))) > 1}
    if declared:
        if declared not in fitting and fitting:
            raise _two(declared, next(iter(fitting)))
        fitting = {declared: fitting.get(declared, 0)}
    if len(fitting) > 1:
        raise _two(*fitting)
    for separator, count in fitting.items():
        if count >= _FEW:
            return Header(read_header(_cells(text, separator)), separator)
    return None


def _two(*separators: str) -> UnreadableFileError:
    names = [SEPARATORS.get(separator, separator).split(" ", 1) for separator in separators[:2]]
    zh, en = zip(*((name[0], name[-1]) for name in names), strict=True)
    return UnreadableFileError(
        "FILE_SEPARATORS",
        f"表头既像用{zh[0]}、又像用{zh[1]}分隔，无法确定；请统一为一种",
        f"The header's cells seem to be separated by a {en[0]} as well as by a {en[1]}; use one of them throughout",
    )


def _cells(text: str, separator: str) -> list[str]:
    try:
        cells = split(text, separator)
    except csv.Error:
        cells = text.split(separator)
    counts = Notes().cleaned
    return [clean(cell, counts) for cell in cells]
