"""Decodes bodies of JSON, and says what is wrong with one."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from services.common.errors import InvalidArgument, invalid

Body = TypeVar("Body", bound=msgspec.Struct)

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*?)`(?: - at `|$)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]{1,40}")
_KINDS = re.compile(r"Expected `([a-z |]+)`, got `([a-z]+)`")


class Decoder(Generic[Body]):
    """Decodes one kind of body. `fields` counts those that a decoded body is known to have named: one that has no more
    colons than that names none twice. Any other is looked through for names that are there twice."""

    def __init__(self, kind: type[Body], fields: Callable[[Body], int] = lambda body: -1) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._fields = fields

    def __call__(self, body: bytes) -> Body:
        """Decodes a body. Raises InvalidArgument with one violation: JSON_MALFORMED, UNKNOWN_FIELD, WRONG_TYPE or
        DUPLICATE_FIELD."""
        try:
            decoded = self._decode(body)
        except msgspec.ValidationError as error:
            raise _refused(str(error)) from None
        except (ValueError, RecursionError):
            raise invalid("", "JSON_MALFORMED", "请求体不是有效的 JSON", "The body is not valid JSON") from None
        if body.count(b":") != self._fields(decoded):
            json.loads(body, object_pairs_hook=_unique)
        return decoded


def _unique(fields: Sequence[tuple[str, object]]) -> None:
    """Refuses an object that names a field twice: which of the two was meant, no two decoders agree on."""
    names = [name for name, _ in fields]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise invalid(twice, "DUPLICATE_FIELD", "字段重复", "The field is there more than once")


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
