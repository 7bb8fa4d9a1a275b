"""The unique certificate identifier, UVCI (eHealth Network, interoperability guidelines, annex 2)."""

import re

# Option 3 of the guidelines, the issuing region being a block; the check character is ISO/IEC 7812-1 over these.
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/:"
_OURS = re.compile(r"URN:UVCI:01:CN:([0-9]{6})/([A-Z0-9]+)#(.)")


def certificate_identifier(region: str, number: str) -> str:
    """Returns the identifier of a region's certificate. `number` is capital letters and digits, and no person's."""
    body = f"URN:UVCI:01:CN:{region}/{number}"
    return f"{body}#{_check_character(body)}"


def region_of_identifier(identifier: str) -> str:
    """Returns the region whose certificate an identifier names; empty for another country's or a wrong check."""
    match = _OURS.fullmatch(identifier)
    return match[1] if match and _check_character(identifier[:-2]) == match[3] else ""


def _check_character(body: str) -> str:
    total, size = 0, len(_ALPHABET)
    for position, character in enumerate(reversed(body)):
        product = _ALPHABET.index(character) * (2 if position % 2 == 0 else 1)
        total += product // size + product % size
    return _ALPHABET[-total % size]
