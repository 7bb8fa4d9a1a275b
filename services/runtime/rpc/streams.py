"""Streams are bounded: how many one caller and one connection may have open, and how long one may wait for its
reader."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.common.errors import Code, ServiceError, Text

READER_TOO_SLOW = "READER_TOO_SLOW"


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The numbers of streams that one caller and one connection may have open at a server, and the seconds for which a
    message of a stream may wait for its reader."""

    per_caller: int = 200
    per_connection: int = 100
    reader_seconds: float = 30.0


STREAM_LIMITS = StreamLimits()
"""Those of a server whose settings say nothing else."""


class OpenStreams:
    """Counts the streams that are open at one server."""

    def __init__(self, limits: StreamLimits) -> None:
        self.limits = limits
        self._callers = Counter[str]()
        self._connections = Counter[str]()

    @contextmanager
    def opened(self, caller: str, connection: str) -> Iterator[None]:
        """Counts one more meanwhile. Raises ServiceError (RESOURCE_EXHAUSTED, TOO_MANY_STREAMS)."""
        if self._callers[caller] >= self.limits.per_caller or self._connections[connection] >= (
            self.limits.per_connection
        ):
            raise ServiceError(
                Code.RESOURCE_EXHAUSTED,
                "TOO_MANY_STREAMS",
                Text(
                    "同时打开的流过多，请先结束不用的流",
                    "Too many streams are open for this caller or on this connection: end those not in use",
                ),
                metadata={
                    "per_caller": str(self.limits.per_caller),
                    "per_connection": str(self.limits.per_connection),
                },
            )
        self._callers[caller] += 1
        self._connections[connection] += 1
        try:
            yield
        finally:
            _one_less(self._callers, caller)
            _one_less(self._connections, connection)


def _one_less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def reader_too_slow() -> ServiceError:
    """Returns the error of a stream whose reader does not read."""
    return ServiceError(
        Code.ABORTED,
        READER_TOO_SLOW,
        Text(
            "流的消息长时间未被读取，请从最后收到的位置重新打开",
            "The stream's messages were not read for too long: open it again where the last one that you read ends",
        ),
    )
