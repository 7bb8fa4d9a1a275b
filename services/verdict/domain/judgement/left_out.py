"""Could a verdict be another one, had nothing been left out of the evidence?

Stores leave out what is too old for every rule, but for what counts against the holder with what clears it. Leaving
out a negative can only make the verdict graver: so one that holds a positive against somebody is asked again, unless
everything since that positive was given. So is one that tells the days since a test, or the newest test, that might
not be the newest there is.
"""

from services.common.instants import Instant, calendar_day
from services.common.regions import NATION
from services.verdict.domain.evidence.admission import admit
from services.verdict.domain.evidence.values import Evidence, Scope
from services.verdict.domain.freshness import NextChange
from services.verdict.domain.policy.policy_set import PolicySet
from services.verdict.domain.verdict import Status, Verdict


def may_be_another(verdict: Verdict, evidence: Evidence, policies: PolicySet) -> bool:
    """Says whether the verdict on this evidence could be another one on all that the stores have."""
    if not evidence.left_out:
        return False
    before = max(left_out.before for left_out in evidence.left_out.values())
    in_force = policies.in_force(evidence.region, verdict.at)
    if before > in_force.looks_back_to(verdict.at):
        return True
    if verdict.status in (Status.POSITIVE, Status.RETEST_REQUIRED) and _against_since(verdict, evidence) < before:
        return True
    own_left_out = evidence.left_out.get(evidence.region)
    own = None if own_left_out is None else own_left_out.before
    local = evidence.scope == Scope.LOCAL
    return (
        _newest_may_be_another(verdict, own if local else before)
        or _days_may_be_others(verdict, own if local or in_force.policy.days.own_records else before)
        or _an_original_may_be_missing(evidence)
    )


def _newest_may_be_another(verdict: Verdict, before: Instant | None) -> bool:
    return before is not None and (verdict.newest is None or verdict.newest.taken_at < before)


def _days_may_be_others(verdict: Verdict, before: Instant | None) -> bool:
    if before is None:
        return False
    if verdict.days_since_test is None:
        return True
    return calendar_day(verdict.at) - verdict.days_since_test <= calendar_day(before)


def _against_since(verdict: Verdict, evidence: Evidence) -> Instant:
    """Returns when the oldest test was taken that the verdict holds against the person."""
    grounds = {record for ground in verdict.grounds for record in ground.evidence}
    at, known_at = verdict.at, verdict.computed_at
    tests = admit(evidence.records, evidence.laboratories, at, known_at, NextChange(at)).tests
    return min((test.taken_at for test in tests if test.records[0] in grounds), default=at)


def _an_original_may_be_missing(evidence: Evidence) -> bool:
    """Tells if an original may be left out. A store that keeps a copy gives its original with it; the nation keeps all.
    Only where other regions speak for themselves may one be left out by a store that does not know of the copy."""
    if evidence.coverage.get(NATION) and evidence.coverage.keys() <= {NATION, evidence.region}:
        return False
    there = {(record.region, record.source_id) for record in evidence.records}
    return any(
        record.origin is not None
        and record.origin.source_id != ""
        and (record.origin.region, record.origin.source_id) not in there
        for record in evidence.records
    )
