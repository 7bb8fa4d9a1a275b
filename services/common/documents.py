"""Identity documents: normalised, checked where a check exists, and turned into the key that stands for the holder.

The number itself goes no further than this module's caller: it is never stored, logged or put into an error.
"""

import re
from datetime import date
from hashlib import sha256
from operator import mul

from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject

from services.common.errors import InvalidArgument, Text, Violation

PERSON_KEY_BYTES = 16

_FULL_WIDTH = {0x3000: 0x20} | {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_ZEROS = ord("0") * sum(_WEIGHTS)
"""What the digits' character codes weigh more than the digits."""
_LEGACY = re.compile(r"[0-9]{15}")
_RESIDENT = re.compile(r"[0-9]{17}[0-9X]")
# The first two digits of GB/T 2260 codes, with those of residence permits (81, 82, 83) and of foreigners' cards (9).
_PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 "
    "50 51 52 53 54 61 62 63 64 65 71 81 82 83 91".split()
)

# [0-9], not \d: the digits of other scripts would give one number two keys.
_SHAPES = {
    DocumentType.DOCUMENT_TYPE_PASSPORT: re.compile(r"[A-Z0-9]{5,17}"),
    DocumentType.DOCUMENT_TYPE_HK_MACAO_PERMIT: re.compile(r"[HM]([0-9]{8}|[0-9]{10})"),
    DocumentType.DOCUMENT_TYPE_TAIWAN_PERMIT: re.compile(r"[0-9]{8}|[0-9]{10}"),
    DocumentType.DOCUMENT_TYPE_FOREIGN_PERMANENT_RESIDENT_ID: re.compile(r"[A-Z]{3}[0-9]{12}|9[0-9]{16}[0-9X]"),
}

# The enum looks its members up by name each time; a code is shown in tens of microseconds.
_UNSPECIFIED = DocumentType.DOCUMENT_TYPE_UNSPECIFIED
_RESIDENT_ID = DocumentType.DOCUMENT_TYPE_RESIDENT_ID
_NAMES = {number: name for name, number in DocumentType.items()}


def _refused(field: str, reason: str, zh: str, en: str) -> InvalidArgument:
    return InvalidArgument(Violation(field, reason, Text(zh, en)))


def check_character(first17: str) -> str:
    """The check character of a resident id (GB 11643-1999, ISO 7064 MOD 11-2) from its first 17 digits."""
    if len(first17) != len(_WEIGHTS):
        raise ValueError("a check character is computed from 17 digits")
    return _CHECK[(sum(map(mul, _WEIGHTS, first17.encode())) - _ZEROS) % 11]


def _resident_id(number: str, field: str) -> str:
    if _LEGACY.fullmatch(number):
        # The legacy form leaves out the century, always 19, and the check character.
        number = f"{number[:6]}19{number[6:]}"
        number += check_character(number)
    if not _RESIDENT.fullmatch(number):
        raise _refused(
            field,
            "DOCUMENT_NUMBER_FORMAT",
            "居民身份证号码应为17位数字加1位校验码，或15位旧号码",
            "A resident id has 17 digits and a check character, or the 15 digits of the legacy form",
        )
    if number[:2] not in _PROVINCES:
        raise _refused(
            field, "DOCUMENT_NUMBER_REGION", "身份证号码的地区码不存在", "The id's region code does not exist"
        )
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise _refused(
            field, "DOCUMENT_NUMBER_BIRTH_DATE", "身份证号码中的出生日期不存在", "The id's date of birth does not exist"
        ) from None
    if check_character(number[:17]) != number[17]:
        raise _refused(
            field, "DOCUMENT_NUMBER_CHECK", "身份证号码校验码不符", "The id's check character does not match"
        )
    return number


def normalise(document_type: DocumentType.ValueType, number: str, field: str = "document") -> str:
    """The one form of a document number: half-width, upper case, without blanks, resident ids with 18 characters.

    Raises InvalidArgument naming `field`.type or `field`.number with reasons DOCUMENT_TYPE_REQUIRED,
    DOCUMENT_TYPE_UNKNOWN, DOCUMENT_NUMBER_REQUIRED, _FORMAT, _REGION, _BIRTH_DATE or _CHECK (GB 11643). The error
    never repeats the number.
    """
    if document_type == _UNSPECIFIED:
        raise _refused(f"{field}.type", "DOCUMENT_TYPE_REQUIRED", "须填写证件类型", "The document's type is required")
    if not number.isascii():
        number = number.translate(_FULL_WIDTH)
    compact = "".join(number.split()).upper()
    where = f"{field}.number"
    if not compact:
        raise _refused(where, "DOCUMENT_NUMBER_REQUIRED", "须填写证件号码", "The document's number is required")
    if document_type == _RESIDENT_ID:
        return _resident_id(compact, where)
    shape = _SHAPES.get(document_type)
    if shape is None:
        raise _refused(f"{field}.type", "DOCUMENT_TYPE_UNKNOWN", "证件类型未知", "The document's type is not known")
    if not shape.fullmatch(compact):
        raise _refused(
            where, "DOCUMENT_NUMBER_FORMAT", "证件号码格式不符", "The number does not have the form of its type"
        )
    return compact


class PersonKeys:
    """Turns documents into person keys under the mesh's secret."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("the mesh's secret needs at least 16 bytes")
        # HMAC (RFC 2104) with the key's two blocks hashed once: half the time of hmac.digest.
        block = (sha256(secret).digest() if len(secret) > 64 else secret).ljust(64, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def of(self, document: Document, field: str = "document") -> bytes:
        """The person key of a document: 16 bytes of HMAC-SHA-256. Raises InvalidArgument as `normalise` does."""
        return self.of_number(document.type, document.number, field)

    def of_number(self, document_type: DocumentType.ValueType, number: str, field: str = "document") -> bytes:
        """The same for a document that is not a message."""
        normal = normalise(document_type, number, field)
        inner = self._inner.copy()
        inner.update(f"{_NAMES[document_type]}:{normal}".encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()[:PERSON_KEY_BYTES]

    def of_subject(self, subject: Subject, field: str = "subject") -> bytes:
        """The person key a subject names. Raises InvalidArgument (SUBJECT_REQUIRED, PERSON_KEY_LENGTH, or as `of`)."""
        named = subject.WhichOneof("subject")
        if named == "person_key":
            if len(subject.person_key) != PERSON_KEY_BYTES:
                raise _refused(
                    f"{field}.person_key", "PERSON_KEY_LENGTH", "人员标识应为16字节", "A person key has 16 bytes"
                )
            return subject.person_key
        if named == "document":
            return self.of(subject.document, f"{field}.document")
        raise _refused(field, "SUBJECT_REQUIRED", "须指明人员", "The person is required")
