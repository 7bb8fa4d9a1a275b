"""JSON Lines and FHIR R4: what each line and each resource becomes."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import DocumentType
from hutong.records.v1.record_pb2 import TestResult as Outcome
from hutong.records.v1.record_pb2 import Tube

from cli.importing.opening import open_laboratory_file
from cli.laboratory_files import fhir, json_elements
from cli.laboratory_files.fhir import BundleReader
from cli.laboratory_files.json_elements import ElementError, top_level
from cli.laboratory_files.json_lines import JsonLinesReader
from cli.laboratory_files.rows import Refusal, Sample
from cli.laboratory_files.unreadable import UnreadableFileError
from cli.samples.model import resident_id
from services.common.instants import parse_rfc3339

PERSON = resident_id("430102", "19030303", 33)
SAMPLED, REPORTED = "2022-08-05T13:20:00+08:00", "2022-08-06T03:40:00+08:00"
EXPECTED = Sample(
    1,
    "S1",
    DocumentType.DOCUMENT_TYPE_RESIDENT_ID,
    PERSON,
    parse_rfc3339(SAMPLED),
    parse_rfc3339(REPORTED),
    Outcome.TEST_RESULT_NEGATIVE,
    Tube.TUBE_SINGLE,
)
LINE = {
    "sample_id": "S1",
    "document_type": "RESIDENT_ID",
    "document_number": PERSON,
    "sampled_at": SAMPLED,
    "reported_at": REPORTED,
    "result": "NEGATIVE",
    "tube": "SINGLE",
}
IDENTIFIER = {"type": {"coding": [{"code": "NNCHN"}]}, "value": PERSON}


def observation(**changes: Any) -> dict[str, Any]:
    """A negative of one person; a change to None takes an element away."""
    made = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "identifier": [{"value": "S1"}],
        "subject": {"identifier": IDENTIFIER},
        "effectiveDateTime": SAMPLED,
        "issued": REPORTED,
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "260385009"}]},
    }
    return {key: value for key, value in (made | changes).items() if value is not None}


def bundle(*resources: Any, **members: Any) -> str:
    """A Bundle of these resources."""
    return json.dumps(
        {"resourceType": "Bundle", "type": "collection"}
        | members
        | {"entry": [{"resource": one} if "fullUrl" not in one else one for one in resources]},
        ensure_ascii=False,
    )


def rows(text: str) -> list[Sample | Refusal]:
    """The rows of a Bundle."""
    return list(BundleReader(io.StringIO(text)))


def reasons(row: Sample | Refusal) -> list[tuple[str, str]]:
    """Returns the fields and reasons of a refusal."""
    assert isinstance(row, Refusal), row
    return [(found.field, found.reason) for found in row.violations]


def test_a_line_is_a_row():
    """The keys are the English columns; a missing one, or null, is an empty cell; blank lines are passed over."""
    sampling = {key: value for key, value in LINE.items() if key != "result"} | {"reported_at": None}
    first, second = JsonLinesReader(["\ufeff" + json.dumps(LINE), "\n", json.dumps(sampling)])
    assert EXPECTED == first
    assert isinstance(second, Sample)
    assert (3, Outcome.TEST_RESULT_UNSPECIFIED, None) == (second.row, second.result, second.reported_at)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", ("", "ROW_JSON")),
        ("[1]", ("", "ROW_OBJECT")),
        (json.dumps(LINE | {"tube": 1}), ("", "ROW_TEXT")),
        (json.dumps(LINE | {"sampled_at": "2022-08-05 13:20"}), ("sampled_at", "TIME_WITHOUT_OFFSET")),
        (json.dumps(LINE | {"document_number": "x"}), ("document_number", "DOCUMENT_NUMBER_FORMAT")),
        ("{" + " " * 70_000 + "}", ("", "ROW_TOO_LONG")),
        ('{"a":' + "[" * 5_000 + "]" * 5_000 + "}", ("", "ROW_DEPTH")),
    ],
)
def test_a_line_that_cannot_be_read_is_refused(line, expected):
    """With its reason, and without harm to the next."""
    bad, good = JsonLinesReader([line, json.dumps(LINE)])
    assert expected == reasons(bad)[0]
    assert isinstance(good, Sample)


def test_an_observation_is_a_row():
    """Effective is sampling, issued is report, the code is the result, the identifier the document."""
    assert [EXPECTED] == rows(bundle(observation()))
    assert [EXPECTED] == list(JsonLinesReader([json.dumps(observation())]))


@pytest.mark.parametrize(
    "changes",
    [
        {"effectiveDateTime": None, "effectiveInstant": SAMPLED},
        {"effectiveDateTime": None, "effectivePeriod": {"start": SAMPLED, "end": REPORTED}},
        {"valueCodeableConcept": {"text": "阴性"}},
        {"valueCodeableConcept": None, "valueString": "negative"},
        {"identifier": None, "id": "S1"},
        {"subject": {"identifier": {"type": {"text": "身份证"}, "value": PERSON}}},
        {"subject": {"reference": "#p"}, "contained": [{"id": "p", "identifier": [{"value": "x"}, IDENTIFIER]}]},
        {"resourceType": "DiagnosticReport", "valueCodeableConcept": None, "conclusion": "阴性"},
        {
            "resourceType": "DiagnosticReport",
            "valueCodeableConcept": None,
            "conclusionCode": [{"coding": [{"system": "http://snomed.info/sct", "code": "260415000"}]}],
            "result": [{"reference": "Observation/o1"}],
        },
    ],
)
def test_the_same_test_in_other_elements(changes):
    """Every way R4 has of saying it."""
    assert [EXPECTED] == rows(bundle(observation(**changes)))


def test_a_patient_of_the_bundle():
    """Wherever in the Bundle the Patient stands, and by either kind of reference."""
    patient = {"resourceType": "Patient", "id": "7", "identifier": [IDENTIFIER]}
    by_id = observation(subject={"reference": "Patient/7"})
    by_url = observation(subject={"reference": "urn:uuid:1"}, identifier=[{"value": "S2"}])
    found = rows(bundle(by_id, by_url, {"fullUrl": "urn:uuid:1", "resource": patient}))
    assert [(1, "S1", PERSON), (2, "S2", PERSON)] == [
        (row.row, row.sample_id, row.document_number) for row in found if isinstance(row, Sample)
    ]


@pytest.mark.parametrize("status", ["registered", "preliminary"])
def test_what_is_not_final_is_a_sampling_record(status):
    """It is sampled, and has neither result nor report yet."""
    (row,) = rows(bundle(observation(status=status)))
    assert isinstance(row, Sample)
    assert (Outcome.TEST_RESULT_UNSPECIFIED, None) == (row.result, row.reported_at)


def test_pools_and_positives():
    """The method's words name the pool; codes of SNOMED the result."""
    positive = {"coding": [{"system": "http://snomed.info/sct", "code": "10828004"}], "text": "阴性"}
    (row,) = rows(bundle(observation(method={"text": "10混1"}, valueCodeableConcept=positive)))
    assert isinstance(row, Sample)
    assert (Tube.TUBE_POOL_10, Outcome.TEST_RESULT_POSITIVE) == (row.tube, row.result)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "entered-in-error"}, ("", "STATUS_NOT_TAKEN")),
        ({"valueCodeableConcept": None}, ("", "RESULT_REQUIRED")),
        ({"valueCodeableConcept": {"text": "阴"}}, ("value", "RESULT_UNKNOWN")),
        ({"effectiveDateTime": "2022-08-05"}, ("effective", "TIME_FORMAT")),
        ({"subject": {"reference": "Patient/404"}}, ("subject.identifier.type", "DOCUMENT_TYPE_REQUIRED")),
        (
            {
                "valueCodeableConcept": {
                    "coding": [{"system": "http://snomed.info/sct", "code": code} for code in ("10828004", "260385009")]
                }
            },
            ("value", "RESULT_UNKNOWN"),
        ),
    ],
)
def test_a_resource_that_is_no_record_is_refused(changes, expected):
    """With the element that is wrong."""
    (row,) = rows(bundle(observation(**changes)))
    assert expected == reasons(row)[0]


def test_a_report_that_only_points_to_observations_is_no_row():
    """Its Observations are; and other resources are passed over."""
    report = observation(resourceType="DiagnosticReport", valueCodeableConcept=None, result=[{"reference": "o1"}])
    assert [2] == [row.row for row in rows(bundle(report, observation(), {"resourceType": "Specimen"}))]


def test_an_id_that_cannot_be_sent_is_refused():
    """Half a surrogate pair, which JSON can write and no UTF-8 can carry, spoils its row and no other."""
    bad, good = rows(
        json.dumps(
            {"entry": [{"resource": observation(identifier=[{"value": "\ud800"}])}, {"resource": observation()}]}
        )
    )
    assert [("identifier", "SOURCE_ID_FORMAT")] == reasons(bad)
    assert isinstance(good, Sample)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"entry": [1', '{"entry": [{]}', '{"entry" 1}', '{"a": 1 "b": 2}', '{"entry": [' + "[" * 100_000],
)
def test_what_is_not_json_is_unreadable(text):
    """As a whole, and it says where."""
    with pytest.raises(UnreadableFileError) as caught:
        rows(text)
    assert "FHIR_JSON" == caught.value.reason


def test_another_resource_is_no_bundle():
    """It is named."""
    with pytest.raises(UnreadableFileError) as caught:
        rows('{"resourceType": "Patient"}')
    assert "FHIR_BUNDLE" == caught.value.reason


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
def test_elements_come_whole_however_the_text_is_cut(chunk, monkeypatch):
    """Whatever the pieces it is read in."""
    monkeypatch.setattr(json_elements, "CHUNK", chunk)
    document: dict[str, Any] = {"a": [1, 2], "n": 12345, "entry": [{"x": "”}]"}, 17, [], "é", -2.5e3], "z": None}
    for indent in (None, 2):
        text = json.dumps(document, indent=indent, ensure_ascii=indent is None)
        found = list(top_level(io.StringIO(text), "entry"))
        assert [("a", [1, 2]), ("n", 12345), *(("entry", one) for one in document["entry"]), ("z", None)] == found


def test_an_endless_element_is_refused(monkeypatch):
    """It cannot fill the memory."""
    monkeypatch.setattr(json_elements, "MOST_ELEMENT", 1000)
    monkeypatch.setattr(json_elements, "CHUNK", 100)
    with pytest.raises(ElementError):
        list(top_level(io.StringIO('{"entry": ["' + "x" * 5000 + '"]}'), "entry"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (json.dumps(LINE) + "\n" + json.dumps(LINE), JsonLinesReader),
        (json.dumps(observation()), JsonLinesReader),
        (bundle(observation()), BundleReader),
        (json.dumps(json.loads(bundle(observation())), indent=2), BundleReader),
    ],
)
def test_the_format_is_found_out(tmp_path: Path, text, kind):
    """By the content, and every one of them is the same row."""
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    with open_laboratory_file(path) as (reader, _, _):
        assert isinstance(reader, kind)
        assert EXPECTED == next(iter(reader))


def test_a_bundle_of_too_many_patients_is_refused(monkeypatch):
    """Patients are held in memory, so there is a bound; above it the Bundle is refused before any row of it."""
    monkeypatch.setattr(fhir, "MOST_PATIENTS", 2)
    patients = [{"resourceType": "Patient", "id": f"p{n}", "identifier": [IDENTIFIER]} for n in range(3)]
    pointing = observation(subject={"reference": "Patient/p1"})
    assert [EXPECTED._replace(row=3)] == rows(bundle(*patients[:2], pointing))
    with pytest.raises(UnreadableFileError) as caught:
        next(iter(BundleReader(io.StringIO(bundle(pointing, *patients)))))
    assert "FHIR_PATIENTS" == caught.value.reason
