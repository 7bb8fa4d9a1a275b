"""Step 3, the national notice: a negative result from any channel and any origin has equal force inside the region's
own window, counted from its report (国务院联防联控机制, 2022-07-29).

It binds whatever the region's clauses say. A region that does not carry it out refuses, and the refusal is counted.
"""

from collections.abc import Sequence

from msgspec import Struct

from services.common.instants import Instant
from services.verdict.domain.evidence.values import Scope, Test
from services.verdict.domain.rules.clauses import Clause, MetClause, evaluate
from services.verdict.domain.verdict import NoticeOutcome


class NoticeRule(Struct, frozen=True):
    """How the region carries the notice out. `clause` is its own window in a clause's form: any origin, any channel,
    any tube, from the report on."""

    enforce: bool
    clause: Clause


def apply_notice(
    notice_rule: NoticeRule, binds: bool, scope: int, tests: Sequence[Test], at: Instant
) -> tuple[NoticeOutcome, MetClause | None]:
    """Returns what the notice makes of tests that meet no clause of the region's own. A holder who switched to the
    provincial database asked what that alone says, so the notice does not come in."""
    if not binds or scope != Scope.NATIONAL:
        return NoticeOutcome.NONE, None
    met = evaluate(notice_rule.clause, tests, at)
    if met is None:
        return NoticeOutcome.NONE, None
    return (NoticeOutcome.ENFORCED if notice_rule.enforce else NoticeOutcome.REFUSAL), met
