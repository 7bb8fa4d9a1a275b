"""Reading CBOR (RFC 8949) that nobody vouches for yet: its structure is walked before anything is made of it.

The library knows many tags, such as fractions, regular expressions and references, and makes of them what a few bytes
can make large, slow or an error of another kind. A certificate has no use for them: dates and instants, and what wraps
a signed message, are all that it tags.
"""

from typing import Any

import cbor2

DEEPEST = 16
"""More than any certificate or bundle is nested."""
TAGS = frozenset({0, 1, 18, 61, 100, 1004})
"""Instants as text and number, COSE_Sign1, CWT, days by number and as text."""

_INDEFINITE, _BREAK = 31, 0xFF
_BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(2, 8)
_LENGTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_UNREADABLE = (cbor2.CBORDecodeError, ValueError, TypeError, LookupError, ArithmeticError, OSError, RecursionError)


class CborMalformed(ValueError):
    """The refusal of bytes that are not one item of CBOR as certificates have them."""


def read_cbor(data: bytes) -> Any:
    """Returns the item that some bytes are. Raises CborMalformed."""
    if _end_of_item(data, 0, 0) != len(data):
        raise CborMalformed("bytes are left over")
    try:
        return cbor2.loads(data)
    except _UNREADABLE as error:
        raise CborMalformed(type(error).__name__) from None


def _end_of_item(data: bytes, at: int, depth: int) -> int:
    """Returns where an item ends that begins at a place. Raises CborMalformed."""
    if depth > DEEPEST:
        raise CborMalformed("nested too deep")
    kind, size, at = _head(data, at)
    if kind in (_BYTES, _TEXT):
        return _end_of_pieces(data, at, kind) if size is None else _within(data, at + size)
    if kind in (_ARRAY, _MAP):
        each = 2 if kind == _MAP else 1
        if size is None:
            while data[at : at + 1] != bytes([_BREAK]):
                for _ in range(each):
                    at = _end_of_item(data, at, depth + 1)
            return at + 1
        # Each item has a byte at least: a length that the bytes cannot hold is refused before it is counted to.
        _within(data, at + size * each)
        for _ in range(size * each):
            at = _end_of_item(data, at, depth + 1)
        return at
    if kind == _TAG:
        if size not in TAGS:
            raise CborMalformed(f"tag {size}")
        return _end_of_item(data, at, depth + 1)
    return at


def _end_of_pieces(data: bytes, at: int, kind: int) -> int:
    while data[at : at + 1] != bytes([_BREAK]):
        piece, size, at = _head(data, at)
        if piece != kind or size is None:
            raise CborMalformed("a piece of another kind")
        at = _within(data, at + size)
    return at + 1


def _head(data: bytes, at: int) -> tuple[int, int | None, int]:
    """Returns the kind of the item that begins at a place, its number or length, None for one that ends with a break,
    and where its head ends."""
    if at >= len(data):
        raise CborMalformed("cut off")
    kind, more = data[at] >> 5, data[at] & 0x1F
    at += 1
    if more < 24:
        return kind, more, at
    if more == _INDEFINITE:
        if kind not in (_BYTES, _TEXT, _ARRAY, _MAP):
            raise CborMalformed("no item")
        return kind, None, at
    length = _LENGTHS.get(more)
    if length is None:
        raise CborMalformed("a reserved length")
    end = _within(data, at + length)
    return kind, int.from_bytes(data[at:end]), end


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise CborMalformed("cut off")
    return end
