"""New records as PostgreSQL's binary COPY format, half the price of handing tuples to the driver.

The format: a signature, then each row as its number of fields and each field as its length and bytes, big endian, then
a trailer (https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format").
"""

from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from struct import Struct

from services.common.instants import Instant
from services.records.domain.content import stamp
from services.records.domain.revisions import FirstRevision, always_given

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
AT_ONCE = 500
"""Rows in one piece: the event loop gets its turn between them, the database its work."""

_LENGTHS = [n.to_bytes(4, "big") for n in range(1 << 15)]
_IDENTITY = (3).to_bytes(2, "big")
_REVISION = (14).to_bytes(2, "big")
_SIXTEEN = _LENGTHS[16]
# revision, sequence, recorded_at, placed_at, retracted.
_numbers = Struct("!iiiqiqiqi?").pack
# latest_at, weight, always_given.
_weighed = Struct("!iqihi?").pack


@lru_cache(1024)
def _text(value: str) -> bytes:
    data = value.encode()
    return _LENGTHS[len(data)] + data


async def identities(claimed: Sequence[tuple[str, str, bytes]]) -> AsyncIterator[bytes]:
    """Rows of `identity`: region, source_id, person_key of 16 bytes."""
    yield _SIGNATURE
    for start in range(0, len(claimed), AT_ONCE):
        pieces: list[bytes] = []
        for region, source_id, key in claimed[start : start + AT_ONCE]:
            name = source_id.encode()
            pieces += (_IDENTITY, _text(region), _LENGTHS[len(name)], name, _SIXTEEN, key)
        yield b"".join(pieces)
    yield _TRAILER


async def first_revisions(
    firsts: Sequence[FirstRevision], after: int, recorded_at: Instant, written_by: str
) -> AsyncIterator[bytes]:
    """Rows of `revision` in the order of its columns, numbered from `after` + 1 and stamped with their commit."""
    suffix = stamp(recorded_at, written_by)
    yield _SIGNATURE
    for start in range(0, len(firsts), AT_ONCE):
        pieces: list[bytes] = []
        rows = firsts[start : start + AT_ONCE]
        for sequence, first in enumerate(rows, after + start + 1):
            region, source_id, key, placed_at, latest_at, weight, laboratory, digest, body, origin = first
            name = source_id.encode()
            pieces += (
                _REVISION,
                _SIXTEEN,
                key,
                _text(region),
                _LENGTHS[len(name)],
                name,
                _numbers(4, 1, 8, sequence, 8, recorded_at, 8, placed_at, 1, False),
                _text(laboratory),
                _SIXTEEN,
                digest,
                _LENGTHS[len(body) + len(suffix)],
                body,
                suffix,
                _weighed(8, latest_at, 2, weight, 1, always_given(weight, origin)),
            )
        yield b"".join(pieces)
    yield _TRAILER
