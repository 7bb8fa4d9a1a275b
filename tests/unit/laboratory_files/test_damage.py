"""A file is judged as a whole: where a spreadsheet has changed its numbers, none that may have been changed is
believed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.laboratory_files.damage import DIGITS, Survey
from cli.laboratory_files.refusals import Refusal
from cli.laboratory_files.samples import Sample
from cli.laboratory_files.tables.reader import CsvReader
from cli.samples.model import resident_id
from tests.testkit.builders.laboratory_files import CHINESE, row


def people(count: int, seed: int = 1) -> list[str]:
    """Valid ids as they are given out, none of them ending in 000."""
    rng = random.Random(seed)
    made: list[str] = []
    while len(made) < count:
        birth = f"{rng.randrange(1850, 1910)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
        number = resident_id("430102", birth, rng.randrange(1000))
        if not number.endswith("000"):
            made.append(number)
    return made


def damaged(number: str) -> str:
    """A number as a spreadsheet keeps it: its first 15 digits; one with an X is a text and stays."""
    return number if number.endswith("X") else number[:15] + "000"


def honest(count: int) -> list[str]:
    """Valid ids that do end in 000."""
    made = []
    for year in range(1850, 1910):
        for serial in range(0, 1000, 100):
            number = resident_id("430102", f"{year}0203", serial)
            if number.endswith("000"):
                made.append(number)
    return made[:count]


def read(numbers: list[str], **cells: str) -> list[Sample | Refusal]:
    """The rows of a file of these people."""
    lines = [CHINESE, *(row(id=f"D{place}", number=number, **cells) for place, number in enumerate(numbers))]
    return list(CsvReader(lambda: lines))


def reasons(found: Sample | Refusal) -> list[str]:
    """Returns the reasons of a refusal; none of a row that was taken."""
    return [violation.reason for violation in found.violations] if isinstance(found, Refusal) else []


def test_of_a_damaged_file_no_changed_number_is_believed():
    """Of 198 ids that end in 000, some pass their check digit, as strangers': none is taken, and what to do is said.
    Those that a spreadsheet cannot have changed are taken."""
    true = people(198)
    rows = read([damaged(number) for number in true])
    expected = [[] if number.endswith("X") else ["NUMBER_CHANGED_BY_SPREADSHEET"] for number in true]
    assert expected == [reasons(found) for found in rows]
    assert any(passes_its_check(damaged(number)) for number in true if not number.endswith("X"))
    refused = next(found for found in rows if isinstance(found, Refusal))
    assert "文本格式" in refused.violations[0].text.zh
    assert "formatted as text" in refused.violations[0].text.en


def passes_its_check(number: str) -> bool:
    """Tells if a number passes its check."""
    return not any(reasons(found) for found in read([number]))


@pytest.mark.parametrize("others", [0, 1, 200])
def test_one_honest_number_that_ends_in_000_is_believed(others):
    """By itself or among others."""
    rows = read(honest(1) + people(others))
    assert [] == [why for found in rows for why in reasons(found)]


def test_one_persons_samples_are_one_number():
    """Somebody whose id ends in 000 and who was tested five times damages nothing."""
    assert [[]] * 5 == [reasons(found) for found in read(honest(1) * 5)]


def test_too_many_honest_looking_numbers_are_not_believed():
    """Though each passes its check digit."""
    assert {"NUMBER_CHANGED_BY_SPREADSHEET"} == {why for found in read(honest(4)) for why in reasons(found)}
    rows = read(honest(4) + people(200))
    assert [["NUMBER_CHANGED_BY_SPREADSHEET"]] * 4 + [[]] * 200 == [reasons(found) for found in rows]


def test_as_many_as_chance_brings_are_believed():
    """Of ten thousand people, ten or so."""
    survey = Survey()
    for number in people(10_000) + honest(12):
        survey.see(number)
    assert not survey.damaged


@pytest.mark.parametrize("sign", ["4.30102E+17", "4.3e+17", "4.30102E17", "430102190502030000.0", "430102190502030000"])
def test_one_number_that_was_changed_for_certain_spoils_the_others_that_may_have_been(sign):
    """Scientific notation, or zeros where the check digit says otherwise."""
    rows = read([*honest(1), *people(3), sign])
    changed = ["NUMBER_CHANGED_BY_SPREADSHEET"]
    assert [changed, [], [], [], changed] == [reasons(found) for found in rows]


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("id", "2.02611E+16", "NUMBER_CHANGED_BY_SPREADSHEET"),
        ("id", "2E+16", "NUMBER_CHANGED_BY_SPREADSHEET"),
        ("id", "########", "CELL_HIDDEN"),
        ("id", "#N/A", "CELL_ERROR"),
        ("number", "########", "CELL_HIDDEN"),
        ("type", "####", "CELL_HIDDEN"),
        ("result", "#REF!", "CELL_ERROR"),
        ("tube", "#######", "CELL_HIDDEN"),
    ],
)
def test_what_a_spreadsheet_shows_in_the_place_of_a_value_is_none(column, cell, reason):
    """Sample ids in scientific notation are no ids: many samples would become one."""
    (found,) = CsvReader(lambda: [CHINESE, row(**{column: cell})])
    assert [reason] == reasons(found)


@pytest.mark.parametrize("sample_id", ["#12", "1E5", "12E+3", "E+16", "2.5"])
def test_ids_that_only_look_a_little_like_it_are_ids(sample_id):
    """A plate 1E5 is a plate."""
    (found,) = CsvReader(lambda: [CHINESE, row(id=sample_id)])
    assert [] == reasons(found)


@given(st.lists(st.text(alphabet="0123456789X", min_size=DIGITS, max_size=DIGITS) | st.text(max_size=20), max_size=30))
def test_whatever_stands_in_a_file_can_be_looked_through(numbers):
    """No cell breaks it; and without zeros at an end, or scientific notation, nothing is damaged."""
    survey = Survey()
    for number in numbers:
        survey.see(number)
    if not any("000" in number or "+" in number for number in numbers):
        assert not survey.damaged


def samples(ids: list[str], people_of: list[str]) -> list[list[str]]:
    """The reasons of the rows of a file of these samples of these people."""
    lines = [CHINESE, *(row(id=one, number=number) for one, number in zip(ids, people_of, strict=True))]
    return [reasons(found) for found in CsvReader(lambda: lines)]


def test_samples_that_have_become_one_are_none():
    """Ids of 18 digits that a spreadsheet cut at the 15th stand for many people: none that ends so is an id."""
    true = [f"2208050000{number:08d}" for number in range(7_990, 8_010)]
    cut = [one[:15] + "000" for one in true[:-1]] + ["X-1"]
    assert [["NUMBER_CHANGED_BY_SPREADSHEET"]] * 19 + [[]] == samples(cut, people(20))
    assert [[]] * 20 == samples(true, people(20))


def test_ids_that_all_end_in_zeros_are_ids_where_each_is_somebodys():
    """A laboratory may number so: every id is of one sample, also where two rows share one by a slip."""
    numbered = [f"2208050{number:08d}00" for number in range(40)]
    assert [[]] * 40 == samples(numbered, people(40))
    assert [[]] * 41 == samples([*numbered, numbered[0]], people(41))
