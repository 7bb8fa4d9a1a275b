"""Codes that laboratories send, as published: what is a SARS-CoV-2 nucleic-acid test, what is a result, what is an
identity document. Each file names its sources."""

import csv
from collections.abc import Iterator
from importlib.resources import files


def _rows(name: str) -> Iterator[dict[str, str]]:
    lines = files(__name__).joinpath(name).read_text(encoding="utf-8").splitlines()
    yield from csv.DictReader(line for line in lines if not line.startswith("#"))


TESTS = {row["code"]: row["kind"] for row in _rows("tests.csv")}
"""LOINC codes of SARS-CoV-2 nucleic-acid tests: `test` has a result, `panel` holds tests of one specimen."""

SYSTEMS = {
    "urn:oid:2.16.840.1.113883.6.1": "http://loinc.org",
    "urn:oid:2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "urn:oid:2.16.840.1.113883.5.83": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
    "http://hl7.org/fhir/v3/ObservationInterpretation": (
        "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    ),
    "http://hl7.org/fhir/v2/0078": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
    "http://terminology.hl7.org/CodeSystem/v2-0078": (
        "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    ),
}
"""Other names of code systems, by those that are used here."""

RESULTS = {(row["system"], row["code"]): row["result"] for row in _rows("results.csv")}
"""Results by code system and code."""

DOCUMENTS = {row["code"]: row["document_type"] for row in _rows("documents.csv")}
"""Types of identity documents by code of HL7 v2 table 0203."""
