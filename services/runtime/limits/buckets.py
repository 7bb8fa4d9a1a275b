"""Token buckets: what they hold, kept in this process or wherever replicas share it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from services.runtime.limits.rules import Rule

MOST_BUCKETS = 100_000
"""Askers that are remembered, about 300 bytes each; beyond that the one longest unheard of is forgotten."""


class Taking(NamedTuple):
    """Tokens to be taken from the bucket of one rule and one asker. A `forced` one is taken whatever is there: it may
    leave the bucket owing, down to as much as it holds when it is full."""

    rule: Rule
    asker: str
    tokens: float
    forced: bool = False


class BucketsDownError(Exception):
    """The buckets that replicas share cannot be asked."""


class SharedBuckets(Protocol):
    """Buckets that every replica takes from."""

    async def take(self, takings: Sequence[Taking]) -> Sequence[float]:
        """Takes, and returns for each what `LocalBuckets.take` does. Raises BucketsDownError."""

    async def close(self) -> None:
        """Closes the connections."""


class LocalBuckets:
    """Buckets of this process. A bucket that nobody has taken from is full."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        # In the order in which they were last taken from: what they held then, and when.
        self._held: dict[tuple[str, str], tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def take(self, taking: Taking, now: float) -> float:
        """Takes tokens at `now`, seconds of a monotonic clock. Returns how many were missing, and takes none then;
        otherwise 0 or less, minus what is left. Of one that was forced it returns what the bucket owes, or minus what
        is left.

        More than a bucket ever holds is taken from a full one, which then owes the rest.
        """
        rule, asker, tokens, forced = taking
        key = (rule.name, asker)
        held, at = self._held.pop(key, (rule.burst, now))
        held = min(rule.burst, held + (now - at) * rule.rate)
        missing = min(tokens, rule.burst) - held
        if forced:
            held = max(held - tokens, -rule.burst)
        elif missing <= 0:
            held -= tokens
        self._held[key] = (held, now)
        if len(self._held) > self._most:
            del self._held[next(iter(self._held))]
        return missing if not forced and missing > 0 else -held
