"""Warnings that repeat themselves back off: an outage is said at once, then seldom, with how much was left out."""

import logging
import time
from collections.abc import Callable

from prometheus_client import Counter

LINES_LEFT_OUT = Counter(
    "hutong_log_lines_left_out",
    "Lines of the log that were left out because they repeated others, by level.",
    ["level"],
)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two lines that are the same: doubling."""
MOST_KEPT = 1_000
"""So many different lines are remembered."""
EACH = "hutong.request"
"""The logger of failed requests: each of them is said, for somebody may quote its trace id."""

_SAME = ("service", "source", "region", "feed", "reason", "store", "component", "caller", "method", "error")
"""What of a record's extras makes it another line."""
_FLOODS = frozenset(("LIMIT_EXCEEDED", "OVERLOADED"))
"""Reasons of failed requests that back off as well: whoever floods a service must not flood its log."""


class Repetition(logging.Filter):
    """Lets a line through, and the same one again after a pause that doubles; the next one that passes says how many
    were left out (`left_out`). One that has not been heard for twice the longest pause is new. `now` is a monotonic
    clock, in seconds; without `each`, failed requests back off like everything else: at a terminal."""

    def __init__(self, now: Callable[[], float] = time.monotonic, *, each: bool = True) -> None:
        super().__init__()
        self._each = each
        self._now = now
        # By line: when it may be said again, the pause then, how many were left out since it was last said.
        self._said: dict[tuple[object, ...], tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether a record is written."""
        if record.levelno < logging.WARNING and record.name != EACH:
            return True
        said = record.__dict__
        if record.name == EACH and self._each and said.get("reason") not in _FLOODS:
            return True
        key = (record.name, record.levelno, record.msg, record.args, *(said.get(name) for name in _SAME))
        now = self._now()
        due, pause, left_out = self._said.pop(key, (0.0, 0.0, 0))
        if pause and now >= due + 2 * LONGEST_PAUSE:
            pause = 0.0
        if pause and now < due:
            self._keep(key, (due, pause, left_out + 1))
            LINES_LEFT_OUT.labels(record.levelname).inc()
            return self._without_stack(record)
        pause = min(LONGEST_PAUSE, pause * 2) or FIRST_PAUSE
        self._keep(key, (now + pause, pause, 0))
        if left_out:
            record.left_out = left_out
        return True

    def _without_stack(self, record: logging.LogRecord) -> bool:
        """Leaves an unexpected error in, with its trace, and its stack out."""
        if not record.exc_info:
            return False
        record.exc_info = None
        record.exc_text = None
        return True

    def _keep(self, key: tuple[object, ...], state: tuple[float, float, int]) -> None:
        self._said[key] = state
        if len(self._said) > MOST_KEPT:
            del self._said[next(iter(self._said))]
