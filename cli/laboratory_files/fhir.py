"""FHIR R4: a Bundle of Observations or DiagnosticReports, streamed; what each element means here is in `read_resource`.

The mapping is documented for laboratories in docs/laboratory-files.md.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from cli.laboratory_files.columns import Column, Layout
from cli.laboratory_files.json_elements import ElementError, top_level
from cli.laboratory_files.rows import Refusal, Sample, plain, read_row, whole
from cli.laboratory_files.unreadable import UnreadableFileError

BUNDLE = re.compile(rb'"resourceType"\s*:\s*"Bundle"|"entry"\s*:')

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
    },
    len(Column),
    False,
    (),
)

Json = Mapping[str, Any]
Identity = tuple[str, str]
"""A document's type and number as texts, either of them empty when it is not known."""

_NOBODY = ("", "")
MOST_PATIENTS = 200_000
"""Patients of one Bundle, who are all in memory; a Bundle with more is refused. About 80 MB."""

_NEGATIVE, _POSITIVE, _INCONCLUSIVE = "NEGATIVE", "POSITIVE", "INCONCLUSIVE"
_RESULTS = {
    # SNOMED CT: negative, not detected; positive, detected; inconclusive, indeterminate, equivocal.
    "260385009": _NEGATIVE,
    "260415000": _NEGATIVE,
    "10828004": _POSITIVE,
    "260373001": _POSITIVE,
    "419984006": _INCONCLUSIVE,
    "82334004": _INCONCLUSIVE,
    "42425007": _INCONCLUSIVE,
}
_SNOMED = "http://snomed.info/sct"
# HL7 v2 table 0203; the permits of Hong Kong, Macao and Taiwan have no code there, so their names count.
_DOCUMENTS = {"NNCHN": "RESIDENT_ID", "PPN": "PASSPORT", "PRC": "FOREIGN_PERMANENT_RESIDENT_ID"}
_FINAL = frozenset({"final", "amended", "corrected", "appended"})
_NOT_YET = frozenset({"registered", "preliminary", "partial"})


class BundleReader:
    """Reads a Bundle entry by entry; a row's number is its entry's, the first being 1. Patients are read before."""

    layout = LAYOUT

    def __init__(self, text: TextIO) -> None:
        self._text = text

    def __iter__(self) -> Iterator[Sample | Refusal]:
        patients = self._patients()
        for number, entry in self._entries():
            row = read_resource(number, _object(entry.get("resource")), patients)
            if row is not None:
                yield row

    def _patients(self) -> dict[str, Identity]:
        # They may stand anywhere in the Bundle, so it is read twice. Only their documents are kept.
        patients: dict[str, Identity] = {}
        count = 0
        for _, entry in self._entries():
            patient = _object(entry.get("resource"))
            if patient.get("resourceType") != "Patient":
                continue
            count += 1
            if count > MOST_PATIENTS:
                raise UnreadableFileError(
                    "FHIR_PATIENTS",
                    f"Bundle 中的 Patient 超过 {MOST_PATIENTS} 个，请拆成几个文件，或在 subject.identifier 中写明证件",
                    f"The Bundle has more than {MOST_PATIENTS} Patients: split it, or put the document into "
                    "subject.identifier",
                )
            identity = _identity(_list(patient.get("identifier")))
            patients[f"Patient/{patient.get('id')}"] = identity
            if isinstance(entry.get("fullUrl"), str):
                patients[entry["fullUrl"]] = identity
        return patients

    def _entries(self) -> Iterator[tuple[int, Json]]:
        self._text.seek(0)
        number = 0
        try:
            for key, value in top_level(self._text, "entry"):
                if key == "resourceType" and value != "Bundle":
                    raise UnreadableFileError("FHIR_BUNDLE", "不是 FHIR Bundle", "It is not a FHIR Bundle")
                if key == "entry":
                    number += 1
                    yield number, _object(value)
        except ElementError as error:
            raise UnreadableFileError(
                "FHIR_JSON", f"第 {error.position} 个字符起不是合法的 JSON", f"Not JSON from character {error.position}"
            ) from None


def read_resource(number: int, resource: Json, patients: Mapping[str, Identity]) -> Sample | Refusal | None:
    """The row a resource makes: None for one that is neither an Observation nor a DiagnosticReport, and for a report
    that only points to its Observations, which are rows themselves."""
    kind = resource.get("resourceType")
    if kind not in ("Observation", "DiagnosticReport"):
        return None
    status = _text(resource.get("status"))
    value = _result(resource)
    if kind == "DiagnosticReport" and not value and resource.get("result"):
        return None
    if status in _NOT_YET:
        value, issued = "", ""
    elif status in _FINAL:
        issued = _text(resource.get("issued"))
        if not value:
            return whole(number, "RESULT_REQUIRED", "没有检测结果", "A final resource has no result that is known here")
    else:
        return whole(number, "STATUS_NOT_TAKEN", "该状态的资源不导入", "A resource of this status is not taken")
    identifiers = map(_object, _list(resource.get("identifier")))
    texts = (
        next((_text(one.get("value")) for one in identifiers), "") or _text(resource.get("id")),
        *_subject(resource, patients),
        _text(resource.get("effectiveDateTime"))
        or _text(resource.get("effectiveInstant"))
        or _text(_object(resource.get("effectivePeriod")).get("start")),
        issued,
        value,
        # A specimen that several people share has a Group as its subject; one person's is single unless it says so.
        _text(_object(resource.get("method")).get("text")) or "SINGLE",
    )
    return plain(number, False, *texts) or read_row(number, dict(zip(Column, texts, strict=True)), LAYOUT)


def _result(resource: Json) -> str:
    """The word for the result, that of a code where there is one; empty when there is none."""
    concepts = [_object(resource.get("valueCodeableConcept"))]
    concepts += [_object(one) for one in _list(resource.get("conclusionCode"))]
    codings = [_object(coding) for concept in concepts for coding in _list(concept.get("coding"))]
    coded = {_RESULTS.get(_text(one.get("code")), "") for one in codings if one.get("system") == _SNOMED} - {""}
    if len(coded) == 1:
        return coded.pop()
    if coded:
        # Codes that contradict each other are no word that is known.
        return "/".join(sorted(coded))
    words = [_text(concept.get("text")) for concept in concepts]
    words += [_text(resource.get("valueString")), _text(resource.get("conclusion"))]
    return next((word for word in words if word), "")


def _subject(resource: Json, patients: Mapping[str, Identity]) -> Identity:
    """The document of the subject: its own identifier, or that of the Patient it points to."""
    subject = _object(resource.get("subject"))
    own = _identity([subject.get("identifier")])
    if own[0]:
        return own
    reference = _text(subject.get("reference"))
    contained = {f"#{one.get('id')}": one for one in map(_object, _list(resource.get("contained")))}
    if contained.get(reference):
        patient = _identity(_list(contained[reference].get("identifier")))
    else:
        patient = patients.get(reference, _NOBODY)
    return patient if patient[0] or own == _NOBODY else own


def _identity(identifiers: list[Any]) -> Identity:
    """The type and number of the identifier that is a document; of the first where none names a type."""
    first = _NOBODY
    for one in map(_object, identifiers):
        identity = _document_type(_object(one.get("type"))), _text(one.get("value"))
        if identity[0]:
            return identity
        if first == _NOBODY:
            first = identity
    return first


def _document_type(concept: Json) -> str:
    for coding in _list(concept.get("coding")):
        known = _DOCUMENTS.get(_text(_object(coding).get("code")))
        if known:
            return known
    return _text(concept.get("text"))


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
