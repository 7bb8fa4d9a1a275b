"""The tokens by which the next page is asked for."""

import base64
import binascii
from typing import TypeVar

import msgspec

from services.common.requests.limits import bad_page_token

T = TypeVar("T", bound=msgspec.Struct)


def encode(position: msgspec.Struct) -> str:
    """The token of a position."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).decode().rstrip("=")


def decode(token: str, kind: type[T]) -> T:
    """The position of a token. Raises InvalidArgument (PAGE_TOKEN) for one this service did not make."""
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(packed, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise bad_page_token() from None
