"""JSON Lines: one object a line, with the English column names as keys."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from cli.laboratory_files.columns import OPTIONAL, REQUIRED, Column, Layout
from cli.laboratory_files.damage import Survey, believed
from cli.laboratory_files.lines import LONGEST_LINE
from cli.laboratory_files.reading import plain, read_row
from cli.laboratory_files.refusals import Refusal, whole
from cli.laboratory_files.samples import Notes, Sample

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
    test: str | None = None
    correction: str | None = None
    correction_cause: str | None = None
    resourceType: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # noqa: N815  # FHIR's name


_decode_line = msgspec.json.Decoder(_Line).decode


class _Ids(msgspec.Struct, gc=False):
    sample_id: str | None = None
    document_number: str | None = None


_decode_ids = msgspec.json.Decoder(_Ids).decode


class JsonLinesReader:
    """Reads a file line by line. Times need their offset. A key that means nothing here is passed over. `lines` yields
    the file's lines from the first, each time it is called."""

    layout = LAYOUT

    def __init__(self, lines: Callable[[], Iterable[str]]) -> None:
        self._lines = lines
        self.notes = Notes()

    def __iter__(self) -> Iterator[Sample | Refusal]:
        survey = Survey()
        for line in self._lines():
            if len(line) <= LONGEST_LINE:
                try:
                    ids = _decode_ids(line)
                except (msgspec.DecodeError, RecursionError):
                    continue
                survey.see(ids.document_number or "")
                survey.see_sample(ids.sample_id or "", ids.document_number or "")
        return believed(self._rows(), survey, self.layout)

    def _rows(self) -> Iterator[Sample | Refusal]:
        for number, line in enumerate(self._lines(), start=1):
            if len(line) > LONGEST_LINE:
                yield whole(number, "ROW_TOO_LONG", "这一行太长", "The line is too long")
            elif line.strip():
                yield _plain(number, line) or self._thorough(number, line)

    def _thorough(self, number: int, line: str) -> Sample | Refusal:
        try:
            value = _decode(line.removeprefix("\ufeff"))
        except RecursionError:
            return whole(number, "ROW_DEPTH", "这一行嵌套过深", "The line is nested too deeply")
        except msgspec.DecodeError:
            return whole(number, "ROW_JSON", "这一行不是 JSON", "The line is not JSON")
        if not isinstance(value, Mapping):
            return whole(number, "ROW_OBJECT", "这一行不是 JSON 对象", "The line is not a JSON object")
        if "resourceType" in value:
            return whole(
                number,
                "ROW_RESOURCE",
                "这一行是 FHIR 资源，而文件不以 FHIR 资源开头；请分成两个文件",
                "The line is a FHIR resource in a file that does not begin with one; make two files of it",
            )
        cells = {column: value.get(column.value) for column in Column}
        if any(not (cell is None or isinstance(cell, str)) for cell in cells.values()):
            return whole(
                number,
                "ROW_TEXT",
                "各项的值应为文本：数字会丢失前导零和第 15 位以后的数字",
                "The value of every column is a text: a number loses zeros before it and digits behind the 15th",
            )
        texts = {column: cells[column] or "" for column in REQUIRED}
        texts |= {column: cells[column] for column in OPTIONAL if cells[column]}
        return read_row(number, texts, LAYOUT, self.notes)


def _plain(number: int, line: str) -> Sample | None:
    """Returns the row of a line with nothing wrong, which most are; None tells nothing."""
    try:
        value = _decode_line(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    if value.resourceType is not msgspec.UNSET:
        return None
    return plain(
        number,
        False,
        value.sample_id or "",
        value.document_type or "",
        value.document_number or "",
        value.sampled_at or "",
        value.reported_at or "",
        value.result or "",
        value.tube or "",
        value.test or "",
        value.correction or value.correction_cause or "",
    )
