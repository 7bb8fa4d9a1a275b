"""The next instant at which an answer can change by time alone.

Whoever reads something that will turn at a known instant notes it here: a window's end, a day's turn, a policy's start,
a sample or report that lies in the future of the instant judged. The nearest one is how long the answer is fresh.
"""

from services.common.instants import HOUR, SECOND, Instant

NEVER = Instant(253_402_300_800 * SECOND - 8 * HOUR)
"""The end of the year 9999 in UTC+8: from here on no instant can be written, and nothing turns."""


class NextChange:
    """Keeps the nearest instant after `at` at which something that the answer rests on turns."""

    __slots__ = ("_at", "_next")

    def __init__(self, at: Instant) -> None:
        self._at = at
        self._next: Instant | None = None

    def note(self, instant: Instant | None) -> None:
        """Notes that something turns at this instant; what is past, None or beyond the calendar does not matter."""
        if instant is not None and self._at < instant < NEVER and (self._next is None or instant < self._next):
            self._next = instant

    @property
    def fresh_until(self) -> Instant | None:
        """Returns the nearest of them; None when nothing turns."""
        return self._next
