"""Turns evidence queries into questions: checked, documents turned into keys."""

from collections.abc import Sequence

from hutong.lookup.v1.evidence_service_pb2 import EvidenceQuery
from hutong.lookup.v1.region_pb2 import Scope

from services.common.documents import PERSON_KEY_BYTES, PersonKeys
from services.common.errors import InvalidArgument, Violation, invalid
from services.common.instants import SECOND, Instant, from_timestamp
from services.common.regions import divisions, require_region
from services.common.requests.limits import check_batch, check_scope
from services.lookup.evidence.gatherer import Question

"""The most questions of one batch (evidence_service.proto)."""
MOST_VIOLATIONS = 20
"""So many wrong fields are named; more would not fit into the trailers of a gRPC call (8 KiB)."""

_SCOPES = frozenset(Scope.values())
_LAST_INSTANT = Instant(253_402_300_800 * SECOND)
"""The year 10000, where protobuf timestamps end."""


def one(query: EvidenceQuery, keys: PersonKeys, deadline: float, field: str) -> Question:
    """The question a query asks. `deadline` is an instant of the monotonic clock in seconds.

    Raises InvalidArgument naming every wrong field below `field`: REGION_REQUIRED, REGION_UNKNOWN, SCOPE_UNKNOWN,
    KNOWN_AT_RANGE, or as PersonKeys.of_subject does.
    """
    region, scope = query.region, query.scope
    key = query.subject.person_key
    if len(key) != PERSON_KEY_BYTES or region not in divisions() or scope not in _SCOPES:
        key = _checked(query, keys, field)
    known_at = None
    if query.HasField("known_at"):
        known_at = from_timestamp(query.known_at)
        if not 0 <= known_at < _LAST_INSTANT:
            raise invalid(
                f"{field}.known_at", "KNOWN_AT_RANGE", "时刻超出范围", "The instant is before 1970 or after 9999"
            )
    return Question(key, region, scope, known_at, deadline)


def many(queries: Sequence[EvidenceQuery], keys: PersonKeys, deadline: float) -> list[Question]:
    """The questions of a batch. Raises InvalidArgument: BATCH_SIZE, or every wrong field, the first 20 of them."""
    check_batch(len(queries), "queries")
    questions = []
    violations: list[Violation] = []
    for index, query in enumerate(queries):
        try:
            questions.append(one(query, keys, deadline, "queries[]"))
        except InvalidArgument as error:
            violations.extend(
                Violation(v.field.replace("[]", f"[{index}]", 1), v.reason, v.text) for v in error.violations
            )
    if violations:
        raise InvalidArgument(*violations[:MOST_VIOLATIONS])
    return questions


def _checked(query: EvidenceQuery, keys: PersonKeys, field: str) -> bytes:
    violations: list[Violation] = []
    key = b""
    try:
        key = keys.of_subject(query.subject, f"{field}.subject")
    except InvalidArgument as error:
        violations.extend(error.violations)
    try:
        require_region(query.region, f"{field}.region")
    except InvalidArgument as error:
        violations.extend(error.violations)
    try:
        check_scope(query.scope, f"{field}.scope")
    except InvalidArgument as error:
        violations.extend(error.violations)
    if violations:
        raise InvalidArgument(*violations)
    return key
