"""The identity document among a person's identifiers."""

import re
from typing import NamedTuple

from cli.laboratory_files.codes import DOCUMENTS
from cli.laboratory_files.fhir.json_values import Json, object_of, objects_of, text_of
from cli.laboratory_files.words import is_document_type

# The lower, the rather: what is no longer in use counts only where nothing else is there.
_USES = {"official": 0, "usual": 1, "": 1, "secondary": 2, "temp": 3, "old": 4}
_PASSPORT = re.compile(r"http://hl7\.org/fhir/sid/passport-[A-Z]{3}")
_V2_TABLE_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"


class Identity(NamedTuple):
    """A document's type and number as texts, either of them empty when it is not known. `other_types` are those of the
    identifiers that are no documents."""

    type: str
    number: str
    other_types: tuple[str, ...] = ()


NOBODY = Identity("", "")
AMBIGUOUS = Identity("AMBIGUOUS", "")
"""A reference that means two people means nobody."""


def identity_of(identifiers: list[Json]) -> Identity:
    """Returns the identifier that is an identity document, the official one first and one out of use last; an
    identifier without a type where there is no other."""
    documents: list[tuple[int, int, Identity]] = []
    others: list[str] = []
    untyped = NOBODY
    for place, identifier in enumerate(identifiers):
        number = text_of(identifier.get("value"))
        kind = _document_type(identifier)
        if kind and number:
            use = _USES.get(text_of(identifier.get("use")), 1)
            documents.append((use, place, Identity(kind, number)))
        elif identifier.get("type") or identifier.get("system"):
            others.append(_name(identifier))
        elif number and untyped == NOBODY:
            untyped = Identity("", number)
    if documents:
        return min(documents)[2]
    return untyped._replace(other_types=tuple(other for other in others if other))


def _document_type(identifier: Json) -> str:
    concept = object_of(identifier.get("type"))
    for coding in objects_of(concept.get("coding")):
        system = text_of(coding.get("system"))
        if system in ("", _V2_TABLE_0203) and (known := DOCUMENTS.get(text_of(coding.get("code")))):
            return known
    words = [text_of(concept.get("text")), *(text_of(c.get("display")) for c in objects_of(concept.get("coding")))]
    if _PASSPORT.fullmatch(text_of(identifier.get("system"))):
        return "PASSPORT"
    return next((word for word in words if word and is_document_type(word)), "")


def _name(identifier: Json) -> str:
    concept = object_of(identifier.get("type"))
    codes = [text_of(coding.get("code")) for coding in objects_of(concept.get("coding"))]
    return next((name for name in (*codes, text_of(concept.get("text"))) if name), "")
