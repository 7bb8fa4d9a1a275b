"""The pace of an import and the time left, from what was seen in the last seconds. Pure."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

WINDOW_SECONDS = 10.0
"""What is told is of this long: what went before, such as batches passed over when an import is resumed, is no pace."""


class Seen(NamedTuple):
    """A moment of an import: seconds of any clock that only goes forward, bytes of the file, rows dealt with."""

    at: float
    position: int
    rows: int


class Pace:
    """The pace of one file of `size` bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen: deque[Seen] = deque()

    def see(self, seen: Seen) -> None:
        """Takes note of what stands now."""
        self._seen.append(seen)
        # One older than the window stays, so that slow batches have a pace too.
        while len(self._seen) > 2 and seen.at - self._seen[1].at >= WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Rows a second; 0 while nothing is known."""
        return self._a_second(lambda seen: seen.rows)

    @property
    def left(self) -> float | None:
        """Seconds to the end of the file at this pace; None while nothing is known."""
        bytes_a_second = self._a_second(lambda seen: seen.position)
        # A file that grew meanwhile is not read to less than nothing.
        return max(0.0, self._size - self._seen[-1].position) / bytes_a_second if bytes_a_second > 0 else None

    @property
    def share(self) -> float:
        """Returns the share of the file that was read, from 0 to 1."""
        return min(1.0, self._seen[-1].position / self._size) if self._seen and self._size else 0.0

    def _a_second(self, figure: Callable[[Seen], int]) -> float:
        if not self._seen:
            return 0.0
        first, last = self._seen[0], self._seen[-1]
        return (figure(last) - figure(first)) / (last.at - first.at) if last.at > first.at else 0.0


def spoken(seconds: float | None) -> str:
    """A length of time as people read it, 1:02:03 or 2:03; -:-- when it is not known."""
    if seconds is None:
        return "-:--"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
