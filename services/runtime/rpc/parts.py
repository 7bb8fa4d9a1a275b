"""The parts of a message are counted before it is decoded: two bytes of a request can become a hundred in memory."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

MOST_PARTS = 50_000
"""How many fields a request may have, those of its larger parts included: a batch of a thousand has a fiftieth, and one
of a thousand long corrections a quarter."""

SMALL_BYTES = 16 * 1024
"""A message of so few bytes is not looked at: whatever it is made of, it becomes a megabyte at most."""
SMALL_PART_BYTES = 512
"""Nor are parts of a message that are so small: a thousand of them become thirty megabytes at most."""

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_MESSAGES = (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP)


def has_too_many_parts(data: bytes, message: Descriptor) -> bool:
    """Returns whether the bytes of a message have more than MOST_PARTS fields, however deep. What cannot be decoded is
    the decoder's to refuse."""
    if len(data) <= SMALL_BYTES:
        return False
    parts = 0
    waiting: list[tuple[int, int, Descriptor]] = [(0, len(data), message)]
    while waiting:
        at, stop, kind = waiting.pop()
        try:
            while at < stop:
                parts += 1
                if parts > MOST_PARTS:
                    return True
                tag, at = _varint(data, at)
                wire = tag & 7
                if wire == _DELIMITED:
                    length, at = _varint(data, at)
                    if length > SMALL_PART_BYTES:
                        field = kind.fields_by_number.get(tag >> 3)
                        if field is not None and field.type in _MESSAGES and field.message_type is not None:
                            waiting.append((at, min(stop, at + length), field.message_type))
                    at += length
                elif wire == _VARINT:
                    _, at = _varint(data, at)
                elif wire == _FIXED64:
                    at += 8
                elif wire == _FIXED32:
                    at += 4
                # The beginning and the end of a group have nothing but their tag.
        except IndexError:
            # Cut short.
            continue
    return False


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Returns the number that begins there, and where the next thing does. Raises IndexError."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return value, at + 1
        shift += 7
