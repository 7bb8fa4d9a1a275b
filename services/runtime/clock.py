"""The clock of the machine, as composition roots hand it to what needs one."""

import time
from collections.abc import Callable

from services.common.instants import Instant

Clock = Callable[[], Instant]
"""Tells the present instant."""


def system_clock() -> Instant:
    """The present instant by the machine's clock, to the microsecond."""
    return Instant(time.time_ns() // 1000)
