"""Files as people really send them, where they lie beside a checkout: each comes to what it must."""

from collections.abc import Sequence

import pytest
from hutong.records.v1.record_pb2 import RecordKind, TestResult
from hutong.records.v1.record_write_service_pb2 import RecordSubmission

from cli.importing.batches import Destination, batches, request
from cli.importing.opening import open_laboratory_files
from cli.laboratory_files.refusals import Refusal
from services.common.documents import normalise
from tests.testkit.builders.laboratory_files import SHARED

TRIALS = SHARED / "trials"
HUNAN = Destination("430000", "430000-test", "430102")

pytestmark = pytest.mark.skipif(not TRIALS.is_dir(), reason="the shared trials are not here")


class Read:
    """The submissions, refusals and notes that files come to."""

    def __init__(self, *names: str) -> None:
        self.submissions: list[RecordSubmission] = []
        self.reasons: dict[int, list[str]] = {}
        self.cleaned = self.titles = self.totals = 0
        self.passed_over: list[str] = []
        with open_laboratory_files([TRIALS / name for name in names]) as files:
            for opened in files:
                for batch in batches(opened.rows):
                    self.submissions += request(1, batch.samples, HUNAN).submissions
                    self._refuse(batch.refusals)
                notes = opened.rows.notes
                self.cleaned += notes.cleaned.total()
                self.titles += notes.titles
                self.totals += notes.totals
                self.passed_over += notes.passed_over

    def _refuse(self, refusals: Sequence[Refusal]) -> None:
        for refusal in refusals:
            self.reasons[refusal.row] = [violation.reason for violation in refusal.violations]

    @property
    def people(self) -> list[tuple[int, str]]:
        """Returns the people's documents in their one form."""
        documents = [submission.subject.document for submission in self.submissions]
        return [tuple(normalise(document.type, document.number)) for document in documents]  # type: ignore[misc]

    @property
    def results(self) -> list[str]:
        """Returns the results by name."""
        return [TestResult.Name(one.content.result).removeprefix("TEST_RESULT_") for one in self.submissions]

    @property
    def ids(self) -> list[str]:
        """The samples' ids."""
        return [submission.source_id for submission in self.submissions]


def test_a_number_in_scientific_notation_is_refused():
    """With the cause and what to do; the others of the file are taken."""
    read = Read("01-excel-scientific-id/a.csv")
    assert ({2: ["NUMBER_CHANGED_BY_SPREADSHEET"]}, ["T01-2"]) == (read.reasons, read.ids)


def test_apostrophes_and_equals_signs_are_taken_off():
    """In every column, and counted."""
    read = Read("04-apostrophe-and-equals/a.csv")
    assert ({}, 5, 4) == (read.reasons, len(read.submissions), read.cleaned)
    assert "T04-4" in read.ids


@pytest.mark.parametrize("name", ["semicolon", "tab", "pipe", "fullwidth-comma", "sepline"])
def test_separators(name):
    """Each is read."""
    assert ({}, 1) == ((read := Read(f"05-separators/{name}.csv")).reasons, len(read.submissions))


def test_times_are_not_guessed():
    """Each refusal names what it saw."""
    read = Read("07-times/a.csv")
    assert {
        2: ["TIME_SERIAL_NUMBER"],
        3: ["TIME_24"],
        4: ["TIME_WITHOUT_CLOCK"],
        6: ["TIME_DAY_ORDER"],
        14: ["TIME_TWO_DIGIT_YEAR"],
        16: ["TIME_IMPOSSIBLE"],
        17: ["TIME_WITHOUT_DAY"],
        18: ["CELL_ERROR"],
        19: ["CELL_HIDDEN"],
    } == read.reasons
    assert {1795744800} == {submission.content.sampled_at.seconds for submission in read.submissions}


@pytest.mark.parametrize(
    ("name", "rows", "titles", "totals"),
    [("title", 1, 2, 0), ("total", 1, 0, 1), ("trailing", 2, 0, 0), ("synonyms", 1, 0, 0)],
)
def test_titles_totals_and_trailing_cells(name, rows, titles, totals):
    """Passed over and counted."""
    read = Read(f"09-title-total-trailing/{name}.csv")
    assert ({}, rows, titles, totals) == (read.reasons, len(read.submissions), read.titles, read.totals)


def test_invisible_marks():
    """Dropped and counted."""
    read = Read("11-invisible/a.csv")
    assert ({}, 7, 6) == (read.reasons, len(read.submissions), read.cleaned)
    assert all(name.isascii() for name in read.ids)


def test_permanent_residents():
    """The form of 2023 is checked, and one holder is one person whichever type was chosen."""
    read = Read("14-permanent-resident/a.csv")
    assert {3: ["DOCUMENT_NUMBER_CHECK"], 4: ["DOCUMENT_NUMBER_BIRTH_DATE"]} == read.reasons
    first, shanghai, typed, shanghai_typed, _ = read.people
    assert (first, shanghai) == (typed, shanghai_typed)


def test_permits():
    """With and without renewals one person; everyday names are understood; what is no permit is refused."""
    read = Read("15-permits/a.csv")
    assert {12: ["DOCUMENT_NUMBER_FORMAT"]} == read.reasons
    assert 1 == len(set(read.people[1:4]))
    assert {"T15-8", "T15-9", "T15-10"} <= set(read.ids)


def test_questions_at_order_entry():
    """Passed over, counted, and no failure."""
    read = Read("18-fhir-order-entry/a.json")
    assert ({}, ["t18-cov"]) == (read.reasons, read.ids)
    assert {"82810-3", "95419-8", "76689-9", "8310-5"} == set(read.passed_over)


def test_a_report_says_when_it_was_issued():
    """For the Observation that does not."""
    (submission,) = Read("19-fhir-report-issued/a.json").submissions
    assert submission.content.HasField("reported_at")


def test_the_document_among_identifiers():
    """Found among others; the old one never before the official."""
    people = (TRIALS / "20-fhir-identifier-order" / "people.txt").read_text().split()
    assert [(1, people[0])] == Read("20-fhir-identifier-order/a.json").people
    assert [(1, people[2])] == Read("20-fhir-identifier-order/old.json").people


def test_bulk_exports():
    """Joined in one file, by versioned references, or given together; else the message says what to give."""
    assert (["t22-2"], ["t22-3", "t22-4"]) == (Read("22-fhir-bulk/both.ndjson").ids, Read("22-fhir-bulk/urls.json").ids)
    assert {1: ["SUBJECT_NOT_FOUND"]} == Read("22-fhir-bulk/Observation.ndjson").reasons
    together = Read("22-fhir-bulk/Observation.ndjson", "22-fhir-bulk/both.ndjson")
    assert ({}, ["t22-1", "t22-2"]) == (together.reasons, together.ids)


def test_answers_of_loinc():
    """Understood; a value that contradicts its interpretation is refused."""
    read = Read("23-fhir-loinc-answers/a.json")
    assert ["NEGATIVE", "NEGATIVE", "POSITIVE", "POSITIVE", "NEGATIVE"] == read.results
    assert {6: ["RESULT_CONTRADICTS"]} == read.reasons


def test_corrections():
    """Declared as such, under the same id."""
    steps = [Read(f"24-fhir-corrected/{name}.json") for name in ("1-final", "2-corrected", "3-entered-in-error")]
    assert ["T24-ACC"] * 3 == [name for read in steps for name in read.ids]
    assert [0, 1, 2] == [read.submissions[0].correction.kind for read in steps]
    assert RecordKind.RECORD_KIND_RESULT == steps[1].submissions[0].content.kind


def test_times_of_specimens():
    """Used where the Observation has none; nothing is guessed; RT-PCR is no tube."""
    read = Read("25-fhir-times/a.json")
    assert {1: ["TIME_WITHOUT_CLOCK"], 2: ["TIME_WITHOUT_CLOCK"], 6: ["TIME_WITHOUT_OFFSET"]} == read.reasons
    assert ["t25-period", "t25-specimen", "t25-z", "t25-group"] == read.ids
    assert {1} == {submission.content.tube for submission in read.submissions}


def test_the_laboratories_files():
    """Clean ones are all good; of the dirty one, every row is read or refused."""
    for path in sorted((SHARED / "labs").glob("*.csv")):
        read = Read(f"../labs/{path.name}")
        assert path.name.startswith("dirty") == bool(read.reasons)
        assert len(read.submissions) + len(read.reasons) == (60 if read.reasons else 300)
