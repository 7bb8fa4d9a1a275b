"""The reach of a policy: what was sampled and reported before that no clause, notice, held day or waiting time of
it can reach. It follows from what is loaded, so a version with a longer window simply looks back further.
"""

from services.common.instants import DAY, Instant
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.policy.policy_set import PolicySet


def reach(policy: CompiledPolicy) -> int:
    """Returns how far back the policy looks from an instant at which it is in force, in microseconds."""
    windows = [policy.waiting.window]
    for rules in policy.all_rules():
        windows += [clause.window for clause in rules.clauses]
        windows.append(rules.notice_rule.clause.window)
    # A held day is shown to the end of the next; the sampling day of a report by night is the day before.
    held = (policy.days.held_day + 3) * DAY if policy.days.held_day else 0
    return max(held, *(window.length for window in windows))


def looks_back_to(policies: PolicySet, region: str, at: Instant) -> Instant:
    """Returns the instant from which on tests can matter to a verdict at `at`, also to how long it will hold: what is
    recognised may go on being so by a later version. Raises NoPolicyInForce."""
    in_force = policies.in_force(region, at)
    since = at - reach(in_force.policy)
    while in_force.next_start is not None:
        start = in_force.next_start
        in_force = policies.in_force(region, start)
        since = min(since, start - reach(in_force.policy))
    return Instant(since)
