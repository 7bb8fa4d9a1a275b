"""The clock of a feed's store, as far as it is ahead of this one.

A feed says by its store's clock up to when it has told everything. Were that clock minutes ahead, words that a slow
wire delivers minutes late would look fresh. How far it is ahead is found from when the first message of a stream was
written: not before the stream was asked for. Up to when everything was told does not show it, for that may lag behind:
a nation whose clock is ahead and that does not hear a region looks as though its clock were right.
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

    def measure(self, written: Instant, now: Instant) -> None:
        """Takes note of when a message was written, by the teller's clock. Raises UNAVAILABLE (FEED_LATE) where the
        first one came too late to tell how far that clock is ahead, or that clock has been set forward since: ask for
        the stream again."""
        if self._ahead is None:
            ahead = written - self._asked_at
            if ahead > TOLERANCE and now - self._asked_at > TOLERANCE:
                raise _late()
            self._ahead = ahead if ahead > TOLERANCE else 0
        elif written - self._ahead > now + TOLERANCE:
            raise _late()

    def corrected(self, told: Instant, now: Instant) -> Instant:
        """Returns an instant by the teller's clock as one by this clock, no later than now. Where nothing was measured
        before, it stands for when it was written. Raises as `measure` does."""
        if self._ahead is None:
            self.measure(told, now)
        return min(Instant(told - (self._ahead or 0)), now)


def _late() -> Unavailable:
    return Unavailable("FEED_LATE", "变更流应答过慢", "The feed answers too late to tell its clock from this")
