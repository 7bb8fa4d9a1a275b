"""Overload: beyond a stated number of calls under way, the next are refused at once, the heaviest first.

One rule for every door of a process: a process has one of these, and counts there whatever comes in, over HTTP as over
gRPC.
"""

from enum import IntEnum

from services.common.errors import Code, ServiceError, Text
from services.runtime.metrics import CALLS_IN_FLIGHT, OVERLOADED

PRESSED_SHARE = 2
"""When one in so many of the calls that may be under way are, what answers can do without is left out."""
HEAVY_SHARE = 4
"""Of the calls that may be under way, one in so many may be a heavy one; and the last one in so many is for light
ones."""

CONCURRENCY = 1_000
"""How many calls may be under way unless a setting says otherwise."""


class Weight(IntEnum):
    """The weight of a call: when there is too much to do, the heaviest are refused first."""

    LIGHT = 0
    """A code, and whatever costs no more."""
    HEAVY = 1
    """Many codes, or what asks many sources."""


class Overload:
    """Counts the calls under way. `most` may be, the last quarter of them light ones; and a quarter as many heavy ones,
    at least one. So it is the heavy ones that are refused first, and all of them before the first light one."""

    def __init__(self, most: int = CONCURRENCY) -> None:
        share = most // HEAVY_SHARE
        self._all = most
        self._most = (most, max(1, share))
        self._whole = (most, max(1, most - share))
        self._under_way = [0, 0]

    @property
    def pressed(self) -> bool:
        """Tells if half as many calls are under way as may be, whatever their weight: before any is refused for all of
        them together, answers leave out what they can do without."""
        return sum(self._under_way) * PRESSED_SHARE >= self._all

    def full(self, weight: Weight) -> bool:
        """Tells if there are as many as may be."""
        return sum(self._under_way) >= self._whole[weight] or self._under_way[weight] >= self._most[weight]

    def begin(self, weight: Weight) -> None:
        """Counts one more. Raises ServiceError (RESOURCE_EXHAUSTED, OVERLOADED) when there are as many as may be."""
        if self.full(weight):
            OVERLOADED.labels(weight.name).inc()
            raise overloaded()
        self._under_way[weight] += 1
        CALLS_IN_FLIGHT.add(1)

    def end(self, weight: Weight) -> None:
        """Counts one less."""
        self._under_way[weight] -= 1
        CALLS_IN_FLIGHT.add(-1)


def overloaded() -> ServiceError:
    """Returns the error of a call that there is no room for."""
    text = Text("请求过多，请稍后重试", "There is too much to do; try again in a moment")
    return ServiceError(Code.RESOURCE_EXHAUSTED, "OVERLOADED", text)
