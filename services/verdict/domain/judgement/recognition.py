"""Steps 3 and 4: which clauses are met, what the notice and a held day add, and until when some of it holds.

What the holder is told is the truth: recognition lasts until the last of these ends, however they take turns, and
through every version of the policy that starts meanwhile.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from services.common.instants import Instant
from services.verdict.domain.evidence.values import Check, Scope, Test
from services.verdict.domain.freshness import NEVER
from services.verdict.domain.policy.compiled import Rules
from services.verdict.domain.policy.policy_set import PolicyInForce, PolicySet
from services.verdict.domain.rules.clauses import MetClause, evaluate
from services.verdict.domain.rules.days import HeldDay


class Recognition(Struct, frozen=True):
    """The recognition at an instant: the clauses that are met, the held day, and what the notice protects, whether the
    region enforces it or refuses."""

    clauses: tuple[MetClause, ...]
    held: HeldDay | None
    protected: MetClause | None
    enforced: bool

    @property
    def own(self) -> bool:
        """Says whether the region's own rules recognise it."""
        return bool(self.clauses) or self.held is not None

    @property
    def holds(self) -> bool:
        """Says whether anything recognises it."""
        return self.own or (self.enforced and self.protected is not None)

    def ends(self) -> list[tuple[Instant, Instant]]:
        """Returns when each ground of recognition ends: the latest instant told, and the first at which it holds no
        more."""
        ends = [(met.valid_until, met.lapse) for met in self.clauses]
        if self.held is not None:
            ends.append((self.held.until, self.held.until))
        if self.enforced and self.protected is not None:
            ends.append((self.protected.valid_until, self.protected.lapse))
        return ends


def recognition(
    in_force: PolicyInForce, rules: Rules, scope: int, region: str, tests: Sequence[Test], at: Instant
) -> Recognition:
    """Returns what holds at `at`. `tests` are those that count in the scope, newest first, as they stand then."""
    met = tuple(result for clause in rules.clauses if (result := evaluate(clause, tests, at)) is not None)
    protected = None
    # A holder who switched to the provincial database asked what that alone says, so the notice does not come in.
    if in_force.binds and scope == Scope.NATIONAL:
        protected = evaluate(rules.notice_rule.clause, tests, at)
    return Recognition(met, _held(in_force, rules, region, tests, at), protected, rules.notice_rule.enforce)


def _held(in_force: PolicyInForce, rules: Rules, region: str, tests: Sequence[Test], at: Instant) -> HeldDay | None:
    """Returns the held day where the general rules judge and a clause of theirs would take the negative."""
    days = in_force.policy.days
    if not days.held_day or rules.of_a_scene:
        return None
    since = days.since(tests, region, at)
    if since is None or since.held is None:
        return None
    negative = since.held.negative
    return since.held if any(clause.accepts(negative) for clause in rules.clauses) else None


def recognised_until(
    policies: PolicySet,
    region: str,
    scope: int,
    check: Check,
    tests: Sequence[Test],
    at: Instant,
    now: Recognition,
) -> Instant:
    """Returns the latest instant until which, from `at` on and without a gap, something recognises these tests as they
    grow older; NEVER where the calendar ends first. `now` is what holds at `at`."""
    moment, holding, until = at, now, at
    reports = any(test.reports_at is not None for test in tests)
    while holding.holds:
        in_force = policies.in_force(region, moment)
        until, lapse = max(holding.ends())
        if until >= NEVER:
            return NEVER
        if in_force.next_start is not None and in_force.next_start < lapse:
            until = moment = in_force.next_start
        elif not reports:
            # Nothing that has ended comes back, unless a report that is known to come makes another test of a sample.
            return until
        else:
            moment = lapse
        holding = _at(policies, region, scope, check, tests, moment)
    return until


def _at(
    policies: PolicySet, region: str, scope: int, check: Check, tests: Sequence[Test], moment: Instant
) -> Recognition:
    in_force = policies.in_force(region, moment)
    rules = in_force.policy.rules(check.scene)
    if not in_force.asks(check.scene):
        return Recognition((), None, None, enforced=False)
    return recognition(in_force, rules, scope, region, [_as_it_stands(test, moment) for test in tests], moment)


def _as_it_stands(test: Test, moment: Instant) -> Test:
    if test.reports_at is None or test.reports_at > moment:
        return test
    return msgspec.structs.replace(test, result=test.content.result, reported_at=test.reports_at, reports_at=None)
