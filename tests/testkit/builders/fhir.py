"""FHIR resources as laboratories send them, and the rows that they make."""

import io
import json
from typing import Any

from cli.laboratory_files.fhir.reader import FhirFiles, FhirReader
from cli.laboratory_files.fhir.sources import BundleSource, LinesSource, Source
from cli.laboratory_files.refusals import Refusal
from cli.laboratory_files.samples import Sample
from cli.samples.model import resident_id

PERSON = resident_id("430102", "19030303", 33)
OTHER_PERSON = resident_id("430102", "19030303", 34)
SAMPLED, REPORTED = "2022-08-05T13:20:00+08:00", "2022-08-06T03:40:00+08:00"
LATER = "2022-08-06T05:00:00+08:00"
SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
NEGATIVE, POSITIVE, INCONCLUSIVE = "260385009", "10828004", "419984006"


def concept(code: str, system: str = SNOMED, **more: Any) -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]} | more


def identifier(number: str = PERSON, kind: str = "NNCHN", **more: Any) -> dict[str, Any]:
    """An identifier of a person."""
    system = "http://terminology.hl7.org/CodeSystem/v2-0203"
    return {"type": {"coding": [{"system": system, "code": kind}]}, "value": number} | more


def observation(**changes: Any) -> dict[str, Any]:
    """A negative of one person; a change to None takes an element away."""
    made = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": concept("94500-6", LOINC),
        "identifier": [{"value": "S1"}],
        "subject": {"identifier": identifier()},
        "effectiveDateTime": SAMPLED,
        "issued": REPORTED,
        "valueCodeableConcept": concept(NEGATIVE),
    }
    return {key: value for key, value in (made | changes).items() if value is not None}


def patient(patient_id: str, number: str = PERSON, **more: Any) -> dict[str, Any]:
    """A Patient with a resident id."""
    return {"resourceType": "Patient", "id": patient_id, "identifier": [identifier(number)]} | more


def entry(url: str, resource: dict[str, Any]) -> dict[str, Any]:
    """An entry of a Bundle with its fullUrl."""
    return {"fullUrl": url, "resource": resource}


def bundle(*resources: Any, **members: Any) -> str:
    """A Bundle of these resources, or entries."""
    return json.dumps(
        {"resourceType": "Bundle", "type": "collection"}
        | members
        | {"entry": [one if "resource" in one else {"resource": one} for one in resources]},
        ensure_ascii=False,
    )


def readers(*sources: Source) -> list[FhirReader]:
    """The readers of files that are given together."""
    together = FhirFiles(sources)
    return [together.reader(number) for number in range(len(sources))]


def lines(*resources: Any) -> LinesSource:
    """A file with one resource a line."""
    texts = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in resources]
    return LinesSource(lambda: texts)


def reader(*resources: Any) -> FhirReader:
    """The reader of a Bundle of these resources."""
    return readers(BundleSource(io.StringIO(bundle(*resources))))[0]


def rows(*resources: Any) -> list[Sample | Refusal]:
    """The rows of a Bundle of these resources."""
    return list(reader(*resources))


def only(*resources: Any) -> Sample:
    """The one row of a Bundle, which must be readable."""
    (row,) = rows(*resources)
    assert isinstance(row, Sample), row
    return row


def reasons(row: Sample | Refusal) -> list[tuple[str, str]]:
    """Returns the fields and reasons of a refusal."""
    assert isinstance(row, Refusal), row
    return [(violation.field, violation.reason) for violation in row.violations]
