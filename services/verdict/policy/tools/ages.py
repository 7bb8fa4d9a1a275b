"""Says how old one test may be and still be recognised: all that a policy says of a single test, in four numbers.

One test is recognised at an instant by what it is (a negative result or a sampling record), where it comes from, by
which channel, in which tube, and by two ages: since its report, d, and since its sampling, e, with 0 <= d <= e. No
clause asks for more. A clause that takes it and counts from the report holds while d is within its window, one that
counts from sampling while e is; several such clauses hold while the longest of each kind does. An enforced notice is a
clause that counts from the report. Clauses that ask for several tests are met by no single one.
"""

from typing import NamedTuple

from services.verdict.domain.evidence.values import Result
from services.verdict.domain.policy.compiled import Rules
from services.verdict.domain.rules.clauses import Clause


class Limit(NamedTuple):
    """The oldest age that still counts: below `length` microseconds, and `length` itself where it is inclusive. Limits
    compare by what they let through."""

    length: int
    inclusive: bool

    def holds(self, age: int) -> bool:
        """Says whether an age is within it."""
        return age < self.length or (self.inclusive and age == self.length)

    @property
    def first_outside(self) -> int:
        """Returns the smallest age that is not within it."""
        return self.length + 1 if self.inclusive else self.length


NEVER = Limit(0, False)
"""No age is within it."""


class Kind(NamedTuple):
    """A kind of test: all that a clause asks of one besides its age."""

    origin: str
    channel: int
    tube: int


class Ages(NamedTuple):
    """The limits for one kind of test: of a result, since its report and since its sampling, and since its report where
    the sampling time is unknown; of a sampling record, since its sampling."""

    reported: Limit
    sampled: Limit
    undated: Limit
    awaited: Limit

    def recognise(self, since_report: int, since_sampling: int | None) -> bool:
        """Says whether a negative result of these ages is recognised; None: the sampling time is unknown."""
        if since_sampling is None:
            return self.undated.holds(since_report)
        return self.reported.holds(since_report) or self.sampled.holds(since_sampling)


def ages(rules: Rules, kind: Kind, *, notice: bool) -> Ages:
    """Returns how old a test of this kind may be under these rules. `notice`: it binds."""
    clauses = [clause for clause in rules.clauses if clause.tests == 1 and takes(clause, kind)]
    results = [clause for clause in clauses if clause.result == Result.NEGATIVE]
    enforced = [limit(rules.notice_rule.clause)] if notice and rules.notice_rule.enforce else []
    undated = [clause for clause in results if not clause.window.sampling_required]
    return Ages(
        reported=max([NEVER, *enforced, *(limit(clause) for clause in results if clause.window.from_reported)]),
        sampled=max([NEVER, *(limit(clause) for clause in results if not clause.window.from_reported)]),
        undated=max([NEVER, *enforced, *map(limit, undated)]),
        awaited=max([NEVER, *(limit(clause) for clause in clauses if clause.result == Result.AWAITED)]),
    )


def takes(clause: Clause, kind: Kind) -> bool:
    """Says whether a clause takes tests of this origin, channel and tube."""
    return (
        (clause.origins is None or kind.origin in clause.origins)
        and (clause.channels is None or kind.channel in clause.channels)
        and (clause.tubes is None or kind.tube in clause.tubes)
    )


def limit(clause: Clause) -> Limit:
    """Returns the limit that a clause's window sets."""
    return Limit(clause.window.length, clause.window.inclusive)
