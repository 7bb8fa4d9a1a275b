"""Step 5: could a source that did not answer have helped? An outage is never "no test".

A source helps when it may hold a test that some clause, or the notice, would accept and that no source which answered
would have shown. Where the region only reports on the notice that test would turn "no test" into a counted refusal, so
the answer is open as well. A region's own store holds every test that comes from it; the nation's holds everybody's.
"""

from collections.abc import Mapping, Sequence

from services.common.regions import NATION
from services.verdict.domain.evidence.values import Scope
from services.verdict.domain.rules.clauses import Clause


def could_have_helped(
    coverage: Mapping[str, bool],
    region: str,
    scope: int,
    clauses: Sequence[Clause],
    *,
    notice_open: bool,
    held_day: bool = False,
) -> tuple[str, ...]:
    """Returns the sources that did not answer and could have helped, by name, ascending. `notice_open`: the notice
    binds, and no test that it protects is known yet. `held_day`: a sample that awaits its result may hold the last
    day."""
    silent = sorted(source for source, answered in coverage.items() if not answered)
    if not silent:
        return ()
    if scope == Scope.LOCAL:
        # A region without a store on the mesh has its records kept by the nation.
        own = region if region in coverage else NATION
        return (own,) if own in silent else ()
    if notice_open or held_day:
        return tuple(silent)
    return tuple(source for source in silent if any(_helps(source, clause, coverage) for clause in clauses))


def _helps(source: str, clause: Clause, coverage: Mapping[str, bool]) -> bool:
    if clause.origins is None or clause.channels is not None:
        # By a given channel a copy may have reached any store, even of a test that is known otherwise.
        return True
    return source in clause.origins or any(not coverage.get(origin, False) for origin in clause.origins)
