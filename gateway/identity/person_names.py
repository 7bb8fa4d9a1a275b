"""The names that a token states of its holder and dependants: the standard claims of OpenID Connect (Core 1.0, 5.1).

`name`, `family_name`, `given_name` and `birthdate` are claims of the token for its holder; for each dependant they
stand in its entry of `dependants`, beside `type` and `number`. A name in other letters than Latin has its Latin form in
`family_name#zh-Latn` and `given_name#zh-Latn` (language tags: Core 1.0, 5.2).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import jwt

from gateway.certificates.names import MOST_LETTERS, passport_letters
from services.common.documents import holds_number
from services.common.person_names import PersonName

LATIN = "#zh-Latn"
_BORN = re.compile(r"(?!0000)\d{4}-\d\d-\d\d", re.ASCII)
_FIRST_BORN = date(1850, 1, 1)


class TokenNames:
    """Reads the names in the value of an Authorization header that was verified, when they are asked for: between
    requests nothing of them is kept."""

    __slots__ = ("_authorization",)

    def __init__(self, authorization: bytes) -> None:
        self._authorization = authorization

    def __call__(self) -> Sequence[PersonName]:
        """Returns the name of the holder, then those of the dependants, in the order of the token."""
        token = self._authorization.split()[-1].decode("ascii")
        return names_of(jwt.decode(token, options={"verify_signature": False}))


def names_of(claims: Mapping[str, Any]) -> Sequence[PersonName]:
    """Returns the names that verified claims state: of the holder, then of a guardian's dependants. A claim that will
    not do counts as one that is missing."""
    dependants = claims.get("dependants") if claims.get("role") == "guardian" else None
    return [_name(claims), *(_name(one) if isinstance(one, dict) else PersonName() for one in dependants or ())]


def _name(claims: Mapping[str, Any]) -> PersonName:
    family, given = (_text(claims.get(claim)) for claim in ("family_name", "given_name"))
    surname, given_name = (
        _latin(_text(claims.get(f"{claim}{LATIN}")) or text)
        for claim, text in (("family_name", family), ("given_name", given))
    )
    if not claims.get("family_name") and not surname:
        # A single name is all of the primary identifier (ICAO 9303, part 3, 4.6).
        surname, given_name = given_name, ""
    written = _text(claims.get("name")) or _joined(family, given)
    lacking = ""
    if not surname:
        lacking = f"family_name{LATIN}" if family else "family_name"
    elif claims.get("family_name") and claims.get("given_name") and not given_name:
        lacking = f"given_name{LATIN}" if given else "given_name"
    return PersonName(written, surname, given_name, _born(claims.get("birthdate")), lacking)


def _text(value: object) -> str:
    """Returns a name in composed form (NFC), with single spaces; nothing for what is none: too long, of other
    characters than a reader sees (controls, marks of writing direction), without a letter, or with a document's number
    in it."""
    if not isinstance(value, str) or len(value) > MOST_LETTERS * 4:
        return ""
    text = unicodedata.normalize("NFC", value)
    # Of the spaces only those that are seen as one: a line's end is a control.
    text = re.sub("[ \u00a0\u3000]+", " ", text).strip(" ")
    seen = text.isprintable() and any(letter.isalpha() for letter in text) and "<" not in text
    return text if seen and len(text) <= MOST_LETTERS and not holds_number(text) else ""


def _latin(text: str) -> str:
    """Returns a name whose every letter a passport can write; nothing for one in another script: to leave letters out
    would make another name of it."""
    letters = passport_letters(text)
    others = (one for one in text if one.isalpha() and not passport_letters(one))
    return text if letters.strip("<") and len(letters) <= MOST_LETTERS and not any(others) else ""


def _joined(family: str, given: str) -> str:
    if _is_han(family) and _is_han(given):
        return family + given
    return " ".join(one for one in (given, family) if one)


def _is_han(text: str) -> bool:
    return bool(text) and all(unicodedata.name(one, "").startswith("CJK") or one == "\u00b7" for one in text)


def _born(value: object) -> date | None:
    """Returns a whole date of birth. A year alone, or a day without its year, which the standard allows, tells none."""
    if not isinstance(value, str) or not _BORN.fullmatch(value):
        return None
    try:
        born = date.fromisoformat(value)
    except ValueError:
        return None
    return born if born >= _FIRST_BORN else None
