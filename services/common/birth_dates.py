"""The date of birth that a document tells. It is used for one answer and kept nowhere."""

import re
from datetime import date

from hutong.common.v1.subject_pb2 import Document, DocumentType

from services.common.documents import normalise

_TELLS = re.compile(r"\d{6}(\d{4})(\d\d)(\d\d)\d{3}[\dX]", re.ASCII)
"""GB 11643, and permanent residents' cards of 2023: eighteen characters, the date of birth from the seventh on."""

# The enum looks its members up by name each time; a code is shown in tens of microseconds.
_RESIDENT_ID = DocumentType.DOCUMENT_TYPE_RESIDENT_ID
_TYPES = frozenset((DocumentType.DOCUMENT_TYPE_RESIDENT_ID, DocumentType.DOCUMENT_TYPE_FOREIGN_PERMANENT_RESIDENT_ID))


def born_text(document: Document) -> str:
    """Returns the date of birth of a document that was admitted, YYYY-MM-DD; empty where it does not tell it."""
    number = document.number
    if document.type == _RESIDENT_ID and len(number) == 18 and number.isascii():
        # The common case, on the way of every code: nothing is left to normalise.
        return f"{number[6:10]}-{number[10:12]}-{number[12:14]}"
    born = date_of_birth(document.type, number)
    return "" if born is None else born.isoformat()


def date_of_birth(document_type: DocumentType.ValueType, number: str) -> date | None:
    """Returns the date of birth; None where the kind of document does not tell it, as passports and permits do not,
    nor the cards of permanent residents before 2023, which leave out the century. Raises InvalidArgument where the
    number is none, as `normalise` does."""
    document = normalise(document_type, number)
    matched = _TELLS.fullmatch(document.number) if document.type in _TYPES else None
    if matched is None:
        return None
    try:
        return date(int(matched[1]), int(matched[2]), int(matched[3]))
    except ValueError:
        return None
