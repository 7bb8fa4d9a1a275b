"""When a person turns an age, and which documents tell the date of birth."""

from datetime import date

import pytest
from hutong.common.v1.subject_pb2 import DocumentType

from services.common.birth_dates import date_of_birth
from services.common.id_numbers import check_character
from services.common.instants import format_rfc3339
from services.verdict.domain.rules.exemptions import turns


@pytest.mark.parametrize(
    ("born", "age", "expected"),
    [
        (date(2019, 5, 31), 3, "2022-05-31T00:00:00+08:00"),
        (date(2016, 2, 29), 6, "2022-03-01T00:00:00+08:00"),
        (date(2016, 2, 29), 4, "2020-02-29T00:00:00+08:00"),
        (date(2019, 1, 1), 1, "2020-01-01T00:00:00+08:00"),
    ],
)
def test_a_person_turns_an_age_when_the_day_begins(born: date, age: int, expected: str):
    """In UTC+8; where there is no 29 February, on 1 March."""
    instant = turns(born, age)
    assert instant is not None
    assert format_rfc3339(instant) == expected


def test_after_the_calendar_nobody_turns_an_age():
    """The year 10000 cannot be written."""
    assert turns(date(9999, 1, 1), 1) is None


def _with_check(first17: str) -> str:
    return first17 + check_character(first17)


@pytest.mark.parametrize(
    ("document_type", "number", "expected"),
    [
        (DocumentType.DOCUMENT_TYPE_RESIDENT_ID, _with_check("31010120190531002"), date(2019, 5, 31)),
        (DocumentType.DOCUMENT_TYPE_RESIDENT_ID, _with_check("81000020200229002").lower(), date(2020, 2, 29)),
        (DocumentType.DOCUMENT_TYPE_RESIDENT_ID, "310101490531002", date(1949, 5, 31)),
        (
            DocumentType.DOCUMENT_TYPE_FOREIGN_PERMANENT_RESIDENT_ID,
            _with_check("91108419810503001"),
            date(1981, 5, 3),
        ),
        (DocumentType.DOCUMENT_TYPE_PASSPORT, "E12345678", None),
        (DocumentType.DOCUMENT_TYPE_HK_MACAO_PERMIT, "H12345678", None),
    ],
)
def test_some_documents_tell_the_date_of_birth(document_type, number: str, expected: date | None):
    """Resident ids of every form, and permanent residents' cards of 2023; passports and permits do not."""
    assert date_of_birth(document_type, number) == expected
