"""Puts messages together from serialised parts: what a store holds as bytes is parsed once, as part of the answer."""

from collections.abc import Iterable, Mapping
from functools import cache

from hutong.records.v1.change_feed_service_pb2 import Change
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsResponse, LeftOutRecords, PersonRecords

from services.common.instants import to_timestamp
from services.records.domain.selection import LeftOut
from services.records.store.values.feed import ChangeRow


@cache
def _small(number: int) -> bytes:
    return _varint(number)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _size(body: bytes) -> bytes:
    size = len(body)
    return _small(size) if size < 4096 else _varint(size)


def _tag(field: int) -> bytes:
    return bytes([field << 3 | 2])


_PERSON = _tag(BatchListRecordsResponse.PEOPLE_FIELD_NUMBER)
_LABORATORY = _tag(BatchListRecordsResponse.LABORATORIES_FIELD_NUMBER)
_KEY = _tag(PersonRecords.PERSON_KEY_FIELD_NUMBER)
_RECORD = _tag(PersonRecords.RECORDS_FIELD_NUMBER)
_LEFT_OUT = _tag(PersonRecords.LEFT_OUT_FIELD_NUMBER)
_CHANGED = (_tag(Change.RECORD_FIELD_NUMBER), _tag(Change.LABORATORY_FIELD_NUMBER))


def person(person_key: bytes, records: Iterable[bytes], left_out: Mapping[str, LeftOut]) -> bytes:
    """Returns one person of a BatchListRecordsResponse; `left_out` is what was left out, by region."""
    parts = [_KEY, _size(person_key), person_key]
    for record in records:
        parts += (_RECORD, _size(record), record)
    for region, (before, older, at_least) in left_out.items():
        message = LeftOutRecords(
            region=region, before=to_timestamp(before), count=older, at_least=at_least
        ).SerializeToString()
        parts += (_LEFT_OUT, _size(message), message)
    body = b"".join(parts)
    return b"".join((_PERSON, _size(body), body))


def laboratory(body: bytes) -> bytes:
    """Returns one laboratory of a BatchListRecordsResponse, serialised."""
    return b"".join((_LABORATORY, _size(body), body))


def change(row: ChangeRow) -> Change:
    """Returns one change of the feed."""
    number = bytes([Change.SEQUENCE_FIELD_NUMBER << 3]) + _varint(row.sequence)
    return Change.FromString(b"".join((number, _CHANGED[row.is_laboratory], _size(row.body), row.body)))
