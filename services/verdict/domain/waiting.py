"""Step 5, pending: a sample was taken, its result is awaited, and the policy's waiting time is not over."""

from collections.abc import Sequence

from services.common.instants import Instant
from services.verdict.domain.clauses import Clause, Met, met
from services.verdict.domain.model import Test


def awaited(waiting: Clause, tests: Sequence[Test], at: Instant) -> Met | None:
    """The sample whose waiting time ends last. `waiting` is the policy's waiting time in a clause's form: a sampling
    record of any origin, from sampling on."""
    return met(waiting, tests, at)
