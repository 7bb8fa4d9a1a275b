"""The verdict: one pure function from evidence, policies and two instants to an answer, in the steps of the design.

The same input, in whatever order the records come, gives the same answer.
"""

from collections.abc import Sequence

from msgspec import Struct

from services.common.instants import Instant
from services.verdict.domain.evidence.admission import Admitted, admit
from services.verdict.domain.evidence.values import Evidence, Scope, Test
from services.verdict.domain.freshness import NextChange
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.policy.policy_set import PolicyInForce, PolicySet
from services.verdict.domain.reasons import shortfall, wording
from services.verdict.domain.rules.clauses import MetClause, evaluate
from services.verdict.domain.rules.notice import apply_notice
from services.verdict.domain.rules.positives import any_positive, open_positives, retests_owed
from services.verdict.domain.rules.sources import could_have_helped
from services.verdict.domain.verdict import (
    OPEN_POSITIVE,
    POSITIVE_POOL,
    Ground,
    NoticeOutcome,
    Reason,
    Status,
    Verdict,
)

NONE, ENFORCED, REFUSAL = NoticeOutcome.NONE, NoticeOutcome.ENFORCED, NoticeOutcome.REFUSAL


class Answer(Struct, frozen=True, kw_only=True):
    """What the steps came to."""

    status: Status
    grounds: tuple[Ground, ...] = ()
    reasons: tuple[Reason, ...] = ()
    valid_until: Instant | None = None
    notice: NoticeOutcome = NONE
    national_would_recognise: bool = False


def judge(evidence: Evidence, policies: PolicySet, at: Instant, known_at: Instant) -> Verdict:
    """Returns the verdict at `at` on evidence whose laboratories stand as known at `known_at`.

    Raises NoPolicyInForce when the region has no policy at that instant.
    """
    in_force = policies.in_force(evidence.region, at)
    policy = in_force.policy
    next_change = NextChange(at)
    next_change.note(in_force.next_start)
    admitted = admit(evidence.records, evidence.laboratories, at, known_at, next_change)
    in_scope = _in_scope(admitted.tests, evidence.region, evidence.scope)
    answer = _counts_against(admitted.tests, policy) or _counts_for(
        evidence, in_force, admitted, in_scope, at, next_change
    )
    since = policy.days.since(in_scope, evidence.region, at)
    if since is not None:
        next_change.note(since.turns_at)
    return Verdict(
        region=evidence.region,
        scope=evidence.scope,
        at=at,
        computed_at=known_at,
        status=answer.status,
        colour=policy.colours[answer.status],
        policy=policy.ref,
        grounds=answer.grounds,
        reasons=answer.reasons,
        days_since_test=None if since is None else since.days,
        days_evidence=None if since is None else since.record,
        valid_until=answer.valid_until,
        fresh_until=next_change.fresh_until,
        notice=answer.notice,
        national_would_recognise=answer.national_would_recognise,
        laboratories=admitted.laboratories,
        newest=in_scope[0] if in_scope else None,
    )


def _in_scope(tests: tuple[Test, ...], region: str, scope: int) -> tuple[Test, ...]:
    """Returns the tests that count for the person: with scope LOCAL those the region's own store keeps, by its own
    records."""
    if scope != Scope.LOCAL:
        return tests
    return tuple(kept for test in tests if (kept := _kept_by(region, test)) is not None)


def _kept_by(region: str, test: Test) -> Test | None:
    own = tuple(record for record in test.records if record.region == region)
    if len(own) == len(test.records):
        return test
    if not own:
        return None
    return Test(
        identity=test.identity,
        origin_region=test.origin_region,
        content=test.content,
        records=own,
        taken_at=test.taken_at,
        result=test.result,
        reported_at=test.reported_at,
        reports_at=test.reports_at,
    )


def _counts_against(tests: Sequence[Test], policy: CompiledPolicy) -> Answer | None:
    """Step 1: returns the answer where something counts against the person."""
    if not any_positive(tests):
        return None
    positives = open_positives(tests, policy.clearance)
    if positives:
        return Answer(
            status=Status.POSITIVE,
            grounds=tuple(Ground(OPEN_POSITIVE, wording.POSITIVE_GROUND, (test.records[0],)) for test, _ in positives),
            reasons=tuple(shortfall.not_cleared(test, have, policy.clearance) for test, have in positives),
        )
    pools = retests_owed(tests)
    if pools:
        return Answer(
            status=Status.RETEST_REQUIRED,
            grounds=tuple(Ground(POSITIVE_POOL, wording.POOL_GROUND, (test.records[0],)) for test in pools),
            reasons=tuple(shortfall.retest_owed(test) for test in pools),
        )
    return None


def _counts_for(
    evidence: Evidence,
    in_force: PolicyInForce,
    admitted: Admitted,
    tests: Sequence[Test],
    at: Instant,
    next_change: NextChange,
) -> Answer:
    """Steps 2 to 6: returns the answer where nothing counts against the person."""
    policy = in_force.policy
    notice, grounds = _recognise(in_force, evidence.scope, tests, at)
    if grounds and notice != REFUSAL:
        for ground in grounds:
            next_change.note(ground.lapse)
        # Under the notice the region's own clauses refused, and say why.
        short = (
            shortfall.fell_short(evidence, policy, policy.clauses, admitted, tests, at, next_change) if notice else ()
        )
        return Answer(
            status=Status.RECOGNISED,
            grounds=tuple(_ground(ground) for ground in grounds),
            reasons=short,
            valid_until=max(ground.valid_until for ground in grounds),
            notice=notice,
        )
    for refused in grounds:
        next_change.note(refused.lapse)
    national_helps = evidence.scope == Scope.LOCAL and _national_helps(in_force, admitted.tests, at, next_change)
    enforced = in_force.binds and policy.notice_rule.enforce
    asked = (
        (*policy.clauses, policy.notice_rule.clause) if enforced and evidence.scope != Scope.LOCAL else policy.clauses
    )
    short = shortfall.fell_short(evidence, policy, asked, admitted, tests, at, next_change)
    if notice == REFUSAL:
        short = (shortfall.notice_refused(grounds[0]), *short)
    notice_open = in_force.binds and notice != REFUSAL
    silent = could_have_helped(evidence.coverage, evidence.region, evidence.scope, policy.clauses, notice_open)
    if silent:
        return Answer(
            status=Status.UNDETERMINED,
            reasons=(*(shortfall.unreachable(source) for source in silent), *short),
            national_would_recognise=national_helps,
        )
    # A refusal is an answer: it is not softened by a sample that is still awaited.
    waiting = None if notice == REFUSAL else evaluate(policy.waiting, tests, at)
    if waiting is not None:
        next_change.note(waiting.lapse)
        return Answer(
            status=Status.PENDING,
            grounds=(_ground(waiting),),
            reasons=short,
            national_would_recognise=national_helps,
        )
    return Answer(status=Status.NOT_RECOGNISED, reasons=short, notice=notice, national_would_recognise=national_helps)


def _recognise(
    in_force: PolicyInForce, scope: int, tests: Sequence[Test], at: Instant
) -> tuple[NoticeOutcome, tuple[MetClause, ...]]:
    """Steps 2 and 3: returns every clause that is met, else what the notice rests on."""
    met = tuple(
        clause_met for clause in in_force.policy.clauses if (clause_met := evaluate(clause, tests, at)) is not None
    )
    if met:
        return NONE, met
    outcome, protected = apply_notice(in_force.policy.notice_rule, in_force.binds, scope, tests, at)
    return outcome, () if protected is None else (protected,)


def _national_helps(in_force: PolicyInForce, tests: Sequence[Test], at: Instant, next_change: NextChange) -> bool:
    """Says whether the national database would help a holder who switched to the provincial one."""
    notice, grounds = _recognise(in_force, Scope.NATIONAL, tests, at)
    if not grounds or notice == REFUSAL:
        return False
    next_change.note(max(ground.lapse for ground in grounds))
    return True


def _ground(met: MetClause) -> Ground:
    return Ground(met.clause.id, met.clause.text, met.evidence(), met.valid_until)
