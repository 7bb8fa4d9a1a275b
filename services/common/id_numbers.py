"""Numbers that show by themselves whose they are: resident ids and permanent residents' cards, checked.

GB 11643-1999 (check character by ISO 7064 MOD 11-2) for 15 and 18 characters, of which those of permanent residents
begin with 9 (since 2023); ICAO 9303 for permanent residents' cards before 2023. No error repeats a number.
"""

import re
from datetime import date
from functools import lru_cache
from operator import mul

from services.common.errors import invalid

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_ZEROS = ord("0") * sum(_WEIGHTS)
"""What the digits' character codes weigh more than the digits."""
FOREIGNER = "9"
"""The first digit of a permanent resident's number of 2023; those of residents begin with 1 to 8."""

# [0-9], not \d: the digits of other scripts would give one number two keys.
LEGACY = re.compile(r"[0-9]{15}")
"""A resident id of before 1999."""
EIGHTEEN = re.compile(r"[0-9]{17}[0-9X]")
PERMANENT = re.compile(r"[A-Z]{3}[0-9]{12}")
"""A permanent resident's card before 2023: nationality, place of issue (4), birth (6), order, check digit."""
# The first two digits of GB/T 2260 codes, with those of residence permits (81, 82, 83).
_PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83".split()
)


def check_character(first17: str) -> str:
    """Returns the check character of a resident id (GB 11643-1999, ISO 7064 MOD 11-2) from its first 17 digits."""
    if len(first17) != len(_WEIGHTS):
        raise ValueError("a check character is computed from 17 digits")
    return _CHECK[(sum(map(mul, _WEIGHTS, first17.encode())) - _ZEROS) % 11]


def _weighed(digits: str, start: int) -> int:
    """Returns what digits contribute to the check sum from a position on; -1 unless they are ASCII digits."""
    if not (digits.isascii() and digits.isdigit()):
        return -1
    return sum(map(mul, _WEIGHTS[start:], map(int, digits)))


# A laboratory's file has few divisions and a century of dates: remembered, a number costs three look-ups.
@lru_cache(8192)
def _division(first6: str) -> int:
    return _weighed(first6, 0) if first6[:2] in _PROVINCES else -1


@lru_cache(65536)
def _birth_date(digits: str) -> int:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return -1
    return _weighed(digits, 6)


@lru_cache(1024)
def _order(digits: str) -> int:
    return _weighed(digits, 14)


def is_resident_id(number: str) -> bool:
    """Tells whether a resident id is right as it is; what is wrong with it, if not, is found the long way."""
    if len(number) != 18:
        return False
    division, birth, order = _division(number[:6]), _birth_date(number[6:14]), _order(number[14:17])
    # Negative when one of them is.
    return (division | birth | order) >= 0 and _CHECK[(division + birth + order) % 11] == number[17]


def checked_eighteen(number: str, field: str) -> str:
    """Returns a number of 18 characters, a resident's or a permanent resident's, when it is right. Raises
    InvalidArgument (DOCUMENT_NUMBER_REGION, _BIRTH_DATE, _CHECK)."""
    foreigner = number[0] == FOREIGNER
    if (number[1:3] if foreigner else number[:2]) not in _PROVINCES:
        raise invalid(
            field, "DOCUMENT_NUMBER_REGION", "身份证号码的地区码不存在", "The id's region code does not exist"
        )
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise invalid(
            field, "DOCUMENT_NUMBER_BIRTH_DATE", "身份证号码中的出生日期不存在", "The id's date of birth does not exist"
        ) from None
    if check_character(number[:17]) != number[17]:
        raise invalid(field, "DOCUMENT_NUMBER_CHECK", "身份证号码校验码不符", "The id's check character does not match")
    return number


def from_legacy(number: str) -> str:
    """Returns the 18 characters of a resident id of 15, which lacks the century, always 19, and the check character."""
    first17 = f"{number[:6]}19{number[6:]}"
    return first17 + check_character(first17)


def checked_permanent(number: str, field: str) -> str:
    """Returns a permanent resident's number of before 2023 when it is right, its last digit by the weights 7, 3, 1 of
    ICAO 9303. Raises InvalidArgument (DOCUMENT_NUMBER_REGION, _BIRTH_DATE, _CHECK)."""
    if number[3:5] not in _PROVINCES:
        raise invalid(
            field, "DOCUMENT_NUMBER_REGION", "证件号码的地区码不存在", "The number's region code does not exist"
        )
    if all(_birth_date(f"{century}{number[7:13]}") < 0 for century in ("19", "20")):
        raise invalid(
            field,
            "DOCUMENT_NUMBER_BIRTH_DATE",
            "证件号码中的出生日期不存在",
            "The number's date of birth does not exist",
        )
    # Base 36 gives a letter the value that ICAO 9303 gives it: A is 10.
    if sum(int(character, 36) * (7, 3, 1)[at % 3] for at, character in enumerate(number[:14])) % 10 != int(number[14]):
        raise invalid(field, "DOCUMENT_NUMBER_CHECK", "证件号码校验码不符", "The number's check digit does not match")
    return number
