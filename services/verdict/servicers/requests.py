"""Checks of requests before they are looked up or judged. Every wrong field is named, by its path in the request."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from google.protobuf.message import Message
from hutong.lookup.v1.evidence_service_pb2 import Evidence, EvidenceQuery, SourceCoverage, SourceStatus
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import TestRecord
from hutong.verdict.v1.verdict_service_pb2 import EvidenceToJudge, VerdictQuery

from services.common.birth_dates import date_of_birth
from services.common.documents import PersonKeys
from services.common.errors import Violation
from services.common.instants import Instant, from_timestamp
from services.common.requests import checks, contents, fields
from services.common.requests.instants import instant, known_at
from services.common.requests.violations import Violations, violation
from services.verdict.domain.evidence.values import Check

_source_status = fields.enumerated(SourceStatus.values(), "STATUS", "应答情况", "source's status")


class Question(NamedTuple):
    """A checked question, ready to be looked up and judged. `at` and `known_at` None mean now. The date of birth in
    `check` goes no further than to the judge."""

    lookup: EvidenceQuery
    at: Instant | None
    known_at: Instant | None
    check: Check

    @property
    def past(self) -> bool:
        """Tells whether it is about what was known at an instant of the past."""
        return self.known_at is not None

    def everything(self) -> EvidenceQuery:
        """Returns the same query for all of the holder's past."""
        query = EvidenceQuery()
        query.CopyFrom(self.lookup)
        query.ClearField("selection")
        return query


def question(query: VerdictQuery, keys: PersonKeys, now: Instant, field: str) -> Question:
    """Returns the question a query asks, the person named by key from here on. Raises InvalidArgument."""
    violations = Violations()
    person_key = violations.read(b"", partial(keys.of_subject, query.subject, f"{field}.subject"))
    violations.add(fields.region(query.region, f"{field}.region"))
    violations.add(fields.scope(query.scope, f"{field}.scope"))
    at, known = instants(query, now, field, violations)
    check = read_check(query, field, violations)
    violations.refuse()
    if check.born is None and query.subject.HasField("document"):
        document = query.subject.document
        check = Check(check.scene, date_of_birth(document.type, document.number))
    lookup = EvidenceQuery(region=query.region, scope=query.scope)
    lookup.subject.person_key = person_key
    if known is not None:
        lookup.known_at.CopyFrom(query.known_at)
    return Question(lookup, at, known, check)


def instants(
    item: VerdictQuery | EvidenceToJudge, now: Instant, field: str, violations: Violations
) -> tuple[Instant | None, Instant | None]:
    """Returns the `at` and `known_at` of a question, None where absent, and adds what is wrong with them."""
    at = known = None
    if item.HasField("at"):
        violations.add(instant(item.at, f"{field}.at"))
        at = from_timestamp(item.at)
    if item.HasField("known_at"):
        violations.add(known_at(item.known_at, f"{field}.known_at", now))
        known = from_timestamp(item.known_at)
    return at, known


def read_check(item: VerdictQuery | EvidenceToJudge, field: str, violations: Violations) -> Check:
    """Returns where and of whom a question asks, and adds what is wrong with it."""
    violations.add(checks.scene(item.scene, f"{field}.scene"))
    born = violations.read(None, partial(checks.read_date_of_birth, item.date_of_birth, f"{field}.date_of_birth"))
    return Check(item.scene, born)


def evidence_violations(evidence: Evidence, field: str) -> Iterator[Violation]:
    """Yields everything wrong with evidence that a caller brings."""
    yield from fields.region(evidence.region, f"{field}.region")
    yield from fields.scope(evidence.scope, f"{field}.scope", required=True)
    seen: set[tuple[str, str]] = set()
    for position, record in enumerate(evidence.records):
        where = f"{field}.records[{position}]"
        key = (record.region, record.source_id)
        if key in seen:
            yield from violation(
                where, "RECORD_TWICE", "同一记录出现两次", "Each record is brought once, in its current revision"
            )
        seen.add(key)
        yield from _record(record, where)
    laboratories: set[str] = set()
    for position, laboratory in enumerate(evidence.laboratories):
        where = f"{field}.laboratories[{position}]"
        if laboratory.laboratory in laboratories:
            yield from violation(
                where,
                "LABORATORY_TWICE",
                "同一检测机构出现两次",
                "Each laboratory is brought once, with all that is known of its standing",
            )
        laboratories.add(laboratory.laboratory)
        yield from _standing(laboratory, where)
    for position, source in enumerate(evidence.coverage):
        yield from _coverage(source, f"{field}.coverage[{position}]")


def _record(record: TestRecord, field: str) -> Iterator[Violation]:
    yield from fields.region(record.region, f"{field}.region")
    yield from fields.source_id(record.source_id, f"{field}.source_id")
    yield from contents.content(record.content, f"{field}.content")
    # The verdict gives these back.
    yield from fields.no_number(record.content.laboratory, f"{field}.content.laboratory")
    yield from fields.no_number(record.content.site, f"{field}.content.site")
    yield from fields.no_number(record.content.origin.source_id, f"{field}.content.origin.source_id")
    yield from fields.no_number(record.cause, f"{field}.cause")
    yield from _range(record, ("recorded_at",), field)


def _standing(laboratory: Laboratory, field: str) -> Iterator[Violation]:
    yield from fields.laboratory_id(laboratory.laboratory, f"{field}.laboratory")
    for position, interval in enumerate(laboratory.accredited):
        yield from _range(interval, ("from", "to"), f"{field}.accredited[{position}]")
    for position, suspension in enumerate(laboratory.suspensions):
        where = f"{field}.suspensions[{position}]"
        yield from _range(suspension.sampled, ("from", "to"), f"{where}.sampled")
        yield from _range(suspension, ("recorded_at", "lifted_at"), where)


def _coverage(source: SourceCoverage, field: str) -> Iterator[Violation]:
    if not source.source:
        yield from violation(f"{field}.source", "SOURCE_REQUIRED", "须填写来源", "The source is required")
    yield from fields.no_number(source.source, f"{field}.source")
    yield from _source_status(source.status, f"{field}.status")
    yield from _range(source, ("as_of",), field)


def _range(message: Message, names: Sequence[str], field: str) -> Iterator[Violation]:
    for name in names:
        if message.HasField(name):
            yield from instant(getattr(message, name), f"{field}.{name}")
