"""The reach of a policy: what was sampled and reported before that no clause, notice, held day or waiting time of
it can reach. It follows from what is loaded, so a version with a longer window simply looks back further.
"""

from services.common.instants import DAY
from services.verdict.domain.policy.compiled import CompiledPolicy


def reach(policy: CompiledPolicy) -> int:
    """Returns how far back the policy looks from an instant at which it is in force, in microseconds."""
    windows = [policy.waiting.window]
    for rules in policy.all_rules():
        windows += [clause.window for clause in rules.clauses]
        windows.append(rules.notice_rule.clause.window)
    # A held day is shown to the end of the next; the sampling day of a report by night is the day before.
    held = (policy.days.held_day + 3) * DAY if policy.days.held_day else 0
    return max(held, *(window.length for window in windows))
