"""The admission: what is asked is checked, and a document becomes a person key. Its number goes no further."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Document
from hutong.gateway.v1.health_code_service_pb2 import HealthCodeQuery
from hutong.lookup.v1.region_pb2 import Scope

from gateway.codes.cache.protocol import Key
from services.common.documents import PersonKeys
from services.common.errors import ServiceError, Violation
from services.common.instants import Instant
from services.common.regions import divisions
from services.common.requests import fields
from services.common.requests.instants import read_instant, read_known_at
from services.common.requests.violations import Violations

_ASKED = re.compile(r"^queries\[\d+\]\.")
"""Where a question stands among those that are computed together."""

_SCOPES = frozenset((Scope.SCOPE_UNSPECIFIED, Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL))


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
        violations = Violations(prior)
        person = violations.read(b"", partial(self._keys.of, query.document, f"{path}document"))
        violations.add(fields.region(query.region, f"{path}region"))
        violations.add(fields.scope(query.scope, f"{path}scope"))
        at = known_at = None
        if query.HasField("at"):
            at = violations.read(None, partial(read_instant, query.at, f"{path}at"))
        if query.HasField("known_at"):
            known_at = violations.read(None, partial(read_known_at, query.known_at, f"{path}known_at"))
        violations.refuse()
        return Question(person, query.region, query.scope, at, query.refresh, known_at, path)
