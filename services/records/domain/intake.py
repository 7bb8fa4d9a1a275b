"""Whole batches of submissions, judged row by row at a few microseconds each.

The rules are those of `validation` and `decisions`, and only theirs. What is quick here is quick because rows of one
laboratory are alike: everything but the sample, the person and the times is judged once for all rows that share it
(`_Kind`). A row that is not plainly right goes the long way, which finds what is wrong with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from hutong.records.v1.record_pb2 import RecordContent, RecordKind, TestRecord
from hutong.records.v1.record_write_service_pb2 import RecordSubmission, SubmitOutcome

from services.common.documents import PERSON_KEY_BYTES, PersonKeys
from services.common.errors import InvalidArgument, Violation
from services.common.instants import SECOND, Instant
from services.common.requests import fields
from services.records.domain.conflicts import NewConflict, of_submission
from services.records.domain.content import digest, digest_of, digest_rest, latest_at, placed_at
from services.records.domain.corrections import correction_violations, decide, is_retraction
from services.records.domain.decisions import Submission
from services.records.domain.revisions import (
    FirstRevision,
    History,
    NewRevision,
    RecordId,
    StoredRevision,
    first_body,
    origin_of,
)
from services.records.domain.validation import content_violations, own_number_violations
from services.records.domain.weight import weight_of

_RESULT = RecordKind.RECORD_KIND_RESULT
_REFUSED = SubmitOutcome.SUBMIT_OUTCOME_REFUSED
_CONFLICT = SubmitOutcome.SUBMIT_OUTCOME_CONFLICT
_CREATED = SubmitOutcome.SUBMIT_OUTCOME_CREATED
_NANOS = 1_000_000_000
_SAMPLED_AT = RecordContent.SAMPLED_AT_FIELD_NUMBER << 3 | 2
_REPORTED_AT = RecordContent.REPORTED_AT_FIELD_NUMBER << 3 | 2
MOST_KINDS = 10_000
_TELLING = 8
"""So many characters of a document number within an id of a sample, and the row is looked at the long way."""

_made = partial(tuple.__new__, FirstRevision)
"""A FirstRevision of a tuple of its fields, in half the time."""

Judged = FirstRevision | Submission | list[Violation]
"""A valid submission, as the record it would begin or, where it is declared to correct one, as it is; or everything
wrong with it."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The common part of rows that differ in sample, person and times only. `head` begins their bodies, `rest` ends
    what their digests are made of."""

    number: int
    is_result: bool
    laboratory: str
    weight: int
    head: bytes
    rest: str


class Listed(NamedTuple):
    """A row that became no new record. `revision` is the current one, 0 when refused."""

    row: int
    outcome: SubmitOutcome.ValueType
    revision: int
    violations: Sequence[Violation] = ()


@dataclass(slots=True)
class Outcome:
    """The decision on a batch: what to append, how many new records that makes, the rows that are none, and conflicts
    to keep."""

    firsts: Sequence[FirstRevision] = ()
    further: list[NewRevision] = field(default_factory=list)
    created: int = 0
    listed: list[Listed] = field(default_factory=list)
    conflicts: list[NewConflict] = field(default_factory=list)


class Judge:
    """Judges submissions. `regions` tells what is wrong with a region; `skew` is that of validation.DEFAULT_SKEW."""

    def __init__(self, keys: PersonKeys, regions: Callable[[str], list[Violation]], skew: int) -> None:
        self._keys = keys
        self._regions = regions
        self._skew = skew
        self._kinds: dict[tuple[str, bytes, bytes], _Kind] = {}

    def judge(self, submissions: Sequence[RecordSubmission], now: Instant) -> list[Judged]:
        """Each submission, in order; a violation's field is as within the submission."""
        latest = Instant(now + self._skew)
        return [self._quick(asked, latest) or self._thorough(asked, now) for asked in submissions]

    def _quick(self, asked: RecordSubmission, latest: Instant) -> FirstRevision | None:
        """The row when it is plainly right, else None: it may still be right.

        Every look at a field of a message costs as much as a dozen bytes compared, so what rows share is recognised by
        its bytes: a content is serialised in order of field numbers, the kind, the two times, the rest.
        """
        if asked.HasField("correction"):
            return None
        content = asked.content
        body = content.SerializeToString()
        try:
            if body[2] != _SAMPLED_AT:
                return None
            end = 4 + body[3]
            if body[end] == _REPORTED_AT:
                end += 2 + body[end + 1]
        except IndexError:
            return None
        region = asked.region
        kind = self._kinds.get((region, body[:2], body[end:])) or self._learn(
            region, body[:2], body[end:], content, latest
        )
        if kind is None:
            return None
        moment = content.sampled_at
        seconds, nanos = moment.seconds, moment.nanos
        sampled = seconds * SECOND + nanos // 1000
        reported: int | str = ""
        latest_of_both = sampled
        bound: int = latest
        if seconds < 0 or not 0 <= nanos < _NANOS:
            return None
        if kind.is_result:
            moment = content.reported_at
            seconds, nanos = moment.seconds, moment.nanos
            # No report comes before its sample.
            reported = bound = latest_of_both = seconds * SECOND + nanos // 1000
            # Zero is also what a report without a time reads as: the long way tells.
            if seconds <= 0 or not 0 <= nanos < _NANOS or bound > latest:
                return None
        elif content.HasField("reported_at"):
            return None
        source_id = asked.source_id
        if sampled > bound or fields.source_id(source_id):
            return None
        subject = asked.subject
        key = subject.person_key
        if len(key) != PERSON_KEY_BYTES:
            document = subject.document
            number = document.number
            # What the number begins with stays in each of its forms, unless something else than characters is in it.
            beginning = number[:_TELLING].lower()
            plain = number.isascii() and number.isalnum()
            if not plain or beginning in source_id.lower() or beginning in kind.laboratory:
                return None
            try:
                key = self._keys.of_number(document.type, number)
            except InvalidArgument:
                return None
        return _made(
            (
                region,
                source_id,
                key,
                sampled,
                latest_of_both,
                kind.weight,
                kind.laboratory,
                digest_of(kind.number, sampled, reported, kind.rest),
                first_body(kind.head, source_id, key, body),
                # What shares a kind is no copy.
                None,
            )
        )

    def _learn(self, region: str, before: bytes, after: bytes, content: RecordContent, latest: Instant) -> _Kind | None:
        # Of a row that is right in everything, all that it shares with others is.
        if content.HasField("origin") or self._regions(region) or content_violations(content, region, latest, 0):
            return None
        if len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        made = self._kinds[region, before, after] = _Kind(
            content.kind,
            content.kind == _RESULT,
            content.laboratory,
            int(weight_of(content)),
            TestRecord(region=region).SerializeToString(),
            digest_rest(content),
        )
        return made

    def _thorough(self, asked: RecordSubmission, now: Instant) -> Judged:
        found = self._regions(asked.region) + fields.source_id(asked.source_id)
        key = b""
        try:
            key = self._keys.of_subject(asked.subject, "subject")
        except InvalidArgument as error:
            found += error.violations
        content = asked.content
        correction = asked.correction if asked.HasField("correction") else None
        if not is_retraction(correction):
            found += content_violations(content, asked.region, now, self._skew)
        if correction is not None:
            found += correction_violations(correction)
        found = found or own_number_violations(asked)
        if found:
            return found
        if correction is not None:
            return Submission(RecordId(asked.region, asked.source_id), key, content, digest(content), correction)
        head = TestRecord(region=asked.region).SerializeToString()
        return FirstRevision(
            asked.region,
            asked.source_id,
            key,
            placed_at(content),
            latest_at(content),
            weight_of(content),
            content.laboratory,
            digest(content),
            first_body(head, asked.source_id, key, content.SerializeToString()),
            origin_of(content),
        )


def claims(rows: Sequence[Judged]) -> dict[RecordId, bytes | None]:
    """The ids of the valid rows, each with its person; of rows with one id the first counts."""
    found: dict[RecordId, bytes | None] = {}
    withdrawn: list[RecordId] = []
    for row in rows:
        if type(row) is FirstRevision:
            found.setdefault(RecordId(row.region, row.source_id), row.person_key)
        elif isinstance(row, Submission) and is_retraction(row.correction):
            withdrawn.append(row.id)
        elif isinstance(row, Submission):
            found.setdefault(row.id, row.person_key)
    for record_id in withdrawn:
        # What is only withdrawn begins no record.
        found.setdefault(record_id, None)
    return found


def decide_batch(
    rows: Sequence[Judged],
    distinct: int,
    histories: Mapping[RecordId, History],
    offered_by: str,
    denied: Callable[[History], Sequence[Violation]],
) -> Outcome:
    """Decides on a batch, given the revisions there are. `distinct` is the number of ids that `claims` found,
    `offered_by` whoever sends it; `denied` returns why whoever sends it may not change a record that is there."""
    firsts = [row for row in rows if isinstance(row, FirstRevision)]
    if not histories and distinct == len(firsts) == len(rows):
        # Every row is valid, its id alone in the batch, and new.
        return Outcome(firsts, created=len(firsts))
    firsts = []
    outcome = Outcome(firsts)
    seen: dict[RecordId, list[StoredRevision]] = {}
    for number, row in enumerate(rows):
        if isinstance(row, list):
            outcome.listed.append(Listed(number, _REFUSED, 0, row))
            continue
        record_id = row.id if isinstance(row, Submission) else RecordId(row.region, row.source_id)
        history: History = seen.get(record_id) or histories.get(record_id, ())
        if not history and isinstance(row, FirstRevision):
            firsts.append(row)
            outcome.created += 1
            seen[record_id] = [StoredRevision(1, row.person_key, row.digest, False, row.body)]
            continue
        if violations := denied(history):
            outcome.listed.append(Listed(number, _REFUSED, 0, violations))
            continue
        submission = row if isinstance(row, Submission) else _submission(record_id, row)
        decision = decide(history, submission)
        if decision.outcome == _CONFLICT:
            outcome.conflicts.append(of_submission(submission, decision, offered_by))
        if decision.appended is not None:
            outcome.further.append(decision.appended)
            seen[record_id] = [*history, decision.appended.as_stored()]
        if decision.outcome == _CREATED:
            outcome.created += 1
        else:
            outcome.listed.append(Listed(number, decision.outcome, decision.revision, decision.violations))
    return outcome


def _submission(record_id: RecordId, row: FirstRevision) -> Submission:
    return Submission(record_id, row.person_key, TestRecord.FromString(row.body).content, row.digest)
