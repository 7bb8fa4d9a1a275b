"""Step 7, what fell short and what would have been enough: for each clause the newest tests that came nearest to it,
and how many more for each reason; one for every clause that no test came near. Instants are given, never ages, so that
what is said stays true until the answer changes.
"""

from collections.abc import Sequence

from msgspec import Struct

from services.common.errors import Text
from services.common.instants import Instant
from services.verdict.domain.evidence.admission import Admitted, Refusal
from services.verdict.domain.evidence.values import ANY_REGION, NOTHING_LEFT_OUT, Evidence, Result, Scope, Test
from services.verdict.domain.freshness import NextChange
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.reasons.codes import (
    CHANNEL_NOT_ACCEPTED,
    INCONCLUSIVE,
    NO_EVIDENCE,
    ORIGIN_NOT_ACCEPTED,
    OUTSIDE_SCOPE,
    POSITIVE_CLEARED,
    RESULT_AWAITED,
    RESULT_OVERDUE,
    SAMPLING_TIME_UNKNOWN,
    TOO_FEW_TESTS,
    TUBE_NOT_ACCEPTED,
    WINDOW_EXPIRED,
    about_test,
    left_out,
    nothing_found,
    outside_scope,
    refused,
)
from services.verdict.domain.rules.clauses import Clause
from services.verdict.domain.verdict import Reason, ReasonCount

# How near a test came to a clause: the later of its conditions that failed first.
_KIND, _ORIGIN, _CHANNEL, _TUBE, _SAMPLING, _WINDOW, _COUNT = range(7)
_CODES = {
    _ORIGIN: ORIGIN_NOT_ACCEPTED,
    _CHANNEL: CHANNEL_NOT_ACCEPTED,
    _TUBE: TUBE_NOT_ACCEPTED,
    _SAMPLING: SAMPLING_TIME_UNKNOWN,
    _WINDOW: WINDOW_EXPIRED,
    _COUNT: TOO_FEW_TESTS,
}


MOST_SHOWN = 3
"""Of what fell short, so many are given for each clause; older ones are counted."""

_WITHOUT_CLAUSE, _OUTSIDE, _NOT_ADMITTED = "", "OUTSIDE", "NOT_ADMITTED"
"""What is not about a clause is given by threes as well: tests, those outside the scope, records not admitted."""


class Shortfall(Struct, frozen=True):
    """The reasons of what fell short: the newest in full, the older ones counted."""

    reasons: tuple[Reason, ...] = ()
    further: tuple[ReasonCount, ...] = ()

    def led_by(self, *leading: Reason) -> "Shortfall":
        """Returns the same with other reasons before it."""
        return Shortfall((*leading, *self.reasons), self.further)

    def followed_by(self, *last: Reason) -> "Shortfall":
        """Returns the same with other reasons after it."""
        return Shortfall((*self.reasons, *last), self.further)


class _Collector:
    """Gives the newest of each group, which come first, and counts the rest by clause and code. Words that were said
    are not said again."""

    def __init__(self) -> None:
        self._reasons: list[Reason] = []
        self._shown: dict[str, int] = {}
        self._further: dict[tuple[str, str], int] = {}
        self._left_out: list[ReasonCount] = []
        self._said: set[tuple[str, Text]] = set()
        self.clauses: set[str] = set()

    def has_room(self, group: str) -> bool:
        return self._shown.get(group, 0) < MOST_SHOWN

    def add(self, group: str, reason: Reason) -> None:
        self._shown[group] = self._shown.get(group, 0) + 1
        self.clauses.add(reason.clause)
        if reason.text is not None and (said := (reason.code, reason.text)) in self._said:
            reason = Reason(reason.code, None, reason.clause, reason.evidence, reason.ended_at)
        elif reason.text is not None:
            self._said.add(said)
        self._reasons.append(reason)

    def count(self, code: str, clause: str = "") -> None:
        self.clauses.add(clause)
        self._further[code, clause] = self._further.get((code, clause), 0) + 1

    def count_left_out(self, code: str, count: int, *, at_least: bool) -> None:
        if count > 0:
            self._left_out.append(
                ReasonCount(code, "", count, left_out(code, count, at_least=at_least), at_least=at_least)
            )

    def shortfall(self) -> Shortfall:
        return Shortfall(
            tuple(self._reasons),
            (*(ReasonCount(code, clause, count) for (code, clause), count in self._further.items()), *self._left_out),
        )


def fell_short(
    evidence: Evidence,
    policy: CompiledPolicy,
    clauses: Sequence[Clause],
    everything: Admitted,
    in_scope: Admitted,
    at: Instant,
    next_change: NextChange,
) -> Shortfall:
    """Returns the reasons why the tests that count in the scope meet none of the clauses, newest first; then the
    clauses that no test came near; then what was not admitted. What was left out of the evidence, being older than any
    window reaches, is counted. Notes when any of them turns."""
    region, scope = evidence.region, evidence.scope
    collector = _Collector()
    for test in in_scope.tests:
        nearness = [_nearness(clause, test, at, next_change) for clause in clauses]
        # Of clauses that it came equally near to, the first.
        nearest = max(nearness)
        clause = clauses[nearness.index(nearest)]
        code, about = _code(test, clause, nearest, policy, at, next_change)
        group = _WITHOUT_CLAUSE if about is None else about.id
        if collector.has_room(group):
            collector.add(group, about_test(code, test, about, policy))
        else:
            collector.count(code, group)
    for clause in clauses:
        if clause.id not in collector.clauses:
            collector.add(clause.id, nothing_found(clause))
    if scope == Scope.LOCAL:
        for test in everything.tests:
            if any(record.region == region for record in test.records):
                continue
            if collector.has_room(_OUTSIDE):
                collector.add(_OUTSIDE, outside_scope(test, region))
            else:
                collector.count(OUTSIDE_SCOPE)
    newest = sorted(everything.refused, key=_newest_first)[:MOST_SHOWN]
    for refusal in everything.refused:
        if refusal in newest:
            collector.add(_NOT_ADMITTED, refused(refusal))
        else:
            collector.count(refusal.code)
    if evidence.left_out:
        _count_left_out(collector, evidence)
    return collector.shortfall()


def _count_left_out(collector: _Collector, evidence: Evidence) -> None:
    missing = evidence.left_out.get(ANY_REGION, NOTHING_LEFT_OUT)
    if evidence.scope == Scope.NATIONAL:
        collector.count_left_out(WINDOW_EXPIRED, missing.records, at_least=missing.at_least)
        return
    own = evidence.left_out.get(evidence.region, NOTHING_LEFT_OUT)
    collector.count_left_out(WINDOW_EXPIRED, own.records, at_least=own.at_least)
    # Where the region's own were counted no further, it cannot be told how many are others'.
    if not own.at_least:
        collector.count_left_out(OUTSIDE_SCOPE, missing.records - own.records, at_least=missing.at_least)


def newest_of(reasons: Sequence[Reason]) -> Shortfall:
    """Returns the first of reasons that come newest first, and the count of the others, by code."""
    collector = _Collector()
    for reason in reasons:
        if collector.has_room(_WITHOUT_CLAUSE):
            collector.add(_WITHOUT_CLAUSE, reason)
        else:
            collector.count(reason.code)
    return collector.shortfall()


def _newest_first(refusal: Refusal) -> int:
    record = refusal.record
    return -(record.sampled_at or record.reported_at or 0)


def _nearness(clause: Clause, test: Test, at: Instant, next_change: NextChange) -> int:
    if test.result != clause.result:
        return _KIND
    if clause.origins is not None and test.origin_region not in clause.origins:
        return _ORIGIN
    if clause.channels is not None and not any(record.channel in clause.channels for record in test.records):
        return _CHANNEL
    if clause.tubes is not None and test.content.tube not in clause.tubes:
        return _TUBE
    if not clause.window.takes(test):
        return _SAMPLING
    end = clause.window.end(test)
    if not clause.window.holds(end, at):
        return _WINDOW
    next_change.note(clause.window.lapse(end))
    return _COUNT


def _code(
    test: Test, clause: Clause | None, nearness: int, policy: CompiledPolicy, at: Instant, next_change: NextChange
) -> tuple[str, Clause | None]:
    """Returns the code of the reason why a test fell short, and the clause it is about; None where it is about none."""
    if nearness != _KIND:
        return _CODES[nearness], clause
    if test.result == Result.INCONCLUSIVE:
        return INCONCLUSIVE, None
    if test.result == Result.POSITIVE:
        return POSITIVE_CLEARED, None
    if test.result == Result.AWAITED:
        waiting = policy.waiting.window
        end = waiting.end(test)
        if waiting.holds(end, at):
            next_change.note(waiting.lapse(end))
            return RESULT_AWAITED, None
        return RESULT_OVERDUE, None
    # A negative where only sampling records are asked for.
    return NO_EVIDENCE, clause
