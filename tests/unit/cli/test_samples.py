"""Sample people and files are what they say: invented, valid, each with a reason to be there."""

import pytest
from hutong.common.v1.subject_pb2 import DocumentType

from cli.importing.opening import open_laboratory_file
from cli.laboratory_files.encoding import GB18030, UTF_8
from cli.laboratory_files.samples import Sample
from cli.mesh.plan import RECORD_STORES, kept_by_nation
from cli.samples.files import FILES
from cli.samples.loading import start_of_hour
from cli.samples.model import instant, resident_id
from cli.samples.people import PEOPLE
from cli.samples.start import published
from services.common.documents import normalise
from services.common.instants import HOUR, MINUTE, Instant, parse_rfc3339

NOW = parse_rfc3339("2026-11-23T06:14:18+08:00")


def test_every_document_is_valid_and_nobodys():
    """Numbers pass the checks of real ones and differ; resident ids are of people born before 1910."""
    numbers = [normalise(person.type, person.number).number for person in PEOPLE]
    assert len(set(numbers)) == len(PEOPLE)
    ids = [person.number for person in PEOPLE if person.type == DocumentType.DOCUMENT_TYPE_RESIDENT_ID]
    assert [number for number in ids if number[6:10] >= "1910"] == []


def test_a_number_that_might_be_somebodys_is_not_made():
    """The maker of sample ids refuses people who may be alive."""
    with pytest.raises(ValueError, match="somebody"):
        resident_id("110101", "19900101", 1)


def test_everyone_shows_something_in_both_languages():
    """Each person has a name, a text for what to see, and a region to look at, in Chinese and English."""
    for person in published():
        name, shows = person["name"], person["shows"]
        assert isinstance(name, dict)
        assert isinstance(shows, dict)
        assert all(name.values())
        assert all(shows.values())
        assert person["region"] in {*RECORD_STORES, *kept_by_nation()}
    assert len(published()) >= 12


def test_records_of_one_hour_have_the_same_ids_and_times():
    """A restart within the hour submits the same records; one in the next hour submits others."""
    first, later = start_of_hour(NOW), start_of_hour(Instant(NOW + 40 * MINUTE))
    following = start_of_hour(Instant(NOW + HOUR))
    assert first == later
    for person in PEOPLE:
        for test in person.tests:
            assert test.source_id(person.key, first) == test.source_id(person.key, later)
            assert (test.source_id(person.key, first) == test.source_id(person.key, following)) == test.fixed
            assert len(test.source_id(person.key, first)) <= 64


def test_every_record_is_in_the_past_and_in_order():
    """Nobody was sampled in the future, and no report was issued before its sample."""
    start = start_of_hour(NOW)
    for person in PEOPLE:
        for test in person.tests:
            times = [instant(when, start) for when in (test.sampled, test.reported) if when is not None]
            assert times
            assert times == sorted(times)
            assert times[-1] <= NOW


@pytest.mark.parametrize(
    ("file", "encoding"), list(zip(FILES, [GB18030, UTF_8, UTF_8], strict=True)), ids=[file.name for file in FILES]
)
def test_the_sample_files_are_good(file, encoding):
    """Every row of the files in the package is good; between them they have each encoding and both languages."""
    with open_laboratory_file(file.path) as opened:
        rows = list(opened.rows)
    assert opened.encoding == encoding
    assert len(rows) == 40
    assert [row for row in rows if not isinstance(row, Sample)] == []
    assert opened.rows.layout.local_times == (file.region != "110000")
