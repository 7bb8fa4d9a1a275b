"""Request bodies: strict JSON, every field typed, none unknown, turned into the contract's messages.

A field that is absent is left to the checks both transports share, so that both give the same reason.
"""

import re
from datetime import datetime
from typing import Generic, TypeVar

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Document, DocumentType
from hutong.gateway.v1 import health_code_service_pb2 as pb

from gateway.application.admission import Admission, Question
from gateway.http.views import SCOPE, EnumNames
from services.common.errors import InvalidArgument, Text, Violation, invalid
from services.common.instants import parse_rfc3339, to_timestamp
from services.common.requests.paging import bad_page_size

DOCUMENT_TYPES = EnumNames(DocumentType, "DOCUMENT_TYPE_")
UNKNOWN = -1
"""Stands for a name no enum knows; the shared checks refuse it as they refuse an unknown number."""


class _Body(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    pass


class DocumentBody(_Body):
    """A document."""

    type: str = ""
    number: str = ""

    def kind(self) -> int:
        """The number of its type."""
        return _number(DOCUMENT_TYPES, self.type)

    def message(self) -> Document:
        """As the contract has it."""
        return Document(type=self.kind(), number=self.number)  # type: ignore[arg-type]  # open


class QueryBody(_Body):
    """One question."""

    document: DocumentBody = msgspec.field(default_factory=DocumentBody)
    region: str = ""
    scope: str | None = None
    at: str | None = None
    refresh: bool = False
    known_at: str | None = None

    def question(self, admission: Admission, path: str = "") -> Question:
        """The question it asks, with every wrong field named below `path`. Raises InvalidArgument."""
        if self.at is None and self.known_at is None:
            document = self.document
            scope = _number(SCOPE, self.scope)
            asked = admission.plain(document.kind(), document.number, self.region, scope, self.refresh, path)
            if asked is not None:
                return asked
        problems: list[Violation] = []
        return admission.question(self._message(path, problems), path, problems)

    def _message(self, path: str, problems: list[Violation]) -> pb.HealthCodeQuery:
        return pb.HealthCodeQuery(
            document=self.document.message(),
            region=self.region,
            scope=_number(SCOPE, self.scope),  # type: ignore[arg-type]  # open
            at=None if self.at is None else instant(self.at, f"{path}at", problems),
            refresh=self.refresh,
            known_at=None if self.known_at is None else instant(self.known_at, f"{path}known_at", problems),
        )


class BatchBody(_Body):
    """Many questions."""

    queries: list[QueryBody] = msgspec.field(default_factory=list)


class DestinationsBody(_Body):
    """Where is this person recognised?"""

    document: DocumentBody = msgspec.field(default_factory=DocumentBody)
    regions: list[str] | None = None
    at: str | None = None

    def message(self, problems: list[Violation]) -> pb.CheckDestinationsRequest:
        """As the contract has it."""
        return pb.CheckDestinationsRequest(
            document=self.document.message(),
            regions=self.regions or (),
            at=None if self.at is None else instant(self.at, "at", problems),
        )


class ResultsBody(_Body):
    """Which results does this person have?"""

    document: DocumentBody = msgspec.field(default_factory=DocumentBody)
    page_size: int = 0
    page_token: str | None = None

    def message(self) -> pb.ListResultsRequest:
        """As the contract has it. Raises InvalidArgument (PAGE_SIZE)."""
        return pb.ListResultsRequest(
            document=self.document.message(), page_size=page_size(self.page_size), page_token=self.page_token or ""
        )


class BatchResultsBody(_Body):
    """Which results do these people have?"""

    documents: list[DocumentBody] = msgspec.field(default_factory=list)


class ClaimBody(_Body):
    """Make this result part of that region's record."""

    document: DocumentBody = msgspec.field(default_factory=DocumentBody)
    region: str = ""
    origin_region: str | None = None
    origin_source_id: str | None = None
    request_id: str | None = None

    def message(self) -> pb.ClaimResultRequest:
        """As the contract has it."""
        return pb.ClaimResultRequest(
            document=self.document.message(),
            region=self.region,
            origin_region=self.origin_region or "",
            origin_source_id=self.origin_source_id or "",
            request_id=self.request_id or "",
        )


class SwitchBody(_Body):
    """Switch this person's code in that region."""

    document: DocumentBody = msgspec.field(default_factory=DocumentBody)
    region: str = ""
    scope: str | None = None
    request_id: str | None = None

    def message(self) -> pb.SwitchScopeRequest:
        """As the contract has it."""
        return pb.SwitchScopeRequest(
            document=self.document.message(),
            region=self.region,
            scope=_number(SCOPE, self.scope),  # type: ignore[arg-type]  # open
            request_id=self.request_id or "",
        )


Body = TypeVar("Body", bound=_Body)

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*?)`(?: - at `|$)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]{1,40}")
_KINDS = re.compile(r"Expected `([a-z |]+)`, got `([a-z]+)`")


class Decoder(Generic[Body]):
    """Decodes one kind of body."""

    def __init__(self, kind: type[Body]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def __call__(self, body: bytes) -> Body:
        """The body. Raises InvalidArgument with one violation: JSON_MALFORMED, UNKNOWN_FIELD or WRONG_TYPE."""
        try:
            return self._decode(body)
        except msgspec.ValidationError as error:
            raise _misshapen(str(error)) from None
        except (ValueError, RecursionError):
            raise invalid("", "JSON_MALFORMED", "请求体不是有效的 JSON", "The body is not valid JSON") from None


def _misshapen(message: str) -> InvalidArgument:
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


def _number(names: EnumNames, name: str | None) -> int:
    return names.values.get(name, UNKNOWN) if name else 0


def page_size(size: int) -> int:
    """A page size as the contract can carry it. Raises InvalidArgument (PAGE_SIZE)."""
    if not -(2**31) <= size < 2**31:
        raise bad_page_size()
    return size


def instant(value: str, field: str, problems: list[Violation]) -> Timestamp | None:
    """The timestamp of an RFC 3339 text; None, with a problem added, when it is none or has no offset."""
    try:
        return to_timestamp(parse_rfc3339(value))
    except (ValueError, OverflowError):
        problems.append(_instant_problem(value, field))
        return None


def _instant_problem(value: str, field: str) -> Violation:
    try:
        naive = "T" in value.upper() and datetime.fromisoformat(value).utcoffset() is None
    except ValueError:
        naive = False
    if naive:
        return Violation(
            field,
            "INSTANT_NEEDS_OFFSET",
            Text(
                "时间须带时区偏移，如 2022-08-05T13:20:00+08:00",
                "An instant needs an offset, as in 2022-08-05T13:20:00+08:00",
            ),
        )
    return Violation(
        field,
        "INSTANT_FORMAT",
        Text("时间格式应如 2022-08-05T13:20:00+08:00", "An instant reads like 2022-08-05T13:20:00+08:00"),
    )
