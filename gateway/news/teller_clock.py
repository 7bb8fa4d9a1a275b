"""The clock of a feed's store, as far as it is ahead of this one.

A feed says by its store's clock up to when it has told everything. Were that clock minutes ahead, words that a slow
wire delivers minutes late would look fresh. How far it is ahead is found from the first instant it tells on a stream:
that was not written before the stream was asked for.
"""

from services.common.errors import Unavailable
from services.common.instants import SECOND, Instant

TOLERANCE = 2 * SECOND
"""Clocks that differ by no more count as the same, in microseconds."""


class TellerClock:
    """Corrects what is told on one stream, which was asked for at `asked_at` by this clock."""

    def __init__(self, asked_at: Instant) -> None:
        self._asked_at = asked_at
        self._ahead: int | None = None

    def corrected(self, told: Instant, now: Instant) -> Instant:
        """Returns an instant by the teller's clock as one by this clock, no later than now. Raises UNAVAILABLE
        (FEED_LATE) where the first one came too late to tell how far that clock is ahead: ask for the stream again."""
        if self._ahead is None:
            ahead = told - self._asked_at
            if ahead > TOLERANCE and now - self._asked_at > TOLERANCE:
                raise Unavailable(
                    "FEED_LATE", "变更流应答过慢", "The feed answers too late to tell its clock from this"
                )
            self._ahead = ahead if ahead > TOLERANCE else 0
        return min(Instant(told - self._ahead), now)
