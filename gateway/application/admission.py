"""The admission: what is asked is checked, and a document becomes a person key. Its number goes no further."""

import uuid
from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Document
from hutong.gateway.v1.health_code_service_pb2 import HealthCodeQuery
from hutong.lookup.v1.region_pb2 import Scope

from gateway.codes.query import CodeQuery
from services.common.documents import PersonKeys
from services.common.errors import InvalidArgument, Text, Violation, invalid
from services.common.instants import Instant, from_timestamp
from services.common.regions import divisions, require_region
from services.common.requests.limits import check_scope

T = TypeVar("T")

_SCOPES = frozenset((Scope.SCOPE_UNSPECIFIED, Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL))
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_800
"""Seconds since the epoch of the years 1 and 10000, the bounds of google.protobuf.Timestamp."""


def instant(timestamp: Timestamp, field: str) -> Instant:
    """Returns the instant of a timestamp within the years 1 to 9999. Raises InvalidArgument (INSTANT_RANGE)."""
    if not (_EARLIEST <= timestamp.seconds < _LATEST and 0 <= timestamp.nanos < 1_000_000_000):
        raise invalid(field, "INSTANT_RANGE", "时间超出范围", "The instant is out of range")
    return from_timestamp(timestamp)


class Findings:
    """Gathers what is wrong with a request, so that every wrong field is named at once."""

    def __init__(self, prior: Sequence[Violation] = ()) -> None:
        self._found = list(prior)

    def keep(self, default: T, read: Callable[[], T]) -> T:
        """Returns what `read` returns, or the default when it raises InvalidArgument, which is kept."""
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
    """Admits queries under the mesh's secret."""

    def __init__(self, keys: PersonKeys) -> None:
        self._keys = keys
        self._regions = frozenset(divisions())

    def person(self, document: Document, field: str = "document") -> bytes:
        """Returns the person key of a document. Raises InvalidArgument as PersonKeys.of does."""
        return self._keys.of(document, field)

    def query(self, message: HealthCodeQuery, path: str = "", prior: Sequence[Violation] = ()) -> CodeQuery:
        """Admits one query. Raises InvalidArgument naming every wrong field below `path`, which ends in a dot or is
        empty, after those found `prior`: REGION_REQUIRED, REGION_UNKNOWN, SCOPE_UNKNOWN, INSTANT_RANGE, and those of
        the document."""
        region, scope = message.region, message.scope
        now = not (prior or message.HasField("at") or message.HasField("known_at"))
        if now and region in self._regions and scope in _SCOPES:
            # The common case, of which only the document can be wrong.
            return CodeQuery(self._keys.of(message.document, f"{path}document"), region, scope, None, message.refresh)
        found = Findings(prior)
        person = found.keep(b"", lambda: self._keys.of(message.document, f"{path}document"))
        found.region(region, f"{path}region")
        found.scope(scope, f"{path}scope")
        at = found.keep(None, lambda: instant(message.at, f"{path}at")) if message.HasField("at") else None
        known_at = None
        if message.HasField("known_at"):
            known_at = found.keep(None, lambda: instant(message.known_at, f"{path}known_at"))
        found.check()
        return CodeQuery(person, region, scope, at, message.refresh, known_at, path)
