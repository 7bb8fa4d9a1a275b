"""Decodes bodies of JSON, and says what is wrong with one."""

import re
from typing import Generic, TypeVar

import msgspec

from services.common.errors import InvalidArgument, invalid

Body = TypeVar("Body", bound=msgspec.Struct)

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*?)`(?: - at `|$)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]{1,40}")
_KINDS = re.compile(r"Expected `([a-z |]+)`, got `([a-z]+)`")


class Decoder(Generic[Body]):
    """Decodes one kind of body."""

    def __init__(self, kind: type[Body]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def __call__(self, body: bytes) -> Body:
        """Decodes a body. Raises InvalidArgument with one violation: JSON_MALFORMED, UNKNOWN_FIELD or WRONG_TYPE."""
        try:
            return self._decode(body)
        except msgspec.ValidationError as error:
            raise _refused(str(error)) from None
        except (ValueError, RecursionError):
            raise invalid("", "JSON_MALFORMED", "请求体不是有效的 JSON", "The body is not valid JSON") from None


def _refused(message: str) -> InvalidArgument:
    place = _PLACE.search(message)
    field = place[1] if place else ""
    unknown = _UNKNOWN_FIELD.fullmatch(message[: place.start()] if place else message)
    if unknown:
        # Anything may have been sent as a name, a document number too; it is repeated only when it looks like a name.
        name = unknown[1] if _NAME.fullmatch(unknown[1]) else "?"
        return invalid(f"{field}.{name}".lstrip("."), "UNKNOWN_FIELD", "没有这个字段", "There is no such field")
    kinds = _KINDS.search(message)
    expected, got = (kinds[1], kinds[2]) if kinds else ("another type", "this")
    return invalid(field, "WRONG_TYPE", f"类型应为 {expected}，而不是 {got}", f"Expected {expected}, not {got}")
