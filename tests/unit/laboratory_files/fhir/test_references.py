"""References between resources, by FHIR's rules: never another server's Patient/1."""

import pytest

from cli.laboratory_files.fhir.references import addresses, base_of, resolve
from cli.laboratory_files.samples import Sample
from tests.testkit.builders.fhir import (
    OTHER_PERSON,
    PERSON,
    entry,
    identifier,
    lines,
    observation,
    only,
    patient,
    readers,
    reasons,
    rows,
)

A, B = "https://a.example.org/fhir", "https://b.example.org/fhir"


def pointing(reference: str, **changes):
    """An Observation of whoever this refers to."""
    return observation(subject={"reference": reference}, **changes)


def test_a_relative_reference_is_to_the_same_server():
    """Two servers have a Patient/1 each: the result is its own server's."""
    ours, theirs = entry(f"{A}/Patient/1", patient("1")), entry(f"{B}/Patient/1", patient("1", OTHER_PERSON))
    for resources in ((ours, theirs), (theirs, ours)):
        assert PERSON == only(*resources, entry(f"{A}/Observation/9", pointing("Patient/1"))).document_number
        assert OTHER_PERSON == only(*resources, entry(f"{B}/Observation/9", pointing("Patient/1"))).document_number


def test_another_servers_person_is_nobody():
    """Where the own server's Patient is missing, no other takes its place."""
    (row,) = rows(entry(f"{B}/Patient/1", patient("1")), entry(f"{A}/Observation/9", pointing("Patient/1")))
    assert [("subject", "SUBJECT_NOT_FOUND")] == reasons(row)
    (row,) = rows(entry(f"{B}/Patient/1", patient("1")), pointing("Patient/1"))
    assert [("subject", "SUBJECT_NOT_FOUND")] == reasons(row)
    (row,) = rows(patient("1"), entry(f"{A}/Observation/9", pointing("Patient/1")))
    assert [("subject", "SUBJECT_NOT_FOUND")] == reasons(row)


@pytest.mark.parametrize(
    "reference",
    [f"{A}/Patient/1", f"{A}/Patient/1/_history/3", "Patient/1", "Patient/1/_history/2"],
)
def test_absolute_and_versioned_references(reference):
    """A version is of the same person."""
    row = only(entry(f"{A}/Patient/1", patient("1")), entry(f"{A}/Observation/9", pointing(reference)))
    assert PERSON == row.document_number


def test_an_absolute_reference_reaches_another_server():
    """When it says so."""
    row = only(entry(f"{B}/Patient/1", patient("1")), entry(f"{A}/Observation/9", pointing(f"{B}/Patient/1")))
    assert PERSON == row.document_number


def test_urns():
    """Entries that have no address yet are named by their fullUrl, and by type and id among each other."""
    who = entry("urn:uuid:6f1c", patient("1"))
    assert PERSON == only(who, entry("urn:uuid:77", pointing("urn:uuid:6f1c"))).document_number
    assert PERSON == only(who, entry("urn:uuid:77", pointing("Patient/1"))).document_number
    (row,) = rows(who, pointing("urn:uuid:other"))
    assert [("subject", "SUBJECT_NOT_FOUND")] == reasons(row)


def test_a_contained_person_is_its_containers_alone():
    """`#1` means what is inside, never another entry, and never what is inside another."""
    inside = {"contained": [{"resourceType": "Patient", "id": "1", "identifier": [identifier(OTHER_PERSON)]}]}
    row = only(patient("1"), pointing("#1") | inside)
    assert OTHER_PERSON == row.document_number
    refused, _ = rows(pointing("#1"), pointing("#1", id="o2") | inside)
    assert [("subject", "SUBJECT_NOT_FOUND")] == reasons(refused)


def test_two_people_of_one_name_are_nobody():
    """Two exports put together, each with a Patient/1, do not tell whose the result is."""
    (row,) = rows(patient("1"), patient("1", OTHER_PERSON), pointing("Patient/1"))
    assert [("subject", "SUBJECT_AMBIGUOUS")] == reasons(row)
    assert PERSON == only(patient("1"), patient("1"), pointing("Patient/1")).document_number


def test_files_of_a_bulk_export_are_joined():
    """Given together, in any order, each file's rows are its own."""
    people, tests = lines(patient("1")), lines(pointing("Patient/1"), pointing("Patient/404", id="o2"))
    for order in ((people, tests), (tests, people)):
        joined = {source: list(reader) for source, reader in zip(order, readers(*order), strict=True)}
        assert [] == joined[people]
        found, missing = joined[tests]
        assert isinstance(found, Sample)
        assert (1, PERSON) == (found.row, found.document_number)
        assert [("subject", "SUBJECT_NOT_FOUND")] == reasons(missing)
        assert "Patient.ndjson" in missing.violations[0].text.en  # type: ignore[union-attr]  # a refusal, as above


def test_a_line_that_is_no_resource_spoils_no_other():
    """It is refused by its number."""
    broken, text, row = next(iter(readers(lines("{", '{"a": 1}', observation()))))
    assert [("", "ROW_JSON")] == reasons(broken)
    assert [("", "ROW_RESOURCE")] == reasons(text)
    assert isinstance(row, Sample)


@pytest.mark.parametrize(
    ("reference", "base", "name"),
    [
        ("Patient/1", A, f"{A}/Patient/1"),
        ("Patient/1/_history/2", A, f"{A}/Patient/1"),
        (f"{B}/Patient/1/_history/2", A, f"{B}/Patient/1"),
        ("Patient/1", "", "Patient/1"),
        ("urn:uuid:1", A, "urn:uuid:1"),
        ("https://a.example.org/other", "", "https://a.example.org/other"),
        ("Patient?identifier=1", A, ""),
        ("", A, ""),
    ],
)
def test_what_a_reference_resolves_to(reference, base, name):
    """By the base of the entry that it stands in."""
    assert name == resolve(reference, base)


def test_what_an_entry_is_called():
    """By its address alone where it has one."""
    assert [f"{A}/Patient/1"] == addresses(f"{A}/Patient/1", "Patient", "1")
    assert ["urn:uuid:1", "Patient/1"] == addresses("urn:uuid:1", "Patient", "1")
    assert ["Patient/1"] == addresses("", "Patient", "1")
    assert (A, "", "") == (base_of(f"{A}/Observation/9"), base_of("urn:uuid:1"), base_of(""))
