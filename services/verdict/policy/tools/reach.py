"""Clauses that can never decide anything, because a more generous one of the same rules is met whenever they are."""

from collections.abc import Sequence

from services.verdict.domain.rules.clauses import Clause


def unreachable(clauses: Sequence[Clause]) -> list[tuple[int, Clause]]:
    """Returns the position of every clause that another implies, with that other. Of two that imply each other the
    first stays."""
    implied: list[tuple[int, Clause]] = []
    for position, clause in enumerate(clauses):
        for other_position, other in enumerate(clauses):
            if other_position == position or not implies(clause, other):
                continue
            if other_position < position or not implies(other, clause):
                implied.append((position, other))
                break
    return implied


def implies(narrow: Clause, wide: Clause) -> bool:
    """Says whether evidence that meets `narrow` always meets `wide`, and for at least as long."""
    return (
        narrow.result == wide.result
        and _within(narrow.origins, wide.origins)
        and _within(narrow.channels, wide.channels)
        and _within(narrow.tubes, wide.tubes)
        and (narrow.window.sampling_required or not wide.window.sampling_required)
        and _lasts(narrow, wide)
        and _counts(narrow, wide)
    )


def _within(narrow: frozenset[str] | frozenset[int] | None, wide: frozenset[str] | frozenset[int] | None) -> bool:
    return wide is None or (narrow is not None and set(narrow) <= set(wide))


def _lasts(narrow: Clause, wide: Clause) -> bool:
    # A report never comes before its sample, so a window from the report lasts at least as long as one from sampling.
    if narrow.window.from_reported and not wide.window.from_reported:
        return False
    if wide.window.length != narrow.window.length:
        return wide.window.length > narrow.window.length
    return wide.window.inclusive or not narrow.window.inclusive


def _counts(narrow: Clause, wide: Clause) -> bool:
    return wide.tests == 1 or (wide.tests <= narrow.tests and wide.apart <= narrow.apart)
