"""Overload: beyond a stated number of requests under way, the next are refused at once, the heaviest first."""

from gateway.http.problems import HttpError
from gateway.http.routing import Weight
from services.common.errors import Text

HEAVY_SHARE = 4
"""Of the requests that may be under way, one in so many may be a heavy one."""


class Overload:
    """Counts the requests under way. `most` of any kind may be, and a quarter as many heavy ones, at least one."""

    def __init__(self, most: int) -> None:
        self._most = (most, max(1, most // HEAVY_SHARE))
        self._under_way = [0, 0]

    def begin(self, weight: Weight) -> None:
        """Counts one more. Raises HttpError (OVERLOADED) when there are as many as may be."""
        if sum(self._under_way) >= self._most[0] or self._under_way[weight] >= self._most[weight]:
            text = Text("请求过多，请稍后重试", "There is too much to do; try again in a moment")
            raise HttpError(503, "OVERLOADED", text, ((b"retry-after", b"1"),))
        self._under_way[weight] += 1

    def end(self, weight: Weight) -> None:
        """Counts one less."""
        self._under_way[weight] -= 1
