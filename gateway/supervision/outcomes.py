"""The outcomes of shown verdicts, as supervision counts them. Pure."""

from collections.abc import Sequence
from enum import IntEnum

from hutong.lookup.v1.evidence_service_pb2 import SourceStatus
from hutong.verdict.v1.verdict_pb2 import EvidenceRef, NoticeOutcome, Status, Verdict


class Measure(IntEnum):
    """The kinds of outcome that are counted. The numbers are stored: they are never given another meaning."""

    RECOGNISED = 1
    """Recognised by the region's own rules."""
    RECOGNISED_BY_NOTICE = 2
    """Recognised on the ground of the national notice alone."""
    REFUSED = 3
    """Not recognised, where the notice asks for nothing else."""
    REFUSED_AGAINST_NOTICE = 4
    """Refused although the notice binds, whatever the status."""
    UNDETERMINED = 5
    """A source that could have helped did not answer."""
    REPEAT_TEST_AVOIDED = 6
    """A test taken elsewhere was recognised."""


REFUSALS = frozenset((Measure.REFUSED, Measure.REFUSED_AGAINST_NOTICE, Measure.UNDETERMINED))
"""The measures whose questions are kept, to be opened again."""

_BY_STATUS = {
    Status.STATUS_RECOGNISED: Measure.RECOGNISED,
    Status.STATUS_NOT_RECOGNISED: Measure.REFUSED,
    Status.STATUS_UNDETERMINED: Measure.UNDETERMINED,
}


def measure_of(verdict: Verdict) -> Measure | None:
    """Returns what a verdict counts as; None for what is neither recognition nor refusal, such as a positive."""
    if verdict.notice == NoticeOutcome.NOTICE_OUTCOME_REFUSAL:
        return Measure.REFUSED_AGAINST_NOTICE
    if verdict.notice == NoticeOutcome.NOTICE_OUTCOME_ENFORCED and verdict.status == Status.STATUS_RECOGNISED:
        return Measure.RECOGNISED_BY_NOTICE
    return _BY_STATUS.get(verdict.status)


def foreign_test(verdict: Verdict) -> EvidenceRef | None:
    """Returns the test that a recognition rests on, when every one it rests on was taken in another region; None
    otherwise. A copy counts by its origin where the verdict tells it."""
    if verdict.status != Status.STATUS_RECOGNISED:
        return None
    evidence = [one for ground in verdict.grounds for one in ground.evidence]
    if not evidence or any(not _elsewhere(one, verdict) for one in evidence):
        return None
    return min(evidence, key=lambda one: (one.region, one.source_id))


def _elsewhere(reference: EvidenceRef, verdict: Verdict) -> bool:
    newest = verdict.newest_test
    if (newest.region, newest.source_id) == (reference.region, reference.source_id) and newest.content.origin.region:
        return newest.content.origin.region != verdict.region
    return reference.region != verdict.region


def silent_sources(verdict: Verdict) -> Sequence[str]:
    """Returns the sources that did not answer, ascending."""
    return sorted(one.source for one in verdict.coverage if one.status != SourceStatus.SOURCE_STATUS_OK)


def reason_codes(verdict: Verdict) -> Sequence[str]:
    """Returns the codes of what fell short, in their order, each once."""
    codes = [*(one.code for one in verdict.reasons), *(one.code for one in verdict.further_reasons)]
    return list(dict.fromkeys(codes))
