"""Pages: how many items one has, and the token that asks for the next. Reasons: PAGE_SIZE, PAGE_TOKEN.

A token holds the position at which a page ended and a digest of the question it belongs to, so that no other question
continues with it. It is no secret and no proof: whoever makes one up reads only what the same question gives anyway.
"""

import base64
import binascii
from hashlib import blake2b
from typing import TypeVar

import msgspec
from google.protobuf.message import Message

from services.common.errors import InvalidArgument, invalid

DEFAULT_PAGE = 100
MOST_ON_PAGE = 1_000

Position = TypeVar("Position")

_DIGEST_BYTES = 8


class _Token(msgspec.Struct, array_like=True, frozen=True):
    question: bytes
    position: msgspec.Raw


def page_size(asked: int, default: int = DEFAULT_PAGE, most: int = MOST_ON_PAGE) -> int:
    """Returns how many items a page has: 0 stands for the default, and never more than `most`. Raises InvalidArgument
    (PAGE_SIZE) when negative."""
    if asked < 0:
        raise bad_page_size()
    return min(asked or default, most)


def bad_page_size() -> InvalidArgument:
    """The error for a size that is negative, or no number the contract can carry."""
    return invalid("page_size", "PAGE_SIZE", "每页数量超出范围", "The page size is out of range")


def bad_page_token() -> InvalidArgument:
    """The error for a token that is not one of this question's."""
    return invalid("page_token", "PAGE_TOKEN", "分页令牌无效或与请求不符", "The page token is not of this request")


def digest(*parts: object) -> bytes:
    """A digest of what is asked, without the paging. A person goes in as a key, never as a document: a digest of a
    number could be guessed."""
    return blake2b("\0".join(map(repr, parts)).encode(), digest_size=_DIGEST_BYTES).digest()


def digest_of(request: Message) -> bytes:
    """The digest of a request that names no person: of all its fields but `page_size` and `page_token`."""
    question = type(request)()
    question.CopyFrom(request)
    question.ClearField("page_size")
    question.ClearField("page_token")
    return blake2b(question.SerializeToString(deterministic=True), digest_size=_DIGEST_BYTES).digest()


def write_token(question: bytes, position: object) -> str:
    """The token that continues a question after a position. Whatever msgspec encodes may be a position."""
    token = _Token(question, msgspec.Raw(msgspec.msgpack.encode(position)))
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(token)).decode().rstrip("=")


def read_token(token: str, question: bytes, kind: type[Position]) -> Position:
    """The position that a token of this question names. Raises InvalidArgument (PAGE_TOKEN) for any other token."""
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        parts = msgspec.msgpack.decode(packed, type=_Token)
        if parts.question != question:
            raise bad_page_token()
        return msgspec.msgpack.decode(parts.position, type=kind)
    except (binascii.Error, UnicodeError, ValueError, msgspec.DecodeError):
        raise bad_page_token() from None
