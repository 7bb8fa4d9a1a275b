"""The holder's name on a certificate: who vouches for it, and how it is written in the letters of a passport."""

import re
import unicodedata
from collections.abc import Mapping

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.certificate_pb2 import HolderName

from services.common.errors import FailedPrecondition, Text, Violation
from services.common.person_names import PersonName
from services.common.requests import fields
from services.common.requests.violations import violation

MOST_LETTERS = 80
_SPELT = {
    "Ü": "UE",
    "Æ": "AE",
    "Œ": "OE",
    "Ø": "OE",
    "Þ": "TH",
    "Ð": "D",
    "Đ": "D",
    "Ł": "L",
    "Ħ": "H",
    "Ŧ": "T",
    "Ŋ": "N",
    "\u0131": "I",
    "\u1e9e": "SS",
}
"""Letters that do not come apart into one of A to Z and a mark (ICAO 9303, part 3, section 6, table A)."""
_LETTERS = re.compile(r"[A-Z][A-Z<]*")
_PEOPLE = frozenset((Purpose.PURPOSE_SHOW_CODE, Purpose.PURPOSE_HOLDER_DECISION))


def name_violations(name: HolderName, purpose: Purpose.ValueType) -> list[Violation]:
    """Returns what is wrong with a stated name. Reasons NAME_NOT_TAKEN of people themselves, else NAME_REQUIRED,
    NAME_FORMAT, DOCUMENT_NUMBER_NOT_ALLOWED."""
    if purpose in _PEOPLE:
        if name == HolderName():
            return []
        return violation("name", "NAME_NOT_TAKEN", "本人不能自报姓名", "People do not vouch for their own name")
    if not name.surname:
        return violation("name.surname", "NAME_REQUIRED", "须填写姓（护照字母）", "The surname is required")
    wrong = [
        *(_letters(name.surname, "name.surname")),
        *(_letters(name.given_name, "name.given_name") if name.given_name else ()),
        *fields.no_number(name.written_name, "name.written_name"),
    ]
    if len(name.written_name) > MOST_LETTERS or not name.written_name.isprintable():
        wrong += violation(
            "name.written_name", "NAME_FORMAT", "姓名至多80个可见字符", "A name has at most 80 printable characters"
        )
    return wrong


def _letters(text: str, field: str) -> list[Violation]:
    if len(text) <= MOST_LETTERS and _LETTERS.fullmatch(text):
        return []
    return violation(
        field,
        "NAME_FORMAT",
        "应为护照上的大写字母与 <，至多80个",
        "A name has the letters A to Z and < of a passport, at most 80",
    )


def known_name(names: Mapping[bytes, Text], person: bytes, stated: PersonName | None) -> HolderName:
    """Returns the name of a person: as the sample people have it, else as the caller's token states it. Raises
    FailedPrecondition (HOLDER_NAME_UNKNOWN), which names the claim that lacks."""
    name = names.get(person)
    if name is None:
        if stated is None or stated.lacking:
            claim = stated.lacking if stated is not None else "family_name"
            raise FailedPrecondition(
                "HOLDER_NAME_UNKNOWN",
                f"令牌未给出可用的姓名（声明 {claim}），请由签发方补充，或由地区系统、检测机构申领",
                f"The token states no name that will do (claim {claim}): its issuer states it, or a region's system or "
                "a laboratory asks for the certificate",
            )
        letters = passport_letters(stated.surname), passport_letters(stated.given_name)
        return HolderName(surname=letters[0], given_name=letters[1], written_name=stated.written)
    surname, _, given = name.en.partition(" ")
    return HolderName(surname=passport_letters(surname), given_name=passport_letters(given), written_name=name.zh)


def passport_letters(text: str) -> str:
    """Returns a name of Latin letters as a passport's machine-readable lines have it (ICAO 9303, part 3, section 6), ü
    as UE by rule, other marks left out."""
    plain = "".join(_SPELT.get(letter, letter) for letter in unicodedata.normalize("NFC", text).upper())
    plain = unicodedata.normalize("NFKD", plain).upper()
    return re.sub("[^A-Z<]", "", re.sub(r"[\s-]+", "<", plain.strip()))
