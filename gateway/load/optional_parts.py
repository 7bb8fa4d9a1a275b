"""The parts of answers that cost more than all the rest: made one after the other beside the loop, and left out when
there is too much to do (docs/decisions/0077)."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.gateway.v1.left_out_pb2 import LeftOut, OptionalPart

from gateway.metrics import LEFT_OUT
from services.runtime.resilience.overload import Overload

Part = TypeVar("Part")

MOST_WAITING = 8
"""So many parts may wait for the one that is made; of a QR code of 20 ms that is a sixth of a second."""
RETRY_SECONDS = 10
"""How long whoever got an answer without a part is asked to wait."""
_PREFIX = "OPTIONAL_PART_"


class OptionalParts:
    """Makes optional parts, one at a time and in a thread, so that codes have at least half of the time meanwhile."""

    def __init__(self, overload: Overload, most_waiting: int = MOST_WAITING) -> None:
        self._overload = overload
        self._most_waiting = most_waiting
        self._waiting = 0
        self._turn = asyncio.Semaphore(1)

    async def make(self, part: OptionalPart.ValueType, make: Callable[[], Part]) -> Part | None:
        """Returns the part; None where it is left out, because half of the calls that may be under way are, or as many
        parts wait as may."""
        if self._overload.pressed or self._waiting > self._most_waiting:
            LEFT_OUT.add(OptionalPart.Name(part).removeprefix(_PREFIX))
            return None
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(make)
        finally:
            self._waiting -= 1


def left_out(parts: Iterable[OptionalPart.ValueType]) -> LeftOut:
    """Returns what an answer without these parts says of them."""
    text = LocalizedText(
        zh="服务繁忙，先不给出二维码图形或打印页，其余不受影响；稍后再取即有",
        en="Too busy to draw the QR code or the page now; all the rest counts. Ask again later for the whole",
    )
    return LeftOut(parts=parts, text=text, retry_after=Duration(seconds=RETRY_SECONDS))
