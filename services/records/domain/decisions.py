"""Decisions on a submission, an amendment or a retraction, given the revisions there are."""

from dataclasses import dataclass, replace

from hutong.records.v1.record_pb2 import RecordContent, RecordKind, RevisionAction
from hutong.records.v1.record_write_service_pb2 import Correction, SubmitOutcome

from services.common.errors import FailedPrecondition, NotFound, Text, Violation
from services.common.instants import from_timestamp
from services.common.requests.violations import violation
from services.records.domain.content import digest
from services.records.domain.gravity import gravity
from services.records.domain.revisions import (
    History,
    NewRevision,
    RecordId,
    StoredRevision,
    first,
    next_after,
    taken_over,
)

# Looked up once: an enum's wrapper finds its numbers by name at every access.
_CREATED = SubmitOutcome.SUBMIT_OUTCOME_CREATED
_UNCHANGED = SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED
_RESULT_ADDED = SubmitOutcome.SUBMIT_OUTCOME_RESULT_ADDED
_ALREADY_RETRACTED = SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED
_CONFLICT = SubmitOutcome.SUBMIT_OUTCOME_CONFLICT

RESULT_CAUSE = "检测结果已报告 / result reported"
"""The cause of the revision by which a sampling record receives its result."""
CONTESTED_CAUSE = (
    "同一样本的两份陈述互相矛盾，处理之前以较重者为准 / two statements about one sample contradict each other: the "
    "graver stands until somebody has settled it"
)
"""The cause of the revision by which a contradicting statement stands until the conflict is settled."""

_OTHER_CONTENT = Text(
    "该样本编号下已有不同内容：如为更正请声明（修订），否则待人处理，其间以较重者为准",
    "Other content is stored under this source_id: declare a correction, or it waits for somebody, and the graver of "
    "the two stands meanwhile",
)


@dataclass(frozen=True, slots=True)
class Submission:
    """One valid submission, its person and content resolved to what is compared. `correction` is what its source
    declares it to be; a retraction's content counts for nothing."""

    id: RecordId
    person_key: bytes
    content: RecordContent
    digest: bytes
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a submission: `appended` where something is stored, `violations` where it conflicts or is
    refused.

    `revision` is the number of the current revision afterwards, `against` that of the revision a conflict is with.
    """

    outcome: SubmitOutcome.ValueType
    revision: int
    appended: NewRevision | None = None
    violations: tuple[Violation, ...] = ()
    against: int = 0


def conflict(current: StoredRevision, field: str, reason: str, zh: str, en: str) -> Decision:
    """Returns a submission that contradicts the current revision and changes nothing."""
    return Decision(_CONFLICT, current.revision, None, tuple(violation(field, reason, zh, en)), current.revision)


def other_person(current: StoredRevision) -> Decision:
    """Returns a submission for another person than the one whose the id is."""
    return conflict(
        current,
        "subject",
        "PERSON_CONFLICT",
        "该样本编号已登记在另一人名下",
        "Another person's test is stored under this source_id",
    )


def contradiction(history: History, submission: Submission, zh: str, en: str) -> Decision:
    """A submission that contradicts the current revision: a conflict; the graver of the two stands until it is settled.

    What was declared a correction is not undone meanwhile by a statement that was reported before it.
    """
    current = history[-1]
    found = conflict(current, "content", "RECORD_CONFLICT", zh, en)
    record = current.message()
    replaced = record.action == RevisionAction.REVISION_ACTION_AMENDED and reported_before(
        submission.content, record.content
    )
    if replaced or gravity(submission.content) <= gravity(record.content):
        return found
    new = next_after(
        history,
        submission.id,
        submission.content,
        RevisionAction.REVISION_ACTION_CONTESTED,
        CONTESTED_CAUSE,
        submission.digest,
    )
    return Decision(_CONFLICT, new.revision, new, found.violations, current.revision)


def reported_before(one: RecordContent, other: RecordContent) -> bool:
    """Tells if a statement was reported before another; what bears no report came before any."""
    if not other.HasField("reported_at"):
        return False
    return not one.HasField("reported_at") or from_timestamp(one.reported_at) < from_timestamp(other.reported_at)


def last_equal(history: History, content_digest: bytes) -> StoredRevision | None:
    """Returns the newest revision that says this."""
    return next((revision for revision in reversed(history) if revision.digest == content_digest), None)


def _is_result_of(sampling: RecordContent, content: RecordContent) -> bool:
    return (
        sampling.kind == RecordKind.RECORD_KIND_SAMPLING
        and content.kind == RecordKind.RECORD_KIND_RESULT
        and content.HasField("sampled_at")
        and from_timestamp(sampling.sampled_at) == from_timestamp(content.sampled_at)
        and sampling.tube == content.tube
        and sampling.laboratory == content.laboratory
    )


def decide_submission(history: History, submission: Submission) -> Decision:
    """CREATED, UNCHANGED, RESULT_ADDED, ALREADY_RETRACTED or CONFLICT.

    Content equal to *any* revision's is a duplicate, however late: it neither undoes an amendment nor resurrects what
    was retracted. Content that was taken for the time being, because it is the graver of two statements, remains the
    conflict that it was, also when it comes again. Other content under a retracted record's id is a conflict, for
    someone to see.
    """
    if not history:
        new = first(submission.id, submission.person_key, submission.content, submission.digest)
        return Decision(_CREATED, 1, new)
    current = history[-1]
    if current.person_key != submission.person_key:
        return other_person(current)
    seen = last_equal(history, submission.digest)
    if current.retracted:
        if seen:
            return Decision(_ALREADY_RETRACTED, current.revision)
        return conflict(
            current,
            "source_id",
            "RECORD_RETRACTED",
            "该记录已撤回，请以新的样本编号重新提交",
            "The record was retracted; submit under another source_id",
        )
    if seen is not None:
        if not seen.contested:
            return Decision(_UNCHANGED, current.revision)
        again = conflict(current, "content", "RECORD_CONFLICT", _OTHER_CONTENT.zh, _OTHER_CONTENT.en)
        return replace(again, against=seen.revision - 1)
    if _is_result_of(current.message().content, submission.content):
        new = next_after(
            history,
            submission.id,
            submission.content,
            RevisionAction.REVISION_ACTION_AMENDED,
            RESULT_CAUSE,
            submission.digest,
        )
        return Decision(_RESULT_ADDED, new.revision, new)
    return contradiction(history, submission, _OTHER_CONTENT.zh, _OTHER_CONTENT.en)


def decide_amendment(
    history: History, record_id: RecordId, revision: int, content: RecordContent, cause: str
) -> NewRevision | StoredRevision:
    """The revision that replaces `revision`; or the stored one where it says what the request asks for already, in a
    retry or when the content does not change.

    Raises NotFound (RECORD_NOT_FOUND) and FailedPrecondition (REVISION_MISMATCH, RECORD_RETRACTED).
    """
    current = _current(history)
    content_digest = digest(content)
    if (
        not current.retracted
        and current.digest == content_digest
        and (current.revision == revision or _repeats(current, revision, cause))
    ):
        return current
    _require(current, revision)
    if current.retracted:
        raise record_retracted(current)
    return next_after(
        history, record_id, content, RevisionAction.REVISION_ACTION_AMENDED, cause, content_digest=content_digest
    )


def decide_retraction(history: History, record_id: RecordId, revision: int, cause: str) -> NewRevision | StoredRevision:
    """Returns the retraction of `revision`, or the stored one when the request is a retry.

    Raises NotFound (RECORD_NOT_FOUND) and FailedPrecondition (REVISION_MISMATCH, RECORD_RETRACTED).
    """
    current = _current(history)
    if current.retracted and _repeats(current, revision, cause):
        return current
    _require(current, revision)
    if current.retracted:
        raise record_retracted(current)
    content = current.message().content
    return next_after(
        history, record_id, content, RevisionAction.REVISION_ACTION_RETRACTED, cause, content_digest=current.digest
    )


def decide_taking_over(
    history: History,
    record_id: RecordId,
    revision: int,
    person_key: bytes,
    content: RecordContent,
    cause: str,
    *,
    after: int = 0,
) -> NewRevision:
    """Returns the revision by which a record becomes another person's, who has or had it up to revision `after`.

    Numbers go on over both, the retraction that ends the former's included: no number names two things. Raises as
    decide_amendment does, but for RECORD_RETRACTED.
    """
    current = _current(history)
    _require(current, revision)
    number = max(revision + (1 if current.retracted else 2), after + 1)
    return taken_over(record_id, number, person_key, content, cause)


def record_not_found() -> NotFound:
    """Returns the error for a record that is not here."""
    return NotFound("RECORD_NOT_FOUND", "没有该记录", "There is no such record")


def _current(history: History) -> StoredRevision:
    if not history:
        raise record_not_found()
    return history[-1]


def _repeats(current: StoredRevision, revision: int, cause: str) -> bool:
    return current.revision == revision + 1 and current.message().cause == cause


def _require(current: StoredRevision, revision: int) -> None:
    if current.revision != revision:
        raise FailedPrecondition(
            "REVISION_MISMATCH",
            f"当前版本为{current.revision}，与所指版本不符",
            f"The current revision is {current.revision}, not the one named",
            {"current_revision": str(current.revision)},
        )


def record_retracted(current: StoredRevision) -> FailedPrecondition:
    """Returns the error for a record that was retracted."""
    return FailedPrecondition(
        "RECORD_RETRACTED",
        "该记录已撤回",
        "The record was retracted",
        {"current_revision": str(current.revision)},
    )
