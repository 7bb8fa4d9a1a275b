"""The words in which a field of a request or an answer says what it holds, for its JSON and for the OpenAPI document.

A struct's field is `Annotated[type, one of these]`. What stands here describes and does not check: a request is checked
by the admission, for the same reasons over HTTP and gRPC.
"""

from typing import Annotated

from msgspec import Meta

from gateway.http.names import EnumNames

REQUIRED = Meta(extra_json_schema={"x-required": True})
"""A field without which a request is refused, although its struct has a default for it."""


def described(description: str, **more: object) -> Meta:
    """A description, Chinese first, and further keywords of JSON Schema."""
    return Meta(description=description, extra_json_schema=more)


def one_of(names: EnumNames, description: str) -> Meta:
    """One of an enum's names."""
    return described(description, enum=list(names.values))


def instant(description: str) -> Meta:
    """An instant that is answered."""
    return described(f"{description} RFC 3339, +08:00.", format="date-time", examples=["2022-08-05T13:20:00+08:00"])


def asked_instant(description: str) -> Meta:
    """An instant that is sent."""
    return described(description, format="date-time", examples=["2022-08-05T13:20:00+08:00"])


_EXAMPLE_REGIONS = ["110000", "430000"]
RegionCode = Annotated[
    str,
    described("省级行政区划代码 GB/T 2260. Province-level code.", pattern="^[0-9]{6}$", examples=_EXAMPLE_REGIONS),
]
"""A region by its code."""
