"""A clock that runs, and can be put forward."""

from services.common.instants import Instant
from services.runtime.clock import system_clock


class ForwardClock:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> Instant:
        return Instant(system_clock() + self.ahead)
