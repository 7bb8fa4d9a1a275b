"""FHIR R4: what one resource becomes."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import DocumentType
from hutong.records.v1.record_pb2 import TestResult as Outcome
from hutong.records.v1.record_pb2 import Tube
from hutong.records.v1.record_write_service_pb2 import CorrectionKind

from cli.importing.opening import open_laboratory_file
from cli.laboratory_files.fhir import index, json_elements
from cli.laboratory_files.fhir.json_elements import ElementError, top_level
from cli.laboratory_files.fhir.reader import FhirReader
from cli.laboratory_files.fhir.sources import BundleSource
from cli.laboratory_files.json_lines import JsonLinesReader
from cli.laboratory_files.refusals import Refusal, UnreadableFileError
from cli.laboratory_files.samples import Sample
from services.common.instants import parse_rfc3339
from tests.testkit.builders.fhir import (
    INCONCLUSIVE,
    LOINC,
    NEGATIVE,
    OTHER_PERSON,
    PERSON,
    POSITIVE,
    REPORTED,
    SAMPLED,
    bundle,
    concept,
    identifier,
    lines,
    observation,
    only,
    patient,
    reader,
    readers,
    reasons,
    rows,
)

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
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def of_text(text: str) -> list[Sample | Refusal]:
    """The rows of a Bundle's text."""
    return list(readers(BundleSource(io.StringIO(text)))[0])


def test_an_observation_is_a_row():
    """Effective is sampling, issued is report, the code is the result, the identifier the document."""
    assert [EXPECTED] == rows(observation())
    assert [EXPECTED] == list(readers(lines(observation()))[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"effectiveDateTime": None, "effectiveInstant": SAMPLED},
        {"effectiveDateTime": None, "effectivePeriod": {"start": SAMPLED, "end": REPORTED}},
        {"valueCodeableConcept": {"text": "阴性"}},
        {"valueCodeableConcept": {"text": "Not Detected"}},
        {"valueCodeableConcept": concept("LA6577-6", LOINC)},
        {"valueCodeableConcept": concept("LA11883-8", LOINC)},
        {"valueCodeableConcept": None, "interpretation": [concept("ND", INTERPRETATION)]},
        {"interpretation": [concept("NEG", INTERPRETATION)]},
        {"valueCodeableConcept": None, "valueString": "negative"},
        {"valueCodeableConcept": None, "interpretation": [{"text": "Negative"}]},
        {"valueCodeableConcept": concept(NEGATIVE, "urn:oid:2.16.840.1.113883.6.96")},
        {"code": concept("94500-6", "urn:oid:2.16.840.1.113883.6.1")},
        {"interpretation": [concept("N", INTERPRETATION)]},
        {"identifier": None, "id": "S1"},
        {"code": {"text": "新型冠状病毒核酸检测"}},
        {"code": {"coding": [{"system": "urn:local", "code": "HS1", "display": "新冠病毒核酸"}]}},
        {"subject": {"identifier": {"type": {"text": "身份证"}, "value": PERSON}}},
        {"subject": {"reference": "#p"}, "contained": [{"id": "p", "identifier": [{"value": "x"}, identifier()]}]},
        {"method": {"text": "RT-PCR"}},
        {"resourceType": "DiagnosticReport", "valueCodeableConcept": None, "conclusion": "阴性"},
        {
            "resourceType": "DiagnosticReport",
            "valueCodeableConcept": None,
            "conclusionCode": [concept("260415000")],
            "result": [{"reference": "Observation/elsewhere"}],
        },
    ],
)
def test_the_same_test_in_other_elements(changes):
    """Every way R4 has of saying it."""
    assert [EXPECTED] == rows(observation(**changes))


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("LA6576-8", Outcome.TEST_RESULT_POSITIVE),
        ("LA11882-0", Outcome.TEST_RESULT_POSITIVE),
        ("LA9663-1", Outcome.TEST_RESULT_INCONCLUSIVE),
    ],
)
def test_answers_of_loinc(code, result):
    """What LOINC's answer lists say."""
    assert result == only(observation(valueCodeableConcept=concept(code, LOINC))).result


@pytest.mark.parametrize("status", ["registered", "preliminary"])
def test_what_is_not_final_is_a_sampling_record(status):
    """It is sampled, and has neither result nor report yet."""
    row = only(observation(status=status))
    assert (Outcome.TEST_RESULT_UNSPECIFIED, None) == (row.result, row.reported_at)


def test_pools_and_positives():
    """The method's words name the pool; codes of SNOMED the result, whatever the words beside them."""
    positive = concept(POSITIVE, text="阴性")
    row = only(observation(method={"text": "10混1"}, valueCodeableConcept=positive))
    assert (Tube.TUBE_POOL_10, Outcome.TEST_RESULT_POSITIVE) == (row.tube, row.result)


@pytest.mark.parametrize("status", ["amended", "corrected"])
def test_a_corrected_result_is_declared_so(status):
    """It replaces what was said before, and the cause says why."""
    row = only(observation(status=status, valueCodeableConcept=concept(POSITIVE)))
    assert row.correction is not None
    assert CorrectionKind.CORRECTION_KIND_AMENDMENT == row.correction.kind
    assert status in row.correction.cause
    assert Outcome.TEST_RESULT_POSITIVE == row.result


def test_a_result_entered_in_error_is_withdrawn():
    """It needs neither times nor a result; whose it is must be known."""
    bare = observation(status="entered-in-error", valueCodeableConcept=None, issued=None, effectiveDateTime=None)
    row = only(bare)
    assert row.correction is not None
    assert (CorrectionKind.CORRECTION_KIND_RETRACTION, "S1", PERSON) == (
        row.correction.kind,
        row.sample_id,
        row.document_number,
    )
    (refused,) = rows(bare | {"subject": {"reference": "Patient/404"}})
    assert [("subject", "SUBJECT_NOT_FOUND")] == reasons(refused)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "cancelled"}, ("", "STATUS_NOT_TAKEN")),
        ({"status": None}, ("", "STATUS_NOT_TAKEN")),
        ({"valueCodeableConcept": None}, ("", "RESULT_REQUIRED")),
        ({"valueCodeableConcept": None, "valueQuantity": {"value": 31.2}}, ("", "RESULT_REQUIRED")),
        ({"valueCodeableConcept": {"text": "阴"}}, ("value", "RESULT_UNKNOWN")),
        ({"interpretation": [concept("POS", INTERPRETATION)]}, ("value", "RESULT_CONTRADICTS")),
        ({"interpretation": [concept("A", INTERPRETATION)]}, ("value", "RESULT_CONTRADICTS")),
        ({"interpretation": [concept("POS", "http://hl7.org/fhir/v2/0078")]}, ("value", "RESULT_CONTRADICTS")),
        (
            {"valueCodeableConcept": {"text": "阴性"}, "interpretation": [concept("DET", INTERPRETATION)]},
            ("value", "RESULT_CONTRADICTS"),
        ),
        (
            {"valueCodeableConcept": {"coding": [*concept(POSITIVE)["coding"], *concept(NEGATIVE)["coding"]]}},
            ("value", "RESULT_CONTRADICTS"),
        ),
        ({"effectiveDateTime": "2022-08-05"}, ("effective", "TIME_WITHOUT_CLOCK")),
        ({"effectiveDateTime": "2022-08"}, ("effective", "TIME_WITHOUT_CLOCK")),
        ({"issued": "2022-08-06T03:40:00"}, ("issued", "TIME_WITHOUT_OFFSET")),
        ({"method": {"text": "混检"}}, ("method", "TUBE_POOL_SIZE_MISSING")),
        ({"method": {"text": "15混1"}}, ("method", "TUBE_UNKNOWN")),
        ({"code": None}, ("code", "TEST_REQUIRED")),
        (
            {"code": {"coding": [{"system": LOINC, "code": "94500-6"}, {"system": LOINC, "code": "94558-4"}]}},
            ("code", "TEST_CONTRADICTS"),
        ),
        ({"subject": {"reference": "Patient/404"}}, ("subject", "SUBJECT_NOT_FOUND")),
        ({"subject": {"reference": "Patient?identifier=x"}}, ("subject", "SUBJECT_NOT_FOUND")),
        ({"subject": None}, ("subject", "SUBJECT_REQUIRED")),
        ({"subject": {"identifier": identifier("MR-1", "MR")}}, ("subject", "DOCUMENT_NOT_FOUND")),
        ({"subject": {"identifier": {"value": PERSON}}}, ("subject.identifier.type", "DOCUMENT_TYPE_REQUIRED")),
    ],
)
def test_a_resource_that_is_no_record_is_refused(changes, expected):
    """With the element that is wrong, and the cause."""
    (row,) = rows(observation(**changes))
    assert expected == reasons(row)[0]


def test_an_id_that_cannot_be_sent_is_refused():
    """Half a surrogate pair, which JSON can write and no UTF-8 can carry, spoils its row and no other."""
    bad, good = of_text(
        json.dumps(
            {"entry": [{"resource": observation(identifier=[{"value": "\ud800"}])}, {"resource": observation()}]}
        )
    )
    assert [("identifier", "SOURCE_ID_FORMAT")] == reasons(bad)
    assert isinstance(good, Sample)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (concept("92142-9", LOINC, text="Influenza virus A RNA"), "92142-9 Influenza virus A RNA"),
        (concept("94558-4", LOINC), "94558-4"),
        (concept("94563-4", LOINC), "94563-4"),
        (concept("94510-5", LOINC), "94510-5"),
        (concept("8310-5", LOINC), "8310-5"),
        ({"text": "甲型流感病毒核酸"}, "甲型流感病毒核酸"),
        ({"text": "HIV RNA"}, "HIV RNA"),
        ({"coding": [{"code": "GLU", "display": "血糖"}]}, "GLU 血糖"),
    ],
)
def test_what_is_no_nucleic_acid_test_of_this_virus_is_passed_over(code, name):
    """However plain its result: influenza, antigen, antibodies, cycle thresholds; counted by what it was."""
    read = reader(observation(code=code, valueCodeableConcept=concept(POSITIVE)), observation())
    assert [EXPECTED._replace(row=2)] == list(read)
    assert {name: 1} == dict(read.notes.passed_over)


def test_things_of_countless_names_are_counted_together_in_the_end():
    """A file of free texts cannot fill the memory."""
    read = reader(*(observation(code={"text": f"thing {number}"}) for number in range(300)))
    assert [] == list(read)
    assert 300 == read.notes.passed_over.total()
    assert len(read.notes.passed_over) < 300


@pytest.mark.parametrize(
    ("identifiers", "number"),
    [
        ([{"system": "https://his", "value": "x"}, identifier("MR-1", "MR"), identifier()], PERSON),
        ([identifier(OTHER_PERSON, use="old"), identifier(use="official")], PERSON),
        ([identifier(OTHER_PERSON, use="old"), identifier()], PERSON),
        ([identifier(OTHER_PERSON, use="temp"), identifier(use="usual")], PERSON),
        ([identifier(OTHER_PERSON), identifier(use="official")], PERSON),
        ([identifier(use="old")], PERSON),
        ([{"system": "http://hl7.org/fhir/sid/passport-CHN", "value": "E98877538"}], "E98877538"),
        ([{"type": {"text": "回乡证"}, "value": "H0765432101"}], "H07654321"),
    ],
)
def test_the_document_among_a_persons_identifiers(identifiers, number):
    """The official one first, one that is out of use last; what is no identity document never."""
    who = {"resourceType": "Patient", "id": "7", "identifier": identifiers}
    assert number == only(who, observation(subject={"reference": "Patient/7"})).document_number


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"entry": [1', '{"entry": [{]}', '{"entry" 1}', '{"a": 1 "b": 2}', '{"entry": [' + "[" * 100_000],
)
def test_what_is_not_json_is_unreadable(text):
    """As a whole, before a row of it is used, and it says where."""
    with pytest.raises(UnreadableFileError) as caught:
        of_text(text)
    assert "FHIR_JSON" == caught.value.reason


def test_a_bundle_that_breaks_off_is_refused_before_its_first_row():
    """It is read once before: half of it would otherwise be stored."""
    with pytest.raises(UnreadableFileError):
        next(iter(readers(BundleSource(io.StringIO(bundle(observation())[:-1])))[0]))


def test_another_resource_is_no_bundle():
    """It is named."""
    with pytest.raises(UnreadableFileError) as caught:
        of_text('{"resourceType": "Patient"}')
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


LINE = {
    "sample_id": "S1",
    "document_type": "RESIDENT_ID",
    "document_number": PERSON,
    "sampled_at": SAMPLED,
    "reported_at": REPORTED,
    "result": "NEGATIVE",
    "tube": "SINGLE",
}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (json.dumps(LINE) + "\n" + json.dumps(LINE), JsonLinesReader),
        (json.dumps(observation()), FhirReader),
        (json.dumps(observation() | {"note": [{"text": "x" * 5000}]}) + "\n", FhirReader),
        (bundle(observation()), FhirReader),
        (json.dumps(json.loads(bundle(observation())), indent=2), FhirReader),
    ],
)
def test_the_format_is_found_out(tmp_path: Path, text, kind):
    """By the content, and every one of them is the same row."""
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    with open_laboratory_file(path) as opened:
        assert isinstance(opened.rows, kind)
        assert EXPECTED == next(iter(opened.rows))


def test_more_resources_than_can_be_kept_are_refused(monkeypatch):
    """People are held in memory, so there is a bound; above it the file is refused before any row of it."""
    monkeypatch.setattr(index, "MOST_KEPT", 2)
    patients = [patient(f"p{n}") for n in range(3)]
    pointing = observation(subject={"reference": "Patient/p1"})
    assert [EXPECTED._replace(row=3)] == rows(*patients[:2], pointing)
    with pytest.raises(UnreadableFileError) as caught:
        next(iter(reader(pointing, *patients)))
    assert "FHIR_RESOURCES" == caught.value.reason
    of_specimens = [observation(id=f"o{n}", specimen={"reference": f"Specimen/{n}"}) for n in range(3)]
    assert 2 == len(rows(*of_specimens[:2]))
    with pytest.raises(UnreadableFileError):
        next(iter(reader(*of_specimens)))


def test_results_that_are_inconclusive_stay_so():
    """They neither help nor harm."""
    row = only(observation(valueCodeableConcept=concept(INCONCLUSIVE)))
    assert Outcome.TEST_RESULT_INCONCLUSIVE == row.result


def test_numbers_that_a_spreadsheet_has_changed_are_disbelieved_in_fhir_too():
    """Whoever makes a Bundle of a spreadsheet passes its damage on."""
    damaged = [f"430102{year}01011000" for year in range(1900, 1908)]
    resources = [
        observation(identifier=[{"value": f"D{n}"}], subject={"identifier": identifier(number)})
        for n, number in enumerate(damaged)
    ]
    read = rows(*resources, observation())
    assert {"NUMBER_CHANGED_BY_SPREADSHEET"} == {reason for row in read[:-1] for _, reason in reasons(row)}
    assert isinstance(read[-1], Sample)
