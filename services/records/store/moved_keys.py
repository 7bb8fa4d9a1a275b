"""Keys within what a store keeps serialised, and the ids made of them."""

from hutong.records.v1.record_pb2 import RecordContent

from services.common.documents import PERSON_KEY_BYTES, PersonKeys
from services.records.domain.conflicts import conflict_id_of
from services.records.domain.content import digest

_FIELD = 4 << 3 | 2
"""The tag of the key in a serialised TestRecord; the fields of lesser numbers come before it."""
_VARINT, _BYTES = 0, 2


def _after_varint(body: bytes, at: int) -> int:
    while body[at] & 0x80:
        at += 1
    return at + 1


def key_place(body: bytes) -> int:
    """Returns where the key begins in a serialised TestRecord. Raises ValueError where there is none."""
    at = 0
    try:
        while body[at] != _FIELD:
            kind = body[at] & 7
            begin = at + 1
            at = _after_varint(body, begin)
            if kind == _BYTES:
                length, shift = 0, 0
                for byte in body[begin:at]:
                    length |= (byte & 0x7F) << shift
                    shift += 7
                at += length
            elif kind != _VARINT:
                break
        if body[at] == _FIELD and body[at + 1] == PERSON_KEY_BYTES:
            return at + 2
    except IndexError:
        pass
    raise ValueError("a stored record names no person")


def key_in(body: bytes) -> bytes:
    """Returns the key in a serialised TestRecord. Raises ValueError."""
    at = key_place(body)
    return body[at : at + PERSON_KEY_BYTES]


def with_key(body: bytes, key: bytes) -> bytes:
    """Returns a serialised TestRecord with another key in the place of its own. Raises ValueError."""
    at = key_place(body)
    if body[at : at + PERSON_KEY_BYTES] == key:
        return body
    return body[:at] + key + body[at + PERSON_KEY_BYTES :]


def own_body(keys: PersonKeys, body: bytes) -> bytes:
    """Returns a serialised TestRecord with the key that this process has for its person."""
    return with_key(body, keys.own(key_in(body)))


def conflict_id(region: str, source_id: str, revision: int, reason: str, key: bytes, content: bytes) -> str:
    """Returns the id of a stored conflict whose person has another key by now; `content` is serialised."""
    return conflict_id_of(region, source_id, revision, reason, key, digest(RecordContent.FromString(content)))
