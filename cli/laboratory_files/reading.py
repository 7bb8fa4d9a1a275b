"""One row of any format from the texts of its columns: ready to be submitted, or refused with every reason found in
it."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from hutong.records.v1.record_write_service_pb2 import CorrectionKind

from cli.laboratory_files import words
from cli.laboratory_files.cleaning import clean, fold
from cli.laboratory_files.columns import OPTIONAL, Column, Layout
from cli.laboratory_files.damage import ends_in_zeros
from cli.laboratory_files.refusals import Refusal, RefusedValueError
from cli.laboratory_files.samples import DeclaredCorrection, Notes, Sample, sample_of
from cli.laboratory_files.times import time
from services.common.documents import holds_number, normalise
from services.common.errors import InvalidArgument, Text, Violation

T = TypeVar("T")

MOST_CAUSE = 500
"""Characters of a correction's cause, as the contract has it."""
_AMENDMENT, _RETRACTION = CorrectionKind.CORRECTION_KIND_AMENDMENT, CorrectionKind.CORRECTION_KIND_RETRACTION
_CAUSES = {
    _AMENDMENT: "检验机构更正 / corrected by the laboratory",
    _RETRACTION: "检验机构撤回 / withdrawn by the laboratory",
}


class NumberCell(str):
    """The text of a cell that a workbook holds as a number: what was before its digits, or behind the 15th, is lost."""

    __slots__ = ()


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
    test: str = "",
    correction: str = "",
    correction_cause: str = "",
) -> Sample | None:
    """Returns one row of any format from the texts of its columns in order; None when anything is wrong or out of the
    ordinary with it, which `read_row` tells."""
    if correction or correction_cause:
        return None
    try:
        if test:
            words.test(test)
        return sample_of(
            (
                number,
                words.sample_id(sample_id),
                *normalise(words.document_type(document_type), document_number),
                time(sampled_at, local_times),
                time(reported_at, local_times),
                words.result(result),
                words.tube(tube),
                None,
            )
        )
    except (RefusedValueError, InvalidArgument):
        return None


def read_row(number: int, cells: Mapping[Column, str], layout: Layout, notes: Notes) -> Sample | Refusal:
    """Returns one row of any format from the texts of its columns, refused with every reason found in it."""
    violations: list[Violation] = []
    texts = {column: clean(cell, notes.cleaned) for column, cell in cells.items()}
    texts.setdefault(Column.DOCUMENT_TYPE, layout.document_type)

    def refuse(column: Column, reason: str, text: Text) -> None:
        violations.append(Violation(layout.headers.get(column, column), reason, text))

    def read(column: Column, reader: Callable[[str], T]) -> T | None:
        cell = texts.get(column, "")
        artefact = words.spreadsheet_artefact(cell)
        try:
            if artefact is not None:
                raise artefact
            return reader(cell)
        except RefusedValueError as refused:
            refuse(column, refused.reason, refused.text)
            return None

    sample_id = read(Column.SAMPLE_ID, words.sample_id)
    document_type = read(Column.DOCUMENT_TYPE, words.document_type)
    document_number = texts[Column.DOCUMENT_NUMBER]
    changed = _changed(cells[Column.DOCUMENT_NUMBER], document_number)
    if changed is not None:
        refuse(Column.DOCUMENT_NUMBER, changed.reason, changed.text)
    elif document_type is not None:
        try:
            document_type, document_number = normalise(document_type, document_number)
        except InvalidArgument as refused:
            for wrong in refused.violations:
                # A number that ends in zeros and fails its check is no slip of somebody's finger.
                zeros = wrong.reason == "DOCUMENT_NUMBER_CHECK" and ends_in_zeros(fold(document_number))
                why = words.changed_number("证件号码", "document's number") if zeros else wrong
                refuse(Column.DOCUMENT_NUMBER, why.reason, why.text)
    read(Column.TEST, words.test)
    kind = read(Column.CORRECTION, words.correction)
    cause = read(Column.CORRECTION_CAUSE, _cause)
    # Who writes why has corrected something.
    kind = kind or (_AMENDMENT if cause else None)
    correction = None if kind is None else DeclaredCorrection(kind, cause or _CAUSES[kind])
    if kind == _RETRACTION and not violations and sample_id is not None and document_type is not None:
        # Of what is withdrawn, nothing but whose it is and which one counts.
        unsaid, single = words.result(""), words.tube("SINGLE")
        return Sample(number, sample_id, document_type, document_number, None, None, unsaid, single, correction)
    sampled_at = read(Column.SAMPLED_AT, lambda cell: time(cell, layout.local_times))
    reported_at = read(Column.REPORTED_AT, lambda cell: time(cell, layout.local_times))
    result = read(Column.RESULT, words.result)
    tube = read(Column.TUBE, words.tube)
    if violations or sample_id is None or document_type is None or result is None or tube is None:
        return Refusal(number, tuple(violations))
    return Sample(number, sample_id, document_type, document_number, sampled_at, reported_at, result, tube, correction)


def optional_cells(layout: Layout, nowhere: int) -> list[int]:
    """Returns where the optional columns stand that the file has, in order up to the last of them; `nowhere` for one
    between them that it has not."""
    places = [layout.positions.get(column, nowhere) for column in OPTIONAL]
    while places and places[-1] == nowhere:
        places.pop()
    return places


def _changed(raw: str, cell: str) -> RefusedValueError | None:
    """Returns why a document's number is not the one that was typed."""
    artefact = words.spreadsheet_artefact(cell)
    if artefact is not None:
        return artefact
    if isinstance(raw, NumberCell) or words.is_scientific(cell):
        return words.changed_number("证件号码", "document's number")
    return None


def _cause(cell: str) -> str:
    cause = cell.strip()
    if len(cause) > MOST_CAUSE or not cause.isprintable():
        raise RefusedValueError(
            "CAUSE_TOO_LONG", "更正原因不得超过500字，不含换行", "The cause has at most 500 characters and no line ends"
        )
    if holds_number(cause):
        raise RefusedValueError(
            "CAUSE_PERSONAL_DATA", "更正原因中不得有证件号码", "The cause must not hold a document's number"
        )
    return cause
