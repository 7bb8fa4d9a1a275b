"""Step 2, the clauses of a policy: evidence, origins, channels, tubes, window and count, all at once.

A clause looks at the tests that count for a person in the scope; it is met when enough of them are acceptable and
inside the window.
"""

from collections.abc import Sequence

from msgspec import Struct

from services.common.errors import Text
from services.common.instants import Instant
from services.verdict.domain.counts import InWindow, lasting
from services.verdict.domain.model import Record, Result, Test
from services.verdict.domain.windows import Window

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
        """Whether the test is of the kind, origin, channel and tube asked for, whatever its age."""
        return (
            test.result == self.result
            and (self.origins is None or test.provenance in self.origins)
            and (self.tubes is None or test.truth.tube in self.tubes)
            and (self.channels is None or any(record.channel in self.channels for record in test.holdings))
        )

    def end(self, test: Test) -> Instant:
        """When the test stops counting: at b+h, or at its report, since it is no sampling record from then on."""
        end = self.window.end(test)
        return end if test.reports_at is None else min(end, test.reports_at)

    def shown_by(self, test: Test) -> Record:
        """The record by which the test meets the clause."""
        if self.channels is None:
            return test.holdings[0]
        return next(record for record in test.holdings if record.channel in self.channels)


class Met(Struct, frozen=True):
    """A clause that is met: by these tests, until then (`valid_until`), and no longer from `lapse` on."""

    clause: Clause
    tests: tuple[Test, ...]
    valid_until: Instant
    lapse: Instant

    def evidence(self) -> tuple[Record, ...]:
        """The records it is met by."""
        return tuple(self.clause.shown_by(test) for test in self.tests)


def met(clause: Clause, tests: Sequence[Test], at: Instant) -> Met | None:
    """How the clause is met at `at`; None when it is not. `tests` are those that count, newest first."""
    window, result = clause.window, clause.result
    in_window: list[InWindow] = []
    for test in tests:
        if test.result == result and window.holds(window.end(test), at) and clause.accepts(test):
            in_window.append((clause.end(test), test))
    if len(in_window) < clause.tests:
        return None
    if clause.tests == 1:
        end, test = max(in_window, key=_end)
        return Met(clause, (test,), end, window.lapse(end))
    chosen = lasting(in_window, clause.tests, clause.apart)
    if chosen is None:
        return None
    end, chain = chosen
    return Met(clause, chain, end, window.lapse(end))


def _end(item: InWindow) -> Instant:
    return item[0]
