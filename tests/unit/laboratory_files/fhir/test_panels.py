"""Reports, specimens and panels: what is about one sample is one result."""

import pytest
from hutong.records.v1.record_pb2 import TestResult as Outcome
from hutong.records.v1.record_write_service_pb2 import CorrectionKind

from cli.laboratory_files.samples import Sample
from services.common.instants import parse_rfc3339
from tests.testkit.builders.fhir import (
    INCONCLUSIVE,
    LATER,
    LOINC,
    NEGATIVE,
    OTHER_PERSON,
    POSITIVE,
    REPORTED,
    SAMPLED,
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

GENES = ("94559-2", "94533-7", "94758-0")


def target(gene: str, result: str = NEGATIVE, **changes):
    """One target of a panel, about the specimen s1."""
    made = observation(
        id=f"o-{gene}",
        identifier=None,
        code=concept(gene, LOINC),
        valueCodeableConcept=concept(result),
        specimen={"reference": "Specimen/s1"},
    )
    return {key: value for key, value in (made | changes).items() if value is not None}


def specimen(**changes):
    """The specimen s1."""
    made = {"resourceType": "Specimen", "id": "s1", "accessionIdentifier": {"value": "ACC-1"}}
    return made | {"collection": {"collectedDateTime": SAMPLED}} | changes


def report(*results: str, **changes):
    """A report that points to Observations."""
    made = observation(
        resourceType="DiagnosticReport",
        id="r1",
        identifier=[{"value": "R-1"}],
        valueCodeableConcept=None,
        result=[{"reference": f"Observation/{one}"} for one in results],
    )
    return {key: value for key, value in (made | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ((NEGATIVE, NEGATIVE, NEGATIVE), Outcome.TEST_RESULT_NEGATIVE),
        ((NEGATIVE, POSITIVE, NEGATIVE), Outcome.TEST_RESULT_POSITIVE),
        ((INCONCLUSIVE, NEGATIVE, POSITIVE), Outcome.TEST_RESULT_POSITIVE),
        ((NEGATIVE, INCONCLUSIVE, NEGATIVE), Outcome.TEST_RESULT_INCONCLUSIVE),
    ],
)
def test_the_targets_of_one_specimen_are_one_result(results, expected):
    """Any detected is positive; the row is the first target's, its id the specimen's."""
    row = only(*(target(gene, result) for gene, result in zip(GENES, results, strict=True)), specimen())
    assert (1, "ACC-1", expected) == (row.row, row.sample_id, row.result)


def test_the_targets_of_a_report_are_one_result():
    """Without a specimen, what points to them holds them together; the id is the report's."""
    targets = [target(gene, specimen=None) for gene in GENES]
    row = only(report(*(one["id"] for one in targets)), *targets)
    assert (2, "R-1", Outcome.TEST_RESULT_NEGATIVE) == (row.row, row.sample_id, row.result)


def test_the_targets_of_a_panel_are_one_result():
    """A panel that is itself an Observation is no row beside them."""
    targets = [target(gene, specimen=None) for gene in GENES]
    panel = observation(
        id="p1",
        identifier=[{"value": "P-1"}],
        code=concept("94531-1", LOINC),
        valueCodeableConcept=None,
        hasMember=[{"reference": f"Observation/{one['id']}"} for one in targets],
    )
    assert ("P-1", 2) == (only(panel, *targets).sample_id, only(panel, *targets).row)
    judged = panel | {"valueCodeableConcept": concept(POSITIVE)}
    assert Outcome.TEST_RESULT_POSITIVE == only(judged, *targets).result
    assert "P-1" == only(judged).sample_id


def test_components_are_targets():
    """Also of a panel that tests for other viruses besides, whose components do not count."""
    parts = [
        {"code": concept("92142-9", LOINC), "valueCodeableConcept": concept(POSITIVE)},
        {"code": concept("94533-7", LOINC), "valueCodeableConcept": concept(NEGATIVE)},
    ]
    panel = observation(code=concept("95941-1", LOINC), valueCodeableConcept=None, component=parts)
    assert Outcome.TEST_RESULT_NEGATIVE == only(panel).result
    parts[1]["valueCodeableConcept"] = concept(POSITIVE)
    assert Outcome.TEST_RESULT_POSITIVE == only(panel).result


def test_two_peoples_targets_are_two_results():
    """A specimen that is named for two people is no panel."""
    first, second = rows(target(GENES[0]), target(GENES[1], POSITIVE, subject={"identifier": identifier(OTHER_PERSON)}))
    assert isinstance(first, Sample)
    assert isinstance(second, Sample)
    assert (Outcome.TEST_RESULT_NEGATIVE, Outcome.TEST_RESULT_POSITIVE) == (first.result, second.result)


def test_tests_of_other_days_in_one_report_are_other_results():
    """A report of somebody's last tests is no panel."""
    days = [observation(id=f"d{day}", effectiveDateTime=f"2022-08-0{day}T10:00:00+08:00") for day in (1, 3, 5)]
    assert 3 == len(rows(report("d1", "d3", "d5"), *days))


def test_a_target_that_is_awaited_makes_a_sampling_record():
    """Unless another was detected: that is a result."""
    awaited = target(GENES[0], status="preliminary", valueCodeableConcept=None)
    row = only(awaited, target(GENES[1]), specimen())
    assert (Outcome.TEST_RESULT_UNSPECIFIED, None) == (row.result, row.reported_at)
    assert Outcome.TEST_RESULT_POSITIVE == only(awaited, target(GENES[1], POSITIVE), specimen()).result


def test_the_report_of_a_panel_is_the_latest_of_its_targets():
    """A result is reported when all of it is."""
    row = only(target(GENES[0]), target(GENES[1], issued=LATER), specimen())
    assert parse_rfc3339(LATER) == row.reported_at


def test_a_corrected_target_corrects_the_panel():
    """And one that was entered in error counts no longer."""
    row = only(target(GENES[0], status="corrected"), target(GENES[1]), specimen())
    assert row.correction is not None
    assert CorrectionKind.CORRECTION_KIND_AMENDMENT == row.correction.kind
    row = only(target(GENES[0], POSITIVE, status="entered-in-error"), target(GENES[1]), specimen())
    assert row.correction is not None
    assert (CorrectionKind.CORRECTION_KIND_AMENDMENT, Outcome.TEST_RESULT_NEGATIVE) == (row.correction.kind, row.result)
    row = only(*(target(gene, status="entered-in-error") for gene in GENES), specimen())
    assert row.correction is not None
    assert CorrectionKind.CORRECTION_KIND_RETRACTION == row.correction.kind


def test_what_cannot_be_read_of_a_target_refuses_the_panel():
    """A negative of the others alone would be half the truth."""
    (row,) = rows(target(GENES[0]), target(GENES[1], valueCodeableConcept={"text": "?"}), specimen())
    assert [("value", "RESULT_UNKNOWN")] == reasons(row)


def test_a_report_lends_its_observation_what_it_lacks():
    """When it was issued, when the sample was taken, whose it is; its own Observations only."""
    bare = observation(issued=None, effectiveDateTime=None, subject=None, id="o1")
    row = only(report("o1"), bare)
    assert (parse_rfc3339(REPORTED), parse_rfc3339(SAMPLED), "S1") == (row.reported_at, row.sampled_at, row.sample_id)
    (refused,) = rows(report("other"), bare)
    assert [("subject", "SUBJECT_REQUIRED")] == reasons(refused)


def test_a_report_lends_across_files():
    """Bulk exports have a file for each type."""
    files = readers(lines(report("o1")), lines(observation(issued=None)), lines(patient("1")))
    reports, (row,), people = map(list, files)
    assert isinstance(row, Sample)
    assert ([], [], parse_rfc3339(REPORTED)) == (reports, people, row.reported_at)


def test_a_conclusion_that_is_graver_than_its_observations_counts():
    """And the report is no second row; of a report over several samples it is nobody's."""
    drawn = {"conclusionCode": [concept(POSITIVE)]}
    assert Outcome.TEST_RESULT_POSITIVE == only(report("o1", **drawn), observation(id="o1")).result
    days = [observation(id=f"d{day}", effectiveDateTime=f"2022-08-0{day}T10:00:00+08:00") for day in (1, 3)]
    assert {Outcome.TEST_RESULT_NEGATIVE} == {
        row.result for row in rows(report("d1", "d3", **drawn), *days) if isinstance(row, Sample)
    }


def test_a_report_that_only_points_to_observations_is_no_row():
    """Its Observations are; and a report of other things is passed over."""
    assert [2] == [row.row for row in rows(report("o1"), observation(id="o1"), {"resourceType": "Specimen"})]
    read = reader(report(code=concept("57021-8", LOINC), result=None, conclusion="阳性"))
    assert ([], {"57021-8": 1}) == (list(read), dict(read.notes.passed_over))


def test_a_specimen_says_when_it_was_taken():
    """Where the Observation does not; its number is the sample's where that has none."""
    made = target("94500-6", effectiveDateTime=None)
    row = only(made, specimen())
    assert (parse_rfc3339(SAMPLED), "ACC-1") == (row.sampled_at, row.sample_id)
    period = specimen(collection={"collectedPeriod": {"start": SAMPLED}}, accessionIdentifier=None)
    assert (parse_rfc3339(SAMPLED), "o-94500-6") == (only(made, period).sampled_at, only(made, period).sample_id)
    inside = made | {"specimen": {"reference": "#s"}, "contained": [specimen(id="s")]}
    assert parse_rfc3339(SAMPLED) == only(inside).sampled_at


def test_a_specimen_that_people_share_needs_its_size():
    """A pool of unknown size is refused, unless the method says it."""
    shared = specimen(subject={"reference": "Group/g1"})
    (row,) = rows(target("94500-6"), shared)
    assert [("method", "TUBE_POOL_SIZE_MISSING")] == reasons(row)
    assert 10 == only(target("94500-6", method={"text": "10混1"}), shared).tube
