"""Content encodings: gzip for whoever accepts it, and for bodies that come with it."""

import zlib
from functools import lru_cache

from gateway.http.problems import HttpError
from services.common.errors import Text, invalid

LEAST_BYTES = 1024
"""Answers of more bytes than this go compressed to whoever accepts it."""
MOST_REMEMBERED = 4096
"""So many of the bodies last shown are remembered compressed, about 1 kB each."""

_GZIP = 31
_RAW = -15
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def accepts_gzip(accepted: bytes) -> bool:
    """Tells whether an Accept-Encoding (RFC 9110, 12.5.3) names gzip, and not with a weight of 0."""
    for choice in accepted.split(b","):
        name, _, weight = choice.partition(b";")
        if name.strip().lower() in (b"gzip", b"x-gzip"):
            return weight.replace(b" ", b"").rstrip(b"0") not in (b"q=", b"q=0.")
    return False


def gzipped(start: bytes, kept: bytes) -> bytes:
    """Compresses a body of two parts. What is kept ready is compressed once: the start, which differs from one showing
    to the next, goes before it as a block of its own, not compressed (RFC 1951, 3.2.4)."""
    if not kept:
        return zlib.compress(start, 4, _GZIP)
    length = len(start)
    block = b"\x00" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + start
    checksum = zlib.crc32(kept, zlib.crc32(start))
    trailer = checksum.to_bytes(4, "little") + ((length + len(kept)) & 0xFFFF_FFFF).to_bytes(4, "little")
    return _HEADER + block + _deflated(kept) + trailer


@lru_cache(MOST_REMEMBERED)
def _deflated(kept: bytes) -> bytes:
    return zlib.compress(kept, 6, _RAW)


def decoded(body: bytes, encoding: bytes, most: int) -> bytes:
    """Returns a body of at most `most` bytes as it was before it was encoded. Raises HttpError (BODY_TOO_LARGE,
    CONTENT_ENCODING_UNSUPPORTED) and InvalidArgument (BODY_NOT_GZIP)."""
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name not in (b"gzip", b"x-gzip"):
        raise HttpError(
            415,
            "CONTENT_ENCODING_UNSUPPORTED",
            Text("请求体只可用 gzip 压缩", "A body is compressed by gzip or not at all"),
            ((b"accept-encoding", b"gzip"),),
        )
    inflating = zlib.decompressobj(_GZIP)
    try:
        plain = inflating.decompress(body, most + 1)
    except zlib.error:
        raise _not_gzip() from None
    if len(plain) > most:
        raise too_large()
    if not inflating.eof or inflating.unused_data:
        raise _not_gzip()
    return plain


def too_large() -> HttpError:
    """Returns the error for a body of more than 1 MiB."""
    return HttpError(413, "BODY_TOO_LARGE", Text("请求体不得超过 1 MiB", "A body has at most 1 MiB"))


def _not_gzip() -> Exception:
    return invalid("", "BODY_NOT_GZIP", "请求体不是完整的 gzip 数据", "The body is not one whole gzip stream")
