"""A validity window: so long from sampling or from the report, with an explicit edge.

A window of length h from an instant b holds while b <= t < b+h, and at b+h itself when the edge is inclusive. Admitted
tests lie at or before the instant judged, so only the end is ever in question.
"""

from msgspec import Struct

from services.common.instants import Instant
from services.verdict.domain.evidence.values import Test


class Window(Struct, frozen=True, gc=False):
    """`length` is in microseconds. With `sampling_required` a test whose sampling time is unknown is in no window."""

    length: int
    from_reported: bool
    inclusive: bool
    sampling_required: bool = False

    def end(self, test: Test) -> Instant:
        """Returns the instant b+h. Where the sampling time is unknown, sampling is placed at the report."""
        if self.from_reported and test.reported_at is not None:
            return Instant(test.reported_at + self.length)
        return Instant(test.taken_at + self.length)

    def takes(self, test: Test) -> bool:
        """Says whether the test has the times that the window asks for."""
        return not self.sampling_required or test.content.sampled_at is not None

    def holds(self, end: Instant, at: Instant) -> bool:
        """Says whether a window with this end still holds."""
        return at < end or (self.inclusive and at == end)

    def lapse(self, end: Instant) -> Instant:
        """Returns the first instant at which a window with this end holds no more."""
        return Instant(end + 1) if self.inclusive else end
