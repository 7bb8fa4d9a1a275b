"""The call being served: who asks, why, until when, in which trace. It travels in a context variable, and from hop to
hop in metadata; domain code never sees it."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, replace

from hutong.common.v1.subject_pb2 import Purpose

from services.runtime.trace import Trace, new_trace


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `deadline` is an instant of time.monotonic(), in seconds; `caller` the immediate caller's name."""

    caller: str
    deadline: float
    trace: Trace
    purpose: Purpose.ValueType = Purpose.PURPOSE_UNSPECIFIED

    def remaining(self) -> float:
        """Seconds left; negative when the deadline has passed."""
        return self.deadline - time.monotonic()


_current: ContextVar[Call | None] = ContextVar("hutong_call", default=None)

BACKGROUND_SECONDS = 30.0
"""How long a call made by a background task, such as a follower, may take."""


def current_call() -> Call:
    """The call being served; outside of any, a fresh one of a background task in a trace of its own."""
    call = _current.get()
    if call is None:
        call = Call("background", time.monotonic() + BACKGROUND_SECONDS, new_trace(None))
    return call


def enter(call: Call) -> object:
    """Makes a call the current one; hand what is returned to `leave`."""
    return _current.set(call)


def leave(token: object) -> None:
    """Undoes `enter`."""
    _current.reset(token)  # type: ignore[arg-type]  # opaque to callers on purpose


def within(seconds: float) -> Call:
    """The current call with no more than this many seconds left."""
    call = current_call()
    return replace(call, deadline=min(call.deadline, time.monotonic() + seconds))
