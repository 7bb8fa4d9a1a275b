"""What a request must be before it is looked up or judged. Every wrong field is named, by its path in the request."""

from collections.abc import Iterator, Sequence

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.lookup.v1.evidence_service_pb2 import Evidence, EvidenceQuery, SourceStatus
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import Channel, RecordKind, TestRecord, TestResult, Tube
from hutong.verdict.v1.verdict_service_pb2 import EvidenceToJudge, VerdictQuery

from services.common.documents import PersonKeys
from services.common.errors import InvalidArgument, ServiceError, Text, Violation
from services.common.instants import MINUTE, Instant, from_timestamp
from services.common.regions import divisions, require_region
from services.common.requests.limits import check_scope

SKEW = 5 * MINUTE
"""How far another clock may run ahead of this one."""

_FIRST_SECOND, _LAST_SECOND = -2_208_988_800, 253_370_764_799
"""1900-01-01T00:00:00Z to 9998-12-31T23:59:59Z: whatever turns within a year of them can still be written."""

_FIRST_KNOWN = 0
"""Nothing was known before 1970-01-01T00:00Z: lookups keep their time from there."""


def _out_of_range(timestamp: Timestamp, first: int = _FIRST_SECOND) -> bool:
    return not first <= timestamp.seconds <= _LAST_SECOND or not 0 <= timestamp.nanos <= 999_999_999


def _range_violation(field: str, first: int = _FIRST_SECOND) -> Violation:
    year = 1900 if first == _FIRST_SECOND else 1970
    return Violation(
        field,
        "INSTANT_RANGE",
        Text(f"时刻须在公元{year}年至9998年之间", f"An instant lies between the years {year} and 9998"),
    )


def _future_violation(field: str) -> Violation:
    return Violation(
        field, "KNOWN_AT_IN_FUTURE", Text("知悉时刻不能晚于现在", "What is not yet known cannot be judged by")
    )


def instants(
    item: VerdictQuery | EvidenceToJudge, now: Instant, field: str, violations: list[Violation]
) -> tuple[Instant | None, Instant | None]:
    """The `at` and `known_at` of a question; None where absent. Adds to the violations."""
    at = known_at = None
    if item.HasField("at"):
        if _out_of_range(item.at):
            violations.append(_range_violation(f"{field}.at"))
        else:
            at = from_timestamp(item.at)
    if item.HasField("known_at"):
        if _out_of_range(item.known_at, _FIRST_KNOWN):
            violations.append(_range_violation(f"{field}.known_at", _FIRST_KNOWN))
        elif (known_at := from_timestamp(item.known_at)) > now + SKEW:
            violations.append(_future_violation(f"{field}.known_at"))
    return at, known_at


class Question:
    """A checked question, ready to be looked up and judged."""

    __slots__ = ("at", "known_at", "lookup")

    def __init__(self, lookup: EvidenceQuery, at: Instant | None, known_at: Instant | None) -> None:
        self.lookup = lookup
        self.at = at
        self.known_at = known_at


def question(query: VerdictQuery, keys: PersonKeys, now: Instant, field: str) -> Question:
    """The question a query asks, the person named by key from here on. Raises InvalidArgument."""
    violations: list[Violation] = []
    person_key = b""
    try:
        person_key = keys.of_subject(query.subject, f"{field}.subject")
    except ServiceError as error:
        violations += error.violations
    if query.region not in divisions():
        try:
            require_region(query.region, f"{field}.region")
        except ServiceError as error:
            violations += error.violations
    violations += _scope(query.scope, f"{field}.scope")
    at, known_at = instants(query, now, field, violations)
    if violations:
        raise InvalidArgument(*violations)
    lookup = EvidenceQuery(region=query.region, scope=query.scope)
    lookup.subject.person_key = person_key
    if known_at is not None:
        lookup.known_at.CopyFrom(query.known_at)
    return Question(lookup, at, known_at)


_KINDS = frozenset(RecordKind.values()) - {0}
_RESULTS = frozenset(TestResult.values()) - {0}
_TUBES = frozenset(Tube.values()) - {0}
_CHANNELS = frozenset(Channel.values()) - {0}


def _scope(scope: int, field: str, *, required: bool = False) -> Sequence[Violation]:
    try:
        check_scope(scope, field, required=required)
    except InvalidArgument as error:
        return error.violations
    return ()


def _unknown(field: str) -> Violation:
    return Violation(field, "VALUE_UNKNOWN", Text("取值未知", "Not a value of this field"))


def _required(field: str) -> Violation:
    return Violation(field, "VALUE_REQUIRED", Text("必填", "This field is required"))


def check_evidence(evidence: Evidence, field: str, violations: list[Violation]) -> None:
    """Evidence a caller brings: adds a violation for every wrong field."""
    try:
        require_region(evidence.region, f"{field}.region")
    except ServiceError as error:
        violations += error.violations
    violations += _scope(evidence.scope, f"{field}.scope", required=True)
    seen: set[tuple[str, str]] = set()
    for position, record in enumerate(evidence.records):
        where = f"{field}.records[{position}]"
        key = (record.region, record.source_id)
        if key in seen:
            violations.append(
                Violation(
                    where,
                    "RECORD_TWICE",
                    Text("同一记录出现两次", "Each record is brought once, in its current revision"),
                )
            )
        seen.add(key)
        violations.extend(_record_violations(record, where))
    for position, laboratory in enumerate(evidence.laboratories):
        if not laboratory.laboratory:
            violations.append(_required(f"{field}.laboratories[{position}].laboratory"))
        violations.extend(_standing_violations(laboratory, f"{field}.laboratories[{position}]"))
    for position, source in enumerate(evidence.coverage):
        if not source.source:
            violations.append(_required(f"{field}.coverage[{position}].source"))
        if source.status not in (SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE):
            violations.append(_unknown(f"{field}.coverage[{position}].status"))


def _standing_violations(laboratory: Laboratory, field: str) -> Iterator[Violation]:
    for position, interval in enumerate(laboratory.accredited):
        yield from _range_violations(interval, ("from", "to"), f"{field}.accredited[{position}]")
    for position, suspension in enumerate(laboratory.suspensions):
        where = f"{field}.suspensions[{position}]"
        yield from _range_violations(suspension.sampled, ("from", "to"), f"{where}.sampled")
        yield from _range_violations(suspension, ("recorded_at", "lifted_at"), where)


def _range_violations(message: Message, names: Sequence[str], field: str) -> Iterator[Violation]:
    for name in names:
        if message.HasField(name) and _out_of_range(getattr(message, name)):
            yield _range_violation(f"{field}.{name}")


def _record_violations(record: TestRecord, field: str) -> Iterator[Violation]:
    if record.region not in divisions():
        yield _unknown(f"{field}.region") if record.region else _required(f"{field}.region")
    if not record.source_id:
        yield _required(f"{field}.source_id")
    content = record.content
    if content.kind not in _KINDS:
        yield _unknown(f"{field}.content.kind")
    if content.tube not in _TUBES:
        yield _unknown(f"{field}.content.tube")
    if content.channel not in _CHANNELS:
        yield _unknown(f"{field}.content.channel")
    sampled, reported = content.HasField("sampled_at"), content.HasField("reported_at")
    yield from _range_violations(content, ("sampled_at", "reported_at"), f"{field}.content")
    yield from _range_violations(record, ("recorded_at",), field)
    if content.kind == RecordKind.RECORD_KIND_RESULT:
        if content.result not in _RESULTS:
            yield _unknown(f"{field}.content.result")
        if not reported:
            yield _required(f"{field}.content.reported_at")
    elif content.kind == RecordKind.RECORD_KIND_SAMPLING:
        if not sampled:
            yield _required(f"{field}.content.sampled_at")
        if reported or content.result:
            yield Violation(
                f"{field}.content",
                "RESULT_IN_SAMPLING_RECORD",
                Text("采样记录不应有结果或报告时间", "A sampling record has neither a result nor a report time"),
            )
    if sampled and reported and from_timestamp(content.reported_at) < from_timestamp(content.sampled_at):
        yield Violation(
            f"{field}.content.reported_at",
            "REPORTED_BEFORE_SAMPLED",
            Text("报告时间不能早于采样时间", "A report does not come before its sample"),
        )
