"""The rows that resources make."""

from collections.abc import Iterator, Sequence

from cli.laboratory_files.columns import Column, Layout
from cli.laboratory_files.damage import Survey, believed
from cli.laboratory_files.fhir.context import Context
from cli.laboratory_files.fhir.identity import AMBIGUOUS, Identity
from cli.laboratory_files.fhir.index import Index
from cli.laboratory_files.fhir.json_values import object_of, text_of
from cli.laboratory_files.fhir.panels import Panels, Place, pointed_at
from cli.laboratory_files.fhir.references import base_of
from cli.laboratory_files.fhir.sources import Entry, Source
from cli.laboratory_files.fhir.statements import Statement, combined
from cli.laboratory_files.fhir.tested import Kind, tested
from cli.laboratory_files.reading import plain, read_row
from cli.laboratory_files.refusals import Refusal, RefusedValueError, whole
from cli.laboratory_files.samples import Notes, Sample
from services.common.errors import Text, Violation

LAYOUT = Layout(
    {},
    {
        Column.SAMPLE_ID: "identifier",
        Column.DOCUMENT_TYPE: "subject.identifier.type",
        Column.DOCUMENT_NUMBER: "subject.identifier.value",
        Column.SAMPLED_AT: "effective",
        Column.REPORTED_AT: "issued",
        Column.RESULT: "value",
        Column.TUBE: "method",
        Column.TEST: "code",
        Column.CORRECTION: "status",
        Column.CORRECTION_CAUSE: "status",
    },
    len(Column),
    False,
    (),
)

_AMBIGUOUS = RefusedValueError(
    "SUBJECT_AMBIGUOUS",
    "所指的 Patient 在文件中不止一个，且不是同一人；请分成几个文件，或写明 fullUrl",
    "The Patient it refers to is in the file more than once, as different people; split the file, or give every "
    "entry its fullUrl",
)
_NOT_FOUND = RefusedValueError(
    "SUBJECT_NOT_FOUND",
    "所指的 Patient 不在所给的文件中，或没有标识；批量导出的文件请一并给出，如 hutong import Patient.ndjson "
    "Observation.ndjson",
    "The Patient it refers to is not in the files given, or has no identifier; give the files of a bulk export "
    "together: hutong import Patient.ndjson Observation.ndjson",
)
_UNSAID = RefusedValueError(
    "SUBJECT_REQUIRED", "没有写明受检者（subject）的证件", "It does not say which document its subject has"
)


class FhirFiles:
    """Files whose resources refer to each other, given together. They are read once more before the first row."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._known: tuple[Context, Panels, Survey] | None = None

    def reader(self, number: int) -> "FhirReader":
        """Returns the reader of one of the files."""
        return FhirReader(self, number)

    def known(self) -> tuple[Context, Panels, Survey]:
        """Returns what is known of all resources, and what their numbers show as a whole."""
        if self._known is None:
            index = Index()
            index.read(self._sources)
            context = Context(index)
            self._known = context, Panels(context, self._sources if index.related else ()), index.survey
        return self._known

    def source(self, number: int) -> Source:
        """Returns one of the files' resources."""
        return self._sources[number]


class FhirReader:
    """Reads the rows of one file; a row's number is its entry's, or its line's, the first being 1."""

    layout = LAYOUT

    def __init__(self, files: FhirFiles, number: int) -> None:
        self._files = files
        self._number = number
        self.notes = Notes()

    def __iter__(self) -> Iterator[Sample | Refusal]:
        context, panels, survey = self._files.known()
        return believed(self._rows(context, panels), survey, self.layout)

    def _rows(self, context: Context, panels: Panels) -> Iterator[Sample | Refusal]:
        for entry in self._files.source(self._number).entries():
            row = self._row(context, panels, entry) if isinstance(entry, Entry) else entry
            if row is not None:
                yield row

    def _row(self, context: Context, panels: Panels, entry: Entry) -> Sample | Refusal | None:
        resource = entry.resource
        kind = text_of(resource.get("resourceType"))
        if kind not in ("Observation", "DiagnosticReport"):
            return None
        pointed = pointed_at(resource, base_of(entry.url))
        if pointed and not context.is_test(resource):
            # A report or panel of other things besides: what it points to is looked at by itself.
            return None
        if not context.is_test(resource):
            return self._other(entry)
        if panels.holds_any(pointed):
            # What it says counts with what it points to.
            return None
        statement = context.statement(entry)
        if pointed and statement.problem is None and not statement.result:
            # It says nothing that its Observations do not.
            return None
        return self._judged(context, panels, entry, statement)

    def _judged(self, context: Context, panels: Panels, entry: Entry, statement: Statement) -> Sample | Refusal | None:
        place: Place = self._number, entry.number
        members, conclusions = panels.of(place)
        statements = [member.statement for member in members] or [statement]
        if members and members[0].place != place:
            # Part of the row that the panel's first target has made.
            return None
        refusal = self._nobody(entry, statements[0].identity)
        if refusal is not None:
            return refusal
        try:
            texts = combined(statements, conclusions)
        except RefusedValueError as refused:
            return _refusal(entry, refused)
        if len(statements) > 1:
            numbers = {one.sample_id for one in statements}
            texts[Column.SAMPLE_ID] = context.panel_id(entry) or (
                numbers.pop() if len(numbers) == 1 else statements[0].sample_id
            )
        row = None if Column.CORRECTION in texts else plain(entry.number, False, *texts.values())
        return row or read_row(entry.number, texts, LAYOUT, self.notes)

    def _other(self, entry: Entry) -> Refusal | None:
        """Passes over what is no nucleic-acid test, and counts it; refuses what does not say what it is."""
        what = tested(entry.resource.get("code"))
        if what.kind is Kind.UNSAID:
            return _refusal(
                entry,
                RefusedValueError(
                    "TEST_REQUIRED",
                    "没有写明检测项目（code），无法知道测的是什么",
                    "Its code does not say what was tested",
                ),
                "code",
            )
        if what.kind is Kind.CONTRADICTORY:
            return _refusal(
                entry,
                RefusedValueError(
                    "TEST_CONTRADICTS",
                    "检测项目（code）的几个编码互相矛盾",
                    "Its codes contradict each other about what was tested",
                ),
                "code",
            )
        self.notes.pass_over(what.name)
        return None

    def _nobody(self, entry: Entry, identity: Identity) -> Refusal | None:
        """Refuses what names nobody's document, for its cause; None where it names one, or a number without a type."""
        if (identity.type and identity != AMBIGUOUS) or identity.number:
            return None
        reference = text_of(object_of(entry.resource.get("subject")).get("reference"))
        if identity == AMBIGUOUS:
            refused = _AMBIGUOUS
        elif identity.other_types:
            names = "、".join(identity.other_types)
            refused = RefusedValueError(
                "DOCUMENT_NOT_FOUND",
                f"其人的标识（{names}）都不是身份证件；请加上证件，类型用 NNCHN、PPN、PRC 或证件名称",
                f"None of the person's identifiers ({names}) is an identity document; add it, with the type NNCHN, "
                "PPN, PRC or the document's name",
            )
        else:
            refused = _NOT_FOUND if reference else _UNSAID
        return _refusal(entry, refused, "subject")


def _refusal(entry: Entry, refused: RefusedValueError, field: str = "") -> Refusal:
    if not field and refused.reason in ("RESULT_UNKNOWN", "RESULT_CONTRADICTS"):
        field = "value"
    if not field:
        return whole(entry.number, refused.reason, refused.text.zh, refused.text.en)
    return Refusal(entry.number, (Violation(field, refused.reason, Text(refused.text.zh, refused.text.en)),))
