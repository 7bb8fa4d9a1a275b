"""Clocks that tests set by hand."""

from services.common.instants import SECOND, Instant, parse_rfc3339

NOON = parse_rfc3339("2022-08-05T12:00:00+08:00")


class ManualClock:
    """A clock that moves when told to, and by a microsecond whenever it is read."""

    def __init__(self, now: Instant = NOON) -> None:
        self.now = now

    def __call__(self) -> Instant:
        """The present instant."""
        self.now = Instant(self.now + 1)
        return self.now

    def forward(self, seconds: float) -> None:
        """Lets time pass."""
        self.now = Instant(self.now + round(seconds * SECOND))
