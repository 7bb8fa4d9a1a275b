"""Pages: their size, and the tokens by which the next one is asked for."""

import base64
import binascii
from typing import TypeVar

import msgspec

from services.common.errors import InvalidArgument, invalid

T = TypeVar("T", bound=msgspec.Struct)

DEFAULT_PAGE = 100
MOST_ON_PAGE = 1_000


def size(asked: int, default: int = DEFAULT_PAGE, most: int = MOST_ON_PAGE) -> int:
    """How many to return. Raises InvalidArgument (PAGE_SIZE) when negative."""
    if asked < 0:
        raise invalid("page_size", "PAGE_SIZE", "每页数量不能为负", "A page's size is not negative")
    return min(asked or default, most)


def encode(position: msgspec.Struct) -> str:
    """The token of a position."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).decode().rstrip("=")


def decode(token: str, kind: type[T]) -> T:
    """The position of a token. Raises InvalidArgument (PAGE_TOKEN) for one this service did not make."""
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(packed, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise bad_token() from None


def bad_token() -> InvalidArgument:
    """The token is not one of this question's."""
    return invalid("page_token", "PAGE_TOKEN", "分页令牌无效或与请求不符", "The page token is not of this request")
