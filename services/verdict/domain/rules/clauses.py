"""Step 3, the clauses of a policy: evidence, origins, channels, tubes, window and count, all at once.

A clause looks at the tests that count for a person in the scope; it is met when enough of them are acceptable and
inside the window.
"""

from collections.abc import Sequence

from msgspec import Struct

from services.common.errors import Text
from services.common.instants import Instant
from services.verdict.domain.evidence.values import Record, Result, Test
from services.verdict.domain.rules.counts import InWindow, longest_lasting
from services.verdict.domain.rules.windows import Window

AWAITED, NEGATIVE = Result.AWAITED, Result.NEGATIVE


class Clause(Struct, frozen=True, kw_only=True):
    """A clause ready to be judged by. None stands for any origin, channel or tube. `apart` is in microseconds."""

    id: str
    text: Text
    requirement: Text
    result: int
    origins: frozenset[str] | None
    channels: frozenset[int] | None
    tubes: frozenset[int] | None
    window: Window
    tests: int = 1
    apart: int = 0

    def accepts(self, test: Test) -> bool:
        """Says whether the test is of the kind, origin, channel and tube asked for, and has the times that the window
        asks for, whatever its age."""
        return (
            test.result == self.result
            and self.window.takes(test)
            and (self.origins is None or test.origin_region in self.origins)
            and (self.tubes is None or test.content.tube in self.tubes)
            and (self.channels is None or any(record.channel in self.channels for record in test.records))
        )

    def end(self, test: Test) -> Instant:
        """Returns when the test stops counting: at b+h, or at its report, since it is no sampling record from then
        on."""
        end = self.window.end(test)
        return end if test.reports_at is None else min(end, test.reports_at)

    def shown_by(self, test: Test) -> Record:
        """Returns the record by which the test meets the clause."""
        if self.channels is None:
            return test.records[0]
        return next(record for record in test.records if record.channel in self.channels)


class MetClause(Struct, frozen=True, gc=False):
    """A clause that is met: by these tests, until then (`valid_until`), and no longer from `lapse` on."""

    clause: Clause
    tests: tuple[Test, ...]
    valid_until: Instant
    lapse: Instant

    def evidence(self) -> tuple[Record, ...]:
        """Returns the records it is met by."""
        return tuple(self.clause.shown_by(test) for test in self.tests)


def evaluate(clause: Clause, tests: Sequence[Test], at: Instant) -> MetClause | None:
    """Returns how the clause is met at `at`; None when it is not. `tests` are those that count, newest first."""
    window, result = clause.window, clause.result
    in_window: list[InWindow] = []
    for test in tests:
        if test.result == result and window.holds(window.end(test), at) and clause.accepts(test):
            in_window.append((clause.end(test), test))
    if len(in_window) < clause.tests:
        return None
    if clause.tests == 1:
        end, test = max(in_window, key=_end)
        return MetClause(clause, (test,), end, window.lapse(end))
    chosen = longest_lasting(in_window, clause.tests, clause.apart)
    if chosen is None:
        return None
    end, chain = chosen
    return MetClause(clause, chain, end, window.lapse(end))


def _end(item: InWindow) -> Instant:
    return item[0]
