"""Replicas of the verdict service that do not judge alike: with other policies, other software or another clock.

Behind one name answers whichever replica is asked: when what was left comes back, two that differ serve side by side.
In an upgrade, or while new policies reach one replica after the other, they do so for a while; when it goes on they
have been put together wrongly.
"""

import logging
from collections.abc import Iterator

from hutong.verdict.v1.verdict_service_pb2 import Judge

from gateway import metrics
from services.common.instants import SECOND, Instant, from_timestamp

log = logging.getLogger("hutong.gateway.judges")

MOST_SKEW = SECOND
"""How far a replica's clock may lie outside the time between question and answer, in microseconds."""

SIDE_BY_SIDE = 60 * SECOND
"""What was left counts as back when it is seen again within this time, in microseconds."""

PATIENCE = 120 * SECOND
"""Other policies and other software are told when they have been side by side for so long, in microseconds."""

REMEMBERED = 16
"""So many different judges are remembered, the last ones."""


class Judges:
    """Notices when the answers of one moment come from judges that differ."""

    def __init__(self) -> None:
        self._current: tuple[str, bytes] | None = None
        self._left: dict[tuple[str, bytes], Instant] = {}
        self._side_by_side: dict[str, tuple[Instant, Instant]] = {}
        self._noticed: set[str] = set()

    def see(self, judge: Judge, asked_at: Instant, answered_at: Instant) -> None:
        """Looks at who answered a question asked and answered at these instants of the caller's own clock."""
        noticed = set(self._differences(judge, asked_at, answered_at))
        for what in noticed:
            metrics.JUDGES_DIFFER.add(what)
            if what not in self._noticed:
                log.error("replicas of the verdict service do not judge alike", extra={"differ_in": what})
                self._noticed.add(what)

    def _differences(self, judge: Judge, asked_at: Instant, answered_at: Instant) -> Iterator[str]:
        if judge.HasField("clock"):
            clock = from_timestamp(judge.clock)
            if not asked_at - MOST_SKEW <= clock <= answered_at + MOST_SKEW:
                yield "CLOCK"
        seen = (judge.version, judge.policies_digest)
        before = self._current
        if before is None or seen == before:
            self._current = seen
            return
        self._left[before] = answered_at
        while len(self._left) > REMEMBERED:
            del self._left[next(iter(self._left))]
        self._current = seen
        left_at = self._left.pop(seen, None)
        if left_at is not None and answered_at - left_at < SIDE_BY_SIDE:
            if seen[0] != before[0] and self._goes_on("SOFTWARE", answered_at):
                yield "SOFTWARE"
            if seen[1] != before[1] and self._goes_on("POLICIES", answered_at):
                yield "POLICIES"

    def _goes_on(self, what: str, now: Instant) -> bool:
        """Tells whether a difference that is seen again has been going on for long."""
        began, last = self._side_by_side.get(what, (now, now))
        if now - last >= SIDE_BY_SIDE:
            began = now
        self._side_by_side[what] = (began, now)
        return now - began >= PATIENCE
