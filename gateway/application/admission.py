"""The admission: what is asked is checked, and a document becomes a person key. Its number goes no further."""

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Document
from hutong.gateway.v1.health_code_service_pb2 import HealthCodeQuery
from hutong.lookup.v1.region_pb2 import Scope

from gateway.codes.cache.protocol import Key
from services.common.documents import PersonKeys
from services.common.errors import InvalidArgument, ServiceError, Text, Violation, invalid
from services.common.instants import Instant, from_timestamp
from services.common.regions import divisions, require_region
from services.common.requests.limits import check_scope

T = TypeVar("T")

_ASKED = re.compile(r"^queries\[\d+\]\.")
"""Where a question stands among those that are computed together."""

_SCOPES = frozenset((Scope.SCOPE_UNSPECIFIED, Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL))
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_800
"""Seconds since the epoch of the years 1 and 10000, the bounds of google.protobuf.Timestamp."""


class Question(NamedTuple):
    """One question about one person. `at` and `known_at` None mean now; only answers for now are cached. `path` is
    where the question stands in its request, for the names of wrong fields: it ends in a dot or is empty."""

    person: bytes
    region: str
    scope: Scope.ValueType = Scope.SCOPE_UNSPECIFIED
    at: Instant | None = None
    refresh: bool = False
    known_at: Instant | None = None
    path: str = ""

    @property
    def past(self) -> bool:
        """Whether it asks for another instant than now, or as known at one."""
        return self.at is not None or self.known_at is not None

    @property
    def key(self) -> Key:
        """Where its answer is cached."""
        return (self.person, f"{self.region}{self.scope}")


def placed(error: ServiceError, path: str) -> ServiceError:
    """What was found wrong in a question that the verdict service was asked, named as in the request it came in."""
    if not error.violations:
        return error
    renamed = [replace(one, field=_ASKED.sub(path, one.field, 1)) for one in error.violations]
    return ServiceError(error.code, error.reason, error.text, renamed)


def instant(timestamp: Timestamp, field: str) -> Instant:
    """The instant of a timestamp within the years 1 to 9999. Raises InvalidArgument (INSTANT_RANGE)."""
    if not (_EARLIEST <= timestamp.seconds < _LATEST and 0 <= timestamp.nanos < 1_000_000_000):
        raise invalid(field, "INSTANT_RANGE", "时间超出范围", "The instant is out of range")
    return from_timestamp(timestamp)


class Findings:
    """Gathers what is wrong with a request, so that every wrong field is named at once."""

    def __init__(self, prior: Sequence[Violation] = ()) -> None:
        self._found = list(prior)

    def keep(self, default: T, read: Callable[[], T]) -> T:
        """What `read` returns, or the default when it raises InvalidArgument, which is kept."""
        try:
            return read()
        except InvalidArgument as error:
            self._found += error.violations
            return default

    def region(self, code: str, field: str = "region") -> None:
        """Checks a region's code (REGION_REQUIRED, REGION_UNKNOWN)."""
        self.keep(None, lambda: require_region(code, field))

    def scope(self, scope: int, field: str = "scope", *, required: bool = False) -> None:
        """Checks a scope (SCOPE_UNKNOWN, SCOPE_REQUIRED)."""
        self.keep(None, lambda: check_scope(scope, field, required=required))

    def add(self, field: str, reason: str, zh: str, en: str) -> None:
        """Adds a finding."""
        self._found.append(Violation(field, reason, Text(zh, en)))

    def request_id(self, request_id: str) -> None:
        """Checks a request id, where there is one (REQUEST_ID_FORMAT)."""
        if request_id:
            try:
                uuid.UUID(request_id)
            except ValueError:
                self.add("request_id", "REQUEST_ID_FORMAT", "请求编号应为 UUID", "The request id is a UUID")

    def check(self) -> None:
        """Raises InvalidArgument if anything was found."""
        if self._found:
            raise InvalidArgument(*self._found)


class Admission:
    """Admits questions under the mesh's secret."""

    def __init__(self, keys: PersonKeys) -> None:
        self._keys = keys
        self._regions = frozenset(divisions())

    def person(self, document: Document, field: str = "document") -> bytes:
        """The person key of a document. Raises InvalidArgument as PersonKeys.of does."""
        return self._keys.of(document, field)

    def plain(
        self, document_type: int, number: str, region: str, scope: int, refresh: bool, path: str = ""
    ) -> Question | None:
        """The question about now that these ask, the common case; None when region or scope is wrong, for `question` to
        say how. Raises InvalidArgument when only the document is."""
        if region not in self._regions or scope not in _SCOPES:
            return None
        person = self._keys.of_number(document_type, number, f"{path}document")  # type: ignore[arg-type]  # checked there
        return Question(person, region, scope, None, refresh)  # type: ignore[arg-type]  # checked above

    def question(self, query: HealthCodeQuery, path: str = "", prior: Sequence[Violation] = ()) -> Question:
        """The question a query asks. Raises InvalidArgument naming every wrong field below `path`, which ends in a dot
        or is empty, after those found `prior`: REGION_REQUIRED, REGION_UNKNOWN, SCOPE_UNKNOWN, INSTANT_RANGE, and those
        of the document."""
        if not prior and not query.HasField("at") and not query.HasField("known_at"):
            document = query.document
            asked = self.plain(document.type, document.number, query.region, query.scope, query.refresh, path)
            if asked is not None:
                return asked
        found = Findings(prior)
        person = found.keep(b"", lambda: self._keys.of(query.document, f"{path}document"))
        found.region(query.region, f"{path}region")
        found.scope(query.scope, f"{path}scope")
        at = found.keep(None, lambda: instant(query.at, f"{path}at")) if query.HasField("at") else None
        known_at = None
        if query.HasField("known_at"):
            known_at = found.keep(None, lambda: instant(query.known_at, f"{path}known_at"))
        found.check()
        return Question(person, query.region, query.scope, at, query.refresh, known_at, path)
