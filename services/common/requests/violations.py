"""Collects what is wrong with a request, so that a caller learns of every wrong field at once."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from services.common.errors import InvalidArgument, Text, Violation

T = TypeVar("T")

MOST_NAMED = 20
"""How many wrong fields an error names: more would not fit into the trailers of a gRPC call (8 KiB)."""


def violation(field: str, reason: str, zh: str, en: str) -> list[Violation]:
    """A list of one violation, as the rules of this package return it."""
    return [Violation(field, reason, Text(zh, en))]


def refuse(violations: Iterable[Violation]) -> None:
    """Raises InvalidArgument, naming the first MOST_NAMED violations, if there are any."""
    named = list(violations)[:MOST_NAMED]
    if named:
        raise InvalidArgument(*named)


class Violations:
    """The violations of one request, in the order of its checks."""

    def __init__(self, prior: Iterable[Violation] = ()) -> None:
        """`prior` are violations that were collected before, for instance by a decoder."""
        self._violations = list(prior)

    def __bool__(self) -> bool:
        """Tells whether anything is wrong."""
        return bool(self._violations)

    def add(self, violations: Iterable[Violation]) -> None:
        """Adds what a rule returned."""
        self._violations += violations

    def read(self, default: T, reader: Callable[[], T]) -> T:
        """Returns what the reader returns; when that raises InvalidArgument, keeps its violations and returns the
        default."""
        try:
            return reader()
        except InvalidArgument as error:
            self._violations += error.violations
            return default

    def refuse(self) -> None:
        """Raises InvalidArgument, naming the first MOST_NAMED violations, if there are any."""
        refuse(self._violations)
