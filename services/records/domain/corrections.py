"""Submissions that their source declares to correct what it said before."""

from dataclasses import replace

from hutong.records.v1.record_pb2 import RevisionAction
from hutong.records.v1.record_write_service_pb2 import Correction, CorrectionKind, SubmitOutcome

from services.common.errors import Violation
from services.common.requests import fields
from services.records.domain.decisions import (
    Decision,
    Submission,
    conflict,
    contradiction,
    decide_submission,
    last_equal,
    other_person,
    reported_before,
)
from services.records.domain.revisions import History, first_amended, next_after

_RETRACTION = CorrectionKind.CORRECTION_KIND_RETRACTION
_kind = fields.enumerated(CorrectionKind.values(), "CORRECTION_KIND", "更正方式", "kind of correction")


_UNORDERED = (
    "更正的报告时间早于已存内容，无法判断孰先孰后",
    "The correction was reported before what is stored, so which of the two is the newer cannot be told",
)


def correction_violations(correction: Correction, field: str = "correction") -> list[Violation]:
    """Everything wrong with a declaration. Reasons CORRECTION_KIND_*, CAUSE_*."""
    return _kind(correction.kind, f"{field}.kind") + fields.cause(correction.cause, f"{field}.cause")


def is_retraction(correction: Correction | None) -> bool:
    """Tells if a declaration withdraws, so that the content beside it counts for nothing."""
    return correction is not None and correction.kind == _RETRACTION


def decide(history: History, submission: Submission) -> Decision:
    """Decides on any submission, declared a correction or not."""
    if submission.correction is None:
        return decide_submission(history, submission)
    if is_retraction(submission.correction):
        return _retract(history, submission, submission.correction.cause)
    return _amend(history, submission, submission.correction.cause)


def _amend(history: History, submission: Submission, cause: str) -> Decision:
    """CREATED, AMENDED, UNCHANGED, ALREADY_RETRACTED or CONFLICT.

    What equals an earlier revision is a correction that has itself been corrected since, come late: it changes nothing.
    """
    if not history:
        # What it corrects never came here, and should it come late, it has been replaced.
        new = first_amended(submission.id, submission.person_key, submission.content, submission.digest, cause)
        return Decision(SubmitOutcome.SUBMIT_OUTCOME_CREATED, 1, new)
    current = history[-1]
    if current.person_key != submission.person_key:
        return other_person(current)
    seen = last_equal(history, submission.digest)
    if current.retracted:
        if seen is not None:
            return Decision(SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED, current.revision)
        return conflict(
            current,
            "source_id",
            "RECORD_RETRACTED",
            "该记录已撤回，不能再更正，请以新的样本编号重新提交",
            "The record was retracted and cannot be corrected; submit under another source_id",
        )
    if seen is not None and not seen.contested:
        return Decision(SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED, current.revision)
    # What was contested is compared too, all of it: when this very correction comes again, it stands there itself.
    settled = max(place for place, revision in enumerate(history) if not revision.contested)
    if any(reported_before(submission.content, one.message().content) for one in history[settled:]):
        if seen is not None:
            again = conflict(current, "content", "RECORD_CONFLICT", *_UNORDERED)
            return replace(again, against=seen.revision - 1)
        return contradiction(history, submission, *_UNORDERED)
    new = next_after(
        history,
        submission.id,
        submission.content,
        RevisionAction.REVISION_ACTION_AMENDED,
        cause,
        submission.digest,
    )
    return Decision(SubmitOutcome.SUBMIT_OUTCOME_AMENDED, new.revision, new)


def _retract(history: History, submission: Submission, cause: str) -> Decision:
    """RETRACTED, ALREADY_RETRACTED (also where nothing is stored to withdraw) or REFUSED."""
    if not history:
        return Decision(SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED, 0)
    current = history[-1]
    if current.person_key != submission.person_key:
        # A mistyped id must not withdraw another person's test; and there is nothing in it for anybody to settle.
        refused = SubmitOutcome.SUBMIT_OUTCOME_REFUSED
        return Decision(refused, current.revision, violations=other_person(current).violations)
    if current.retracted:
        return Decision(SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED, current.revision)
    content = current.message().content
    retracted = RevisionAction.REVISION_ACTION_RETRACTED
    new = next_after(history, submission.id, content, retracted, cause, current.digest)
    return Decision(SubmitOutcome.SUBMIT_OUTCOME_RETRACTED, new.revision, new)
