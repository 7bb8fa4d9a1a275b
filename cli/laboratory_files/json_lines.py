"""JSON Lines: one object a line, with the English column names as keys, or one FHIR resource a line."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from cli.laboratory_files import fhir
from cli.laboratory_files.columns import Column, Layout
from cli.laboratory_files.lines import LONGEST_LINE
from cli.laboratory_files.rows import Refusal, Sample, plain, read_row, whole

LAYOUT = Layout({}, {column: column.value for column in Column}, len(Column), False, ())
_decode = msgspec.json.Decoder().decode


class _Line(msgspec.Struct, gc=False):
    """A line whose values are texts or null, as they are meant to be."""

    sample_id: str | None = None
    document_type: str | None = None
    document_number: str | None = None
    sampled_at: str | None = None
    reported_at: str | None = None
    result: str | None = None
    tube: str | None = None
    resourceType: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # noqa: N815  # FHIR's name


_decode_line = msgspec.json.Decoder(_Line).decode


class JsonLinesReader:
    """Reads a file line by line. Times need their offset. A key that means nothing here is passed over."""

    layout = LAYOUT

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = enumerate(lines, start=1)

    def __iter__(self) -> Iterator[Sample | Refusal]:
        for number, line in self._lines:
            if len(line) > LONGEST_LINE:
                yield whole(number, "ROW_TOO_LONG", "这一行太长", "The line is too long")
            elif line.strip():
                row = self._row(number, line)
                if row is not None:
                    yield row

    def _row(self, number: int, line: str) -> Sample | Refusal | None:
        return _plain(number, line) or self._thorough(number, line)

    def _thorough(self, number: int, line: str) -> Sample | Refusal | None:
        try:
            found = _decode(line.removeprefix("\ufeff"))
        except RecursionError:
            return whole(number, "ROW_DEPTH", "这一行嵌套过深", "The line is nested too deeply")
        except msgspec.DecodeError:
            return whole(number, "ROW_JSON", "这一行不是 JSON", "The line is not JSON")
        if not isinstance(found, Mapping):
            return whole(number, "ROW_OBJECT", "这一行不是 JSON 对象", "The line is not a JSON object")
        if "resourceType" in found:
            return fhir.read_resource(number, found, {})
        cells = {column: found.get(column.value) for column in Column}
        if any(not (cell is None or isinstance(cell, str)) for cell in cells.values()):
            return whole(number, "ROW_TEXT", "各项的值应为文本", "The value of every column is a text")
        return read_row(number, {column: cell or "" for column, cell in cells.items()}, LAYOUT)


def _plain(number: int, line: str) -> Sample | None:
    """The row of a line with nothing wrong, which most are; None tells nothing."""
    try:
        found = _decode_line(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    if found.resourceType is not msgspec.UNSET:
        return None
    return plain(
        number,
        False,
        found.sample_id or "",
        found.document_type or "",
        found.document_number or "",
        found.sampled_at or "",
        found.reported_at or "",
        found.result or "",
        found.tube or "",
    )
