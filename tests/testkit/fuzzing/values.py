"""Values for fuzzing: numbers that must turn up nowhere, and strategies for messages and JSON, by description."""

import random
import string
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose
from hypothesis import strategies as st

from services.common.id_numbers import check_character
from services.common.regions import divisions

DEPTH = 6
"""So deep messages nest at the most."""


def _resident(source: random.Random) -> str:
    region = source.choice(["110101", "310104", "430102", "440106"])
    born = f"19{source.randint(30, 99)}{source.randint(1, 12):02}{source.randint(1, 28):02}"
    first = f"{region}{born}{source.randint(0, 999):03}"
    return first + check_character(first)


_SOURCE = random.Random(20221207)
RESIDENTS = [_resident(_SOURCE) for _ in range(40)]
PASSPORTS = [f"E{_SOURCE.randint(10_000_000, 99_999_999)}" for _ in range(20)]
NUMBERS = (*RESIDENTS, *PASSPORTS)
"""Valid numbers that are asked about; a resident's is put into every other field too."""

_ON_THE_MESH = ("110000", "210000", "310000", "430000", "440000", "420000")
_REGIONS = (*divisions(), "nation", "999999", "11", "")
_TEXTS = st.one_of(
    st.sampled_from(["", "x", "0", "a" * 300, "é\x00\x1f", "' or 1=1 --", "../../etc/passwd", "\U0001f600" * 3]),
    st.sampled_from(RESIDENTS),
    st.uuids().map(str),
    st.text(string.printable, max_size=40),
    st.text(max_size=20),
)
_BYTES = st.one_of(st.just(b""), st.binary(min_size=16, max_size=16), st.binary(max_size=40))
_WHOLE = (0, 1, -1, 2, 7, 100, 1_000, 1_001, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63))
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_INSTANTS = st.tuples(
    st.sampled_from([0, 1_660_000_000, 1_795_000_000, -62_135_596_800, 253_402_300_799, 2**60, -(2**60)]),
    st.sampled_from([0, 1, 999_999_999, -1, 10**9]),
)


def _text(name: str) -> st.SearchStrategy[str]:
    if "region" in name:
        return st.one_of(st.sampled_from(_REGIONS), _TEXTS)
    if name == "number":
        return st.one_of(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), _TEXTS)
    return _TEXTS


def _scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return _BYTES if field.type == FieldDescriptor.TYPE_BYTES else _text(field.name).map(_encodable)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        known = [value.number for value in field.enum_type.values] if field.enum_type else [0]
        return st.one_of(st.sampled_from(known), st.sampled_from(known), st.sampled_from([-1, 77, 2**31 - 1]))
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return st.floats()
    least, most = _RANGES[kind]
    return st.one_of(st.sampled_from([one for one in _WHOLE if least <= one <= most]), st.integers(least, most))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def messages(kind: type[Message], purposes: Sequence[str] = ()) -> st.SearchStrategy[Message]:
    """Returns a strategy for messages of a kind. Of half of them each field is there or not, and right or not; the
    others are such as a caller sends, and get further. `purposes` are those that the method may be called for."""
    anything, plausible = (_filler(kind.DESCRIPTOR, DEPTH, scalar) for scalar in (_scalar, _plausible))
    stated = st.sampled_from([Purpose.Value(f"PURPOSE_{name}") for name in purposes or ["UNSPECIFIED"]])

    @st.composite
    def message(draw: st.DrawFn) -> Message:
        made = kind()
        if draw(st.booleans()):
            anything(draw, made)
        else:
            plausible(draw, made)
            if purposes:
                cast(Any, made).purpose = draw(stated)
        return made

    return message()


def _plausible(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kind, name = field.cpp_type, field.name
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return _KEYS if "person_key" in name else st.just(b"")
        if "region" in name:
            return st.sampled_from(_ON_THE_MESH)
        if name.endswith("request_id") or name == "session_id":
            return st.uuids().map(str)
        return st.just("") if name.endswith(("token", "feed_id")) else _WORDS
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return st.sampled_from([one.number for one in field.enum_type.values if one.number] if field.enum_type else [0])
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return st.floats(0, 1)
    return st.sampled_from([0, 0, 1, 2, 10, 24, 100])


_KEYS = st.binary(min_size=15, max_size=15).map(lambda key: b"\x01" + key)
"""Keys as the first version of a secret makes them."""
_WORDS = st.one_of(st.sampled_from(["lab-1", "s-1", "s-2", "mixed up", "110105", "x"]), st.sampled_from(RESIDENTS))


def _document(draw: st.DrawFn, message: Any) -> None:
    resident = draw(st.booleans())
    message.type = DocumentType.DOCUMENT_TYPE_RESIDENT_ID if resident else DocumentType.DOCUMENT_TYPE_PASSPORT
    message.number = draw(st.sampled_from(RESIDENTS if resident else PASSPORTS))


def _recently(draw: st.DrawFn, message: Any) -> None:
    message.seconds = int(time.time()) - draw(st.integers(0, 72)) * 3_600


def _filler(kind: Any, depth: int, scalar: Callable[[FieldDescriptor], st.SearchStrategy[Any]]) -> Any:
    scalars: list[tuple[str, bool, st.SearchStrategy[Any]]] = []
    nested: list[tuple[str, bool, Any]] = []
    described: Descriptor = kind
    likely = scalar is _plausible
    # Whom a caller means, it hardly hits by chance; and whoever means nobody is answered.
    passed_over = {StoreIdentity.DESCRIPTOR.full_name} if likely else ()
    if likely and described.full_name == Document.DESCRIPTOR.full_name:
        return _document
    for field in described.fields:
        if field.message_type is None:
            scalars.append((field.name, field.is_repeated, scalar(field)))
        elif field.message_type.full_name == "google.protobuf.Timestamp":
            nested.append((field.name, field.is_repeated, _recently if likely else _instant))
        elif depth and field.message_type.full_name not in passed_over:
            nested.append((field.name, field.is_repeated, _filler(field.message_type, depth - 1, scalar)))
    shares = st.sampled_from((0, 1, 1, 1) if not likely else (0, *[1] * 9))

    def fill(draw: st.DrawFn, message: Any) -> None:
        for name, repeated, strategy in scalars:
            if not draw(shares):
                continue
            if repeated:
                getattr(message, name).extend(draw(st.lists(strategy, max_size=3)))
            else:
                setattr(message, name, draw(strategy))
        for name, repeated, within in nested:
            if not draw(shares):
                continue
            if repeated:
                for _ in range(draw(st.integers(0, 2))):
                    within(draw, getattr(message, name).add())
            else:
                getattr(message, name).SetInParent()
                within(draw, getattr(message, name))

    return fill


def _instant(draw: st.DrawFn, message: Any) -> None:
    message.seconds, message.nanos = draw(_INSTANTS)


_JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), _TEXTS, st.just([]), st.just({}))


def json_values(schema: Any, document: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Returns a strategy for JSON that a schema of an OpenAPI document describes; now and then it is something else."""
    return st.one_of(*[_described(schema, document, name)] * 7, _JUNK)


def _described(schema: Any, document: Any, name: str) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _described(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, name)
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return st.one_of(*[_described(one, document, name) for one in schema[several]])
    if "enum" in schema:
        return st.one_of(st.sampled_from(schema["enum"]), _TEXTS)
    kind = schema.get("type")
    if kind == "object":
        fields = {key: json_values(one, document, key) for key, one in schema.get("properties", {}).items()}
        required = [key for key in schema.get("required", ()) if key in fields]
        return st.fixed_dictionaries(
            {key: fields[key] for key in required},
            optional={key: value for key, value in fields.items() if key not in required},
        )
    if kind == "array":
        return st.lists(json_values(schema["items"], document, name), max_size=3)
    if kind == "string":
        return st.one_of(_text(name), st.sampled_from(["2022-08-05T13:20:00+08:00", "2022-08-05T13:20:00"]))
    if kind in ("integer", "number"):
        return st.one_of(st.sampled_from(_WHOLE), st.floats(allow_nan=False))
    return st.booleans() if kind == "boolean" else _JUNK
