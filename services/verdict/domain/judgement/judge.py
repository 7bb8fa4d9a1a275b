"""The verdict: one pure function from evidence, policies and two instants to an answer, in the steps of the design.

The same input, in whatever order the records come, gives the same answer.
"""

from collections.abc import Sequence

from msgspec import Struct, structs

from services.common.instants import Instant
from services.verdict.domain.evidence.admission import Admitted, admit
from services.verdict.domain.evidence.values import Check, Evidence, Scope, Test
from services.verdict.domain.freshness import NextChange
from services.verdict.domain.judgement.recognition import Recognition, recognised_until, recognition
from services.verdict.domain.policy.compiled import CompiledPolicy, Rules
from services.verdict.domain.policy.policy_set import PolicyInForce, PolicySet
from services.verdict.domain.reasons import codes, wording
from services.verdict.domain.reasons.shortfall import MOST_SHOWN, Shortfall, fell_short, newest_of
from services.verdict.domain.rules.clauses import MetClause, evaluate
from services.verdict.domain.rules.exemptions import turns
from services.verdict.domain.rules.positives import any_positive, open_positives, retests_owed
from services.verdict.domain.rules.silence import silent_sources
from services.verdict.domain.rules.sources import could_have_helped
from services.verdict.domain.verdict import (
    EXEMPT_BY_AGE,
    HELD_DAY,
    NOTHING_REQUIRED,
    OPEN_POSITIVE,
    POSITIVE_POOL,
    Ground,
    NoticeOutcome,
    Status,
    Verdict,
)

THE_CODE_ITSELF = Check()
"""No place asks, and the date of birth is unknown."""


class Answer(Struct, frozen=True, kw_only=True):
    """The outcome of the steps."""

    status: Status
    grounds: tuple[Ground, ...] = ()
    shortfall: Shortfall = Shortfall()
    valid_until: Instant | None = None
    notice: NoticeOutcome = NoticeOutcome.NONE
    national_would_recognise: bool = False


class _Case(Struct, frozen=True, kw_only=True):
    """The case that is judged, and the policy. `in_scope` is what counts for the person, `everything` what counts
    against."""

    evidence: Evidence
    policies: PolicySet
    in_force: PolicyInForce
    rules: Rules
    check: Check
    at: Instant
    everything: Admitted
    in_scope: Admitted
    next_change: NextChange

    def recognition(self, scope: int, tests: Sequence[Test]) -> Recognition:
        return recognition(self.in_force, self.rules, scope, self.evidence.region, tests, self.at)


def judge(
    evidence: Evidence, policies: PolicySet, at: Instant, known_at: Instant, check: Check = THE_CODE_ITSELF
) -> Verdict:
    """Returns the verdict at `at` on evidence whose laboratories stand as known at `known_at`.

    Raises NoPolicyInForce when the region has no policy at that instant.
    """
    in_force = policies.in_force(evidence.region, at)
    policy = in_force.policy
    rules = policy.rules(check.scene)
    next_change = NextChange(at)
    next_change.note(in_force.next_start)
    everything = admit(evidence.records, evidence.laboratories, at, known_at, next_change)
    case = _Case(
        evidence=evidence,
        policies=policies,
        in_force=in_force,
        rules=rules,
        check=check,
        at=at,
        everything=everything,
        in_scope=_in_scope(evidence, everything, at, known_at, next_change),
        next_change=next_change,
    )
    answer = _counts_against(everything.tests, policy) or _nothing_asked(case) or _counts_for(case)
    answer = _for_all_that_is_silent(case, answer)
    tests = case.in_scope.tests
    since = policy.days.since(tests, evidence.region, at)
    if since is not None:
        next_change.note(since.turns_at)
        next_change.note(None if since.held is None else since.held.until)
    return Verdict(
        region=evidence.region,
        scope=evidence.scope,
        at=at,
        computed_at=known_at,
        status=answer.status,
        colour=policy.colours[answer.status],
        policy=policy.ref,
        grounds=answer.grounds,
        reasons=answer.shortfall.reasons,
        further_reasons=answer.shortfall.further,
        days_since_test=None if since is None else since.days,
        days_evidence=None if since is None else since.record,
        valid_until=answer.valid_until,
        fresh_until=next_change.fresh_until,
        notice=answer.notice,
        national_would_recognise=answer.national_would_recognise,
        laboratories=everything.laboratories,
        newest=tests[0] if tests else None,
        scene=check.scene,
        judged_by_scene_rules=rules.of_a_scene,
    )


def _in_scope(
    evidence: Evidence, everything: Admitted, at: Instant, known_at: Instant, next_change: NextChange
) -> Admitted:
    """Returns what counts for the person: with scope LOCAL what the region's own store holds, as it holds it, as though
    nobody else knew anything."""
    if evidence.scope != Scope.LOCAL or all(record.region == evidence.region for record in evidence.records):
        return everything
    own = [record for record in evidence.records if record.region == evidence.region]
    return admit(own, evidence.laboratories, at, known_at, next_change)


def _counts_against(tests: Sequence[Test], policy: CompiledPolicy) -> Answer | None:
    """Step 1: returns the answer where something counts against the person."""
    if not any_positive(tests):
        return None
    positives = open_positives(tests, policy.clearance)
    if positives:
        return Answer(
            status=Status.POSITIVE,
            grounds=tuple(
                Ground(OPEN_POSITIVE, wording.POSITIVE_GROUND, (test.records[0],)) for test, _ in positives[:MOST_SHOWN]
            ),
            shortfall=newest_of([codes.not_cleared(test, have, policy.clearance) for test, have in positives]),
        )
    pools = retests_owed(tests)
    if pools:
        return Answer(
            status=Status.RETEST_REQUIRED,
            grounds=tuple(
                Ground(POSITIVE_POOL, wording.POOL_GROUND, (test.records[0],)) for test in pools[:MOST_SHOWN]
            ),
            shortfall=newest_of([codes.retest_owed(test) for test in pools]),
        )
    return None


def _for_all_that_is_silent(case: _Case, answer: Answer) -> Answer:
    """Returns an answer that a positive would have made another, with what is to be said of sources that may have one;
    UNDETERMINED where that has been so for too long. Of whom nothing is asked nothing is withdrawn."""
    if answer.status in (Status.POSITIVE, Status.UNDETERMINED):
        return answer
    rule, silent = case.in_force.policy.silence, silent_sources(case.evidence.coverage, case.evidence.known_until)
    if not silent:
        return answer
    for instant in rule.turns(silent):
        case.next_change.note(instant)
    withdrawn = answer.status in (Status.RECOGNISED, Status.PENDING)
    too_long = rule.too_long(silent, case.at) if withdrawn else ()
    if too_long:
        return Answer(
            status=Status.UNDETERMINED, shortfall=answer.shortfall.led_by(codes.silent_too_long(too_long, rule))
        )
    marked = rule.marked(silent, case.at)
    ends = rule.ends(silent) if withdrawn else None
    valid_until = answer.valid_until
    return structs.replace(
        answer,
        shortfall=answer.shortfall.followed_by(codes.silent(marked)) if marked else answer.shortfall,
        valid_until=valid_until if ends is None or valid_until is None else min(valid_until, ends),
    )


def _nothing_asked(case: _Case) -> Answer | None:
    """Step 2: returns the answer where nothing is asked of anybody here, or nothing of this holder."""
    if not case.in_force.asks(case.check.scene):
        return Answer(
            status=Status.NOT_REQUIRED, grounds=(Ground(NOTHING_REQUIRED, wording.NOTHING_REQUIRED_GROUND, ()),)
        )
    age, born = case.rules.exempt_under, case.check.born
    if not age or born is None:
        return None
    birthday = turns(born, age)
    if birthday is not None and birthday <= case.at:
        return None
    case.next_change.note(birthday)
    return Answer(
        status=Status.NOT_REQUIRED, grounds=(Ground(EXEMPT_BY_AGE, wording.exempt_ground(age), (), birthday),)
    )


def _counts_for(case: _Case) -> Answer:
    """Steps 3 to 7: returns the answer where nothing counts against the person."""
    scope, tests = case.evidence.scope, case.in_scope.tests
    now = case.recognition(scope, tests)
    if now.holds:
        return _recognised(case, now)
    refused = now.protected
    if refused is not None:
        case.next_change.note(refused.lapse)
    notice = NoticeOutcome.NONE if refused is None else NoticeOutcome.REFUSAL
    national_helps = scope == Scope.LOCAL and _national_helps(case)
    enforced = case.in_force.binds and now.enforced and scope == Scope.NATIONAL
    short = _shortfall(case, with_notice=enforced)
    if refused is not None:
        short = short.led_by(codes.notice_refused(refused))
    silent = could_have_helped(
        case.evidence.coverage,
        case.evidence.region,
        scope,
        case.rules.clauses,
        notice_open=case.in_force.binds and refused is None,
        held_day=bool(case.in_force.policy.days.held_day) and not case.rules.of_a_scene,
    )
    if silent:
        return Answer(
            status=Status.UNDETERMINED,
            shortfall=short.led_by(*(codes.unreachable(source) for source in silent)),
            notice=notice,
            national_would_recognise=national_helps,
        )
    waiting = evaluate(case.in_force.policy.waiting, tests, case.at)
    if waiting is not None:
        case.next_change.note(waiting.lapse)
        return Answer(
            status=Status.PENDING,
            grounds=(_ground(waiting),),
            shortfall=short,
            notice=notice,
            national_would_recognise=national_helps,
        )
    return Answer(status=Status.NOT_RECOGNISED, shortfall=short, notice=notice, national_would_recognise=national_helps)


def _recognised(case: _Case, now: Recognition) -> Answer:
    grounds = [_ground(met) for met in now.clauses]
    for met in now.clauses:
        case.next_change.note(met.lapse)
    if not grounds and now.held is not None:
        held = now.held
        evidence = (held.negative.records[0], held.sample.records[0])
        grounds.append(Ground(HELD_DAY, wording.HELD_GROUND, evidence, held.until))
    notice, short = NoticeOutcome.NONE, Shortfall()
    if not now.own and now.protected is not None:
        grounds.append(_ground(now.protected))
        case.next_change.note(now.protected.lapse)
        # Under the notice the region's own clauses refused, and say why.
        notice, short = NoticeOutcome.ENFORCED, _shortfall(case, with_notice=False)
    return Answer(
        status=Status.RECOGNISED,
        grounds=tuple(grounds),
        shortfall=short,
        valid_until=recognised_until(
            case.policies,
            case.evidence.region,
            case.evidence.scope,
            case.check,
            case.in_scope.tests,
            case.at,
            now,
        ),
        notice=notice,
    )


def _shortfall(case: _Case, *, with_notice: bool) -> Shortfall:
    clauses = (*case.rules.clauses, case.rules.notice_rule.clause) if with_notice else case.rules.clauses
    return fell_short(
        case.evidence,
        case.in_force.policy,
        clauses,
        case.everything,
        case.in_scope,
        case.at,
        case.next_change,
    )


def _national_helps(case: _Case) -> bool:
    """Says whether the national database would help a holder who switched to the provincial one."""
    national = case.recognition(Scope.NATIONAL, case.everything.tests)
    if not national.holds:
        return False
    case.next_change.note(max(lapse for _, lapse in national.ends()))
    return True


def _ground(met: MetClause) -> Ground:
    return Ground(met.clause.id, met.clause.text, met.evidence(), met.valid_until)
