"""Identity documents: normalised, checked where a check exists, and turned into the key that stands for the holder.

One holder has one key, however the document was typed: a number that shows by itself what it is (a resident id, a
permanent resident's card) counts as that whichever type was chosen, and a permit's count of renewals is left out.

The number itself goes no further than this module's caller: it is never stored, logged or put into an error.
"""

import hmac
import re
from typing import NamedTuple
from unicodedata import decimal, normalize

from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject

from services.common.errors import InvalidArgument, invalid
from services.common.id_numbers import (
    EIGHTEEN,
    FOREIGNER,
    LEGACY,
    PERMANENT,
    checked_eighteen,
    checked_permanent,
    from_legacy,
    is_resident_id,
)
from services.common.mesh_secret import SEALED_BYTES, MeshSecret, Seal, parse_mesh_secret

PERSON_KEY_BYTES = 1 + SEALED_BYTES
_NOBODY = 0
"""The version of keys that are nobody's: of questions that are asked for what else the answer says."""

# The enum looks its members up by name each time; a code is shown in tens of microseconds.
_UNSPECIFIED = DocumentType.DOCUMENT_TYPE_UNSPECIFIED
_RESIDENT_ID = DocumentType.DOCUMENT_TYPE_RESIDENT_ID
_PASSPORT = DocumentType.DOCUMENT_TYPE_PASSPORT
_HK_MACAO_PERMIT = DocumentType.DOCUMENT_TYPE_HK_MACAO_PERMIT
_TAIWAN_PERMIT = DocumentType.DOCUMENT_TYPE_TAIWAN_PERMIT
_PERMANENT_RESIDENT_ID = DocumentType.DOCUMENT_TYPE_FOREIGN_PERMANENT_RESIDENT_ID
_NAMES = {number: name for name, number in DocumentType.items()}

CHINESE_NAMES = {
    "居民身份证": _RESIDENT_ID,
    "身份证": _RESIDENT_ID,
    "第二代居民身份证": _RESIDENT_ID,
    "二代身份证": _RESIDENT_ID,
    "港澳台居民居住证": _RESIDENT_ID,
    "港澳居民居住证": _RESIDENT_ID,
    "台湾居民居住证": _RESIDENT_ID,
    "居住证": _RESIDENT_ID,
    "护照": _PASSPORT,
    "外国护照": _PASSPORT,
    "中国护照": _PASSPORT,
    "普通护照": _PASSPORT,
    "港澳居民来往内地通行证": _HK_MACAO_PERMIT,
    "港澳居民通行证": _HK_MACAO_PERMIT,
    "港澳来往内地通行证": _HK_MACAO_PERMIT,
    "回乡证": _HK_MACAO_PERMIT,
    "回乡卡": _HK_MACAO_PERMIT,
    "台湾居民来往大陆通行证": _TAIWAN_PERMIT,
    "台湾居民通行证": _TAIWAN_PERMIT,
    "台胞证": _TAIWAN_PERMIT,
    "外国人永久居留身份证": _PERMANENT_RESIDENT_ID,
    "外国人永久居留证": _PERMANENT_RESIDENT_ID,
    "永久居留身份证": _PERMANENT_RESIDENT_ID,
    "永居证": _PERMANENT_RESIDENT_ID,
    "五星卡": _PERMANENT_RESIDENT_ID,
}
"""The types by the names that people write, the official one of each and those of every day."""

_FULL_WIDTH = {0x3000: 0x20} | {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}

_PERMIT_MARK = re.compile(r"\(B\)$")
"""What people write behind the number of a permit for a single or for five years."""
_PASSPORT_FORM = re.compile(r"[A-Z0-9]{5,17}")
# The number stays with its holder, and the two digits behind it count renewals.
_PERMITS = {
    _HK_MACAO_PERMIT: re.compile(r"([HM][0-9]{8})(?:[0-9]{2})?"),
    _TAIWAN_PERMIT: re.compile(r"([0-9]{8})(?:[0-9]{2})?"),
}
_WRITTEN_NUMBER = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")
_HIDDEN_NUMBER = re.compile(r"(?=([0-9]{17}[0-9X]))")
_SEPARATORS = str.maketrans("", "", "-./_:")
_SHORTEST_TELLING = 8
"""Shorter numbers occur within other ids by chance."""


class NormalDocument(NamedTuple):
    """A document in its one form: what its number shows it to be, and the number."""

    type: DocumentType.ValueType
    number: str


def _eighteen(number: str, field: str) -> NormalDocument:
    kind = _PERMANENT_RESIDENT_ID if number.startswith(FOREIGNER) else _RESIDENT_ID
    return NormalDocument(kind, checked_eighteen(number, field))


def _shown_by_number(number: str) -> NormalDocument | None:
    """Returns what a number typed as a passport's is beyond doubt; None when it may well be a passport's."""
    try:
        if LEGACY.fullmatch(number):
            return _eighteen(from_legacy(number), "")
        if PERMANENT.fullmatch(number):
            return NormalDocument(_PERMANENT_RESIDENT_ID, checked_permanent(number, ""))
    except InvalidArgument:
        pass
    return None


def _by_type(document_type: DocumentType.ValueType, number: str, field: str) -> NormalDocument | None:
    """Returns the document of a number of fewer than 18 characters; None when it lacks its type's form."""
    if document_type == _PASSPORT:
        if _PASSPORT_FORM.fullmatch(number):
            return _shown_by_number(number) or NormalDocument(_PASSPORT, number)
        return None
    form = _PERMITS.get(document_type)
    if form is not None:
        match = form.fullmatch(_PERMIT_MARK.sub("", number))
        return None if match is None else NormalDocument(document_type, match[1])
    if PERMANENT.fullmatch(number):
        return NormalDocument(_PERMANENT_RESIDENT_ID, checked_permanent(number, field))
    if document_type == _RESIDENT_ID and LEGACY.fullmatch(number):
        return _eighteen(from_legacy(number), field)
    return None


def compact(number: str) -> str:
    """Returns a number as it is compared: half-width, upper case, without blanks."""
    if not number.isascii():
        number = number.translate(_FULL_WIDTH)
    return "".join(number.split()).upper()


def normalise(document_type: DocumentType.ValueType, number: str, field: str = "document") -> NormalDocument:
    """Returns the one form of a document: half-width, upper case, without blanks, resident ids with 18 characters,
    permits without their count of renewals, and the type that the number shows.

    Raises InvalidArgument naming `field`.type or `field`.number with reasons DOCUMENT_TYPE_REQUIRED,
    DOCUMENT_TYPE_UNKNOWN, DOCUMENT_NUMBER_REQUIRED, _FORMAT, _REGION, _BIRTH_DATE or _CHECK (GB 11643; ICAO 9303 for
    permanent residents' cards before 2023). The error never repeats the number.
    """
    if document_type == _RESIDENT_ID and is_resident_id(number):
        return NormalDocument(_RESIDENT_ID, number)
    if document_type == _UNSPECIFIED:
        raise invalid(f"{field}.type", "DOCUMENT_TYPE_REQUIRED", "须填写证件类型", "The document's type is required")
    where = f"{field}.number"
    number = compact(number)
    if not number:
        raise invalid(where, "DOCUMENT_NUMBER_REQUIRED", "须填写证件号码", "The document's number is required")
    if document_type not in _NAMES:
        raise invalid(f"{field}.type", "DOCUMENT_TYPE_UNKNOWN", "证件类型未知", "The document's type is not known")
    if EIGHTEEN.fullmatch(number):
        return _eighteen(number, where)
    document = _by_type(document_type, number, where)
    if document is not None:
        return document
    if document_type == _RESIDENT_ID:
        raise invalid(
            where,
            "DOCUMENT_NUMBER_FORMAT",
            "居民身份证号码应为17位数字加1位校验码，或15位旧号码",
            "A resident id has 17 digits and a check character, or the 15 digits of the legacy form",
        )
    raise invalid(where, "DOCUMENT_NUMBER_FORMAT", "证件号码格式不符", "The number does not have the form of its type")


def holds_number(text: str) -> bool:
    """Tells whether a resident id or a permanent resident's number (GB 11643) stands anywhere in a text, whole or cut
    by blanks."""
    if len(text) < 18:
        return False
    half_width = text.translate(_FULL_WIDTH).upper()
    # Digits before a blank are another number as often as a part of this one.
    return any(
        _is_eighteen(match[0])
        for written in dict.fromkeys((half_width, compact(text)))
        for match in _WRITTEN_NUMBER.finditer(written)
    )


def may_hide_number(text: str) -> bool:
    """Tells whether such a number can be read out of a text at all: also amid other digits, in digits of any script,
    cut in pieces by whatever is no letter. For names, traces and what an error would repeat, where a text that is
    refused by chance costs nothing; for what people enter there is `holds_number`."""
    if len(text) < 18:
        return False
    written = "".join(
        str(decimal(character)) if character.isdecimal() else character
        for character in normalize("NFKC", text).upper()
        if character.isalnum()
    )
    return any(_is_eighteen(match[1]) for match in _HIDDEN_NUMBER.finditer(written))


def _is_eighteen(number: str) -> bool:
    try:
        checked_eighteen(number, "")
    except InvalidArgument:
        return False
    return True


def holds_number_of(document: Document, text: str) -> bool:
    """Tells whether this document's own number stands in a text, as it was typed or in its one form, or cut in pieces
    by hyphens, points or strokes."""
    written = compact(text)
    joined = written.translate(_SEPARATORS)
    numbers = {compact(document.number)}
    try:
        numbers.add(normalise(document.type, document.number).number)
    except InvalidArgument:
        pass
    return any(
        number and (number == written or (len(number) >= _SHORTEST_TELLING and (number in written or number in joined)))
        for number in numbers
    )


class PersonKeys:
    """Turns documents into person keys under the mesh's secret, and keys of its other versions into those of one.

    An object keeps to the version that was current when it was made, its own, for as long as it lives: within a process
    there is one. The secret that it understands may be renewed meanwhile, and what it says to others is said under the
    version that is current by then."""

    def __init__(self, text: bytes) -> None:
        """`text` is what parse_mesh_secret reads. Raises MeshSecretError."""
        secret = parse_mesh_secret(text.decode())
        # Copied for each document: the key is hashed once.
        self._hmac = hmac.new(secret.root, digestmod="sha256")
        self._resident = self._hmac.copy()
        self._resident.update(f"{_NAMES[_RESIDENT_ID]}:".encode())
        self._own = {secret.current: Seal(secret.versions[secret.current])}
        self._seal = self._own[secret.current].seal
        self._version = bytes([secret.current])
        self._seals: dict[int, Seal] = {}
        self._accepted = frozenset(secret.versions)
        self._current = secret.current
        # No number is None, not even one that is missing.
        self._latest: tuple[int, str | None, bytes] = (_UNSPECIFIED, None, b"")
        self.renew(secret)

    def renew(self, secret: MeshSecret) -> None:
        """Goes by a secret of the same root from now on. Of what comes in it takes keys of no other versions; for a
        store that still has some, it forgets none that it has known."""
        self._seals = self._seals | {version: Seal(value) for version, value in secret.versions.items()} | self._own
        self._accepted = frozenset(secret.versions)
        self._current = secret.current

    @property
    def version(self) -> int:
        """The version that keys are made under, its own."""
        return self._version[0]

    @property
    def current(self) -> int:
        """The version that others are told keys under."""
        return self._current

    @property
    def versions(self) -> list[int]:
        """The versions that are known, ascending."""
        return sorted(self._seals)

    @property
    def one_version(self) -> bool:
        """Tells that no key of another version than its own can be met: nothing needs to be looked at."""
        return len(self._seals) == 1

    def of(self, document: Document, field: str = "document") -> bytes:
        """Returns the key of a document's holder: 16 bytes, the first its version. Raises InvalidArgument as
        `normalise`."""
        kind, number = document.type, document.number
        # Of one call the guard, the admission and the trail ask, one after the other: it costs more than all they do.
        if number == self._latest[1] and kind == self._latest[0]:
            return self._latest[2]
        key = self.of_number(kind, number, field)
        self._latest = (kind, number, key)
        return key

    def under_every_version(self, key: bytes) -> list[bytes]:
        """Returns the keys of the person whose key this is, under every version of the secret that is known here.
        Raises as `own`."""
        if len(key) != PERSON_KEY_BYTES or key[0] == _NOBODY:
            return [key]
        value = self._seals[self._version[0]].open(self.own(key)[1:])
        return [bytes([version]) + seal.seal(value) for version, seal in self._seals.items()]

    def under(self, version: int, key: bytes) -> bytes:
        """Returns the key, under a version, of the person whose key this is. Raises InvalidArgument
        (PERSON_KEY_VERSION) when one of the two versions is not understood."""
        if key[:1] == bytes([version]) or len(key) != PERSON_KEY_BYTES or key[0] == _NOBODY:
            return key
        seal, other = self._seals.get(key[0]), self._seals.get(version)
        if seal is None or other is None:
            raise _unknown_version()
        return bytes([version]) + other.seal(seal.open(key[1:]))

    def told(self, key: bytes) -> bytes:
        """Returns the key that others are told of the person whose key this is. Raises as `under`."""
        return self.under(self._current, key)

    def of_number(self, document_type: DocumentType.ValueType, number: str, field: str = "document") -> bytes:
        """Returns the person key of a document that is not a message. Raises as `of`."""
        if document_type == _RESIDENT_ID and is_resident_id(number):
            # Nearly every document: it is its own one form.
            keyed = self._resident.copy()
            keyed.update(number.encode())
        else:
            shown, normal = normalise(document_type, number, field)
            keyed = self._hmac.copy()
            keyed.update(f"{_NAMES[shown]}:{normal}".encode())
        return self._version + self._seal(keyed.digest()[:SEALED_BYTES])

    def own(self, key: bytes) -> bytes:
        """Returns the key, under the version that keys are made under here, of the person whose key this is. Raises
        InvalidArgument (PERSON_KEY_VERSION) for a version that is not understood."""
        return self.under(self._version[0], key)

    def received(self, key: bytes) -> bytes:
        """Returns the same of a key that came in from outside. Raises as `own`, also for a version that was taken
        away."""
        if len(key) == PERSON_KEY_BYTES and key[0] != _NOBODY and key[0] not in self._accepted:
            raise _unknown_version()
        return self.own(key)

    def of_subject(self, subject: Subject, field: str = "subject") -> bytes:
        """Returns the person key that a subject names. Raises InvalidArgument (SUBJECT_REQUIRED, PERSON_KEY_LENGTH, or
        as `of`)."""
        named = subject.WhichOneof("subject")
        if named == "person_key":
            if len(subject.person_key) != PERSON_KEY_BYTES:
                raise invalid(
                    f"{field}.person_key", "PERSON_KEY_LENGTH", "人员标识应为16字节", "A person key has 16 bytes"
                )
            return subject.person_key
        if named == "document":
            return self.of(subject.document, f"{field}.document")
        raise invalid(field, "SUBJECT_REQUIRED", "须指明人员", "The person is required")


def _unknown_version() -> InvalidArgument:
    return invalid(
        "person_key",
        "PERSON_KEY_VERSION",
        "人员标识的密钥版本未知",
        "The person key was made under a version of the mesh's secret that is not known here",
    )
