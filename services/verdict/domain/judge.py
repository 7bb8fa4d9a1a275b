"""The verdict: one pure function from evidence, policies and two instants to an answer, in the steps of the design.

The same input, in whatever order the records come, gives the same answer.
"""

from collections.abc import Sequence

from msgspec import Struct

from services.common.instants import Instant
from services.verdict.domain import reasons, wording
from services.verdict.domain.admission import Admitted, admit
from services.verdict.domain.clauses import Met, met
from services.verdict.domain.compiled import CompiledPolicy
from services.verdict.domain.freshness import Completeness
from services.verdict.domain.model import (
    OPEN_POSITIVE,
    POSITIVE_POOL,
    Evidence,
    Ground,
    NoticeOutcome,
    Reason,
    Scope,
    Status,
    Test,
    Verdict,
)
from services.verdict.domain.notice import by_notice
from services.verdict.domain.policy_set import PolicySet, Standing
from services.verdict.domain.positives import any_positive, open_positives, retests_owed
from services.verdict.domain.sources import could_have_helped
from services.verdict.domain.waiting import awaited

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
    """The verdict at `at` on evidence whose laboratories stand as known at `known_at`.

    Raises NoPolicyInForce when the region has no policy at that instant.
    """
    standing = policies.standing(evidence.region, at)
    policy = standing.policy
    horizon = Completeness(at)
    horizon.note(standing.next_start)
    admitted = admit(evidence, at, known_at, horizon)
    in_scope = counting_for(admitted.tests, evidence.region, evidence.scope)
    answer = _against(admitted.tests, policy) or _for(evidence, standing, admitted, in_scope, at, horizon)
    since = policy.days.since(in_scope, evidence.region, at)
    if since is not None:
        horizon.note(since.turns_at)
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
        fresh_until=horizon.fresh_until,
        notice=answer.notice,
        national_would_recognise=answer.national_would_recognise,
        laboratories=admitted.laboratories,
        newest=in_scope[0] if in_scope else None,
    )


def counting_for(tests: tuple[Test, ...], region: str, scope: int) -> tuple[Test, ...]:
    """The tests that count for the person: with scope LOCAL those the region's own store keeps, by its own records."""
    if scope != Scope.LOCAL:
        return tests
    return tuple(kept for test in tests if (kept := _kept_by(region, test)) is not None)


def _kept_by(region: str, test: Test) -> Test | None:
    own = tuple(record for record in test.holdings if record.region == region)
    if len(own) == len(test.holdings):
        return test
    if not own:
        return None
    return Test(
        identity=test.identity,
        provenance=test.provenance,
        truth=test.truth,
        holdings=own,
        placed_at=test.placed_at,
        result=test.result,
        reported_at=test.reported_at,
        reports_at=test.reports_at,
    )


def _against(tests: Sequence[Test], policy: CompiledPolicy) -> Answer | None:
    """Step 1."""
    if not any_positive(tests):
        return None
    positives = open_positives(tests, policy.clearance)
    if positives:
        return Answer(
            status=Status.POSITIVE,
            grounds=tuple(Ground(OPEN_POSITIVE, wording.POSITIVE_GROUND, (test.holdings[0],)) for test, _ in positives),
            reasons=tuple(reasons.not_cleared(test, have, policy.clearance) for test, have in positives),
        )
    pools = retests_owed(tests)
    if pools:
        return Answer(
            status=Status.RETEST_REQUIRED,
            grounds=tuple(Ground(POSITIVE_POOL, wording.POOL_GROUND, (test.holdings[0],)) for test in pools),
            reasons=tuple(reasons.retest_owed(test) for test in pools),
        )
    return None


def _for(
    evidence: Evidence,
    standing: Standing,
    admitted: Admitted,
    tests: Sequence[Test],
    at: Instant,
    horizon: Completeness,
) -> Answer:
    """Steps 2 to 6."""
    policy = standing.policy
    notice, grounds = _recognise(standing, evidence.scope, tests, at)
    if grounds and notice != REFUSAL:
        for ground in grounds:
            horizon.note(ground.lapse)
        # Under the notice the region's own clauses refused, and say why.
        short = reasons.fell_short(evidence, policy, policy.clauses, admitted, tests, at, horizon) if notice else ()
        return Answer(
            status=Status.RECOGNISED,
            grounds=tuple(_ground(ground) for ground in grounds),
            reasons=short,
            valid_until=max(ground.valid_until for ground in grounds),
            notice=notice,
        )
    for refused in grounds:
        horizon.note(refused.lapse)
    would = evidence.scope == Scope.LOCAL and _would_national(standing, admitted.tests, at, horizon)
    enforced = standing.binds and policy.stance.enforce
    asked = (*policy.clauses, policy.stance.clause) if enforced and evidence.scope != Scope.LOCAL else policy.clauses
    short = reasons.fell_short(evidence, policy, asked, admitted, tests, at, horizon)
    if notice == REFUSAL:
        short = (reasons.notice_refused(grounds[0]), *short)
    notice_open = standing.binds and notice != REFUSAL
    silent = could_have_helped(evidence.coverage, evidence.region, evidence.scope, policy.clauses, notice_open)
    if silent:
        return Answer(
            status=Status.UNDETERMINED,
            reasons=(*(reasons.unreachable(source) for source in silent), *short),
            national_would_recognise=would,
        )
    # A refusal is an answer: it is not softened by a sample that is still awaited.
    waiting = None if notice == REFUSAL else awaited(policy.waiting, tests, at)
    if waiting is not None:
        horizon.note(waiting.lapse)
        return Answer(
            status=Status.PENDING,
            grounds=(_ground(waiting),),
            reasons=short,
            national_would_recognise=would,
        )
    return Answer(status=Status.NOT_RECOGNISED, reasons=short, notice=notice, national_would_recognise=would)


def _recognise(
    standing: Standing, scope: int, tests: Sequence[Test], at: Instant
) -> tuple[NoticeOutcome, tuple[Met, ...]]:
    """Steps 2 and 3: every clause that is met, else what the notice rests on."""
    own = tuple(found for clause in standing.policy.clauses if (found := met(clause, tests, at)) is not None)
    if own:
        return NONE, own
    outcome, found = by_notice(standing.policy.stance, standing.binds, scope, tests, at)
    return outcome, () if found is None else (found,)


def _would_national(standing: Standing, tests: Sequence[Test], at: Instant, horizon: Completeness) -> bool:
    """Whether the national database would help a holder who switched to the provincial one."""
    notice, grounds = _recognise(standing, Scope.NATIONAL, tests, at)
    if not grounds or notice == REFUSAL:
        return False
    horizon.note(max(ground.lapse for ground in grounds))
    return True


def _ground(found: Met) -> Ground:
    return Ground(found.clause.id, found.clause.text, found.evidence(), found.valid_until)
