"""The call being served: who asks, why, until when, in which trace. It travels in a context variable, and from hop to
hop in metadata; domain code never sees it."""

import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token

import msgspec
from hutong.common.v1.subject_pb2 import Purpose
from msgspec.structs import replace

from services.common.errors import ServiceError
from services.common.person_names import PersonName
from services.runtime.telemetry.trace import Trace, enter_trace, leave_trace, new_trace
from services.runtime.tls.identity import UNPROVEN


class Meter(msgspec.Struct, gc=False):
    """Notes on a call that are taken while it is served: `unknown` counts people of whom nothing is known, `persons`
    are the keys of those whom the request names, where they were made already."""

    unknown: int = 0
    persons: list[bytes] = []


class Call(msgspec.Struct, frozen=True, gc=False):
    """One call. `deadline` is an instant of time.monotonic(), in seconds; `caller` the immediate caller's name,
    `proven` where a certificate or a token proves it.

    A call with a `refusal` brought something to prove its caller's name that does not: it is answered with that.
    `persons` are the keys of those people whose data is the caller's own, itself first: of a holder, and of a guardian
    with dependants; `names` tells, when it is called, how the token that proves the caller names each of them. `users`
    are those on whose behalf the mesh is called: who asked the gateway, however many hops ago.
    `address` is where the call comes from, empty within a process; `meter` counts while the call is limited.
    """

    caller: str
    deadline: float
    trace: Trace
    purpose: Purpose.ValueType = Purpose.PURPOSE_UNSPECIFIED
    persons: tuple[bytes, ...] = ()
    users: tuple[str, ...] = ()
    proven: bool = False
    address: str = ""
    meter: Meter | None = None
    refusal: ServiceError | None = None
    names: Callable[[], Sequence[PersonName]] | None = None

    @property
    def proven_name(self) -> str:
        """The caller's name where it is proven, and UNPROVEN otherwise: what a caller merely claims is not kept."""
        return self.caller if self.proven else UNPROVEN

    @property
    def author(self) -> str:
        """The name under which what this call decides is kept: that of the one on whose behalf the mesh calls, or the
        caller's."""
        return self.users[0] if len(self.users) == 1 else self.caller

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


def current_asker() -> str:
    """Returns the name under which the current call takes turns with others: its users' and whence they come, or the
    caller's."""
    call = current_call()
    return " ".join((*call.users, call.address)).strip() or call.caller


def stated_name(person: bytes) -> PersonName | None:
    """Returns the name that the current call's caller has shown for one of its own persons; None of anybody else."""
    call = current_call()
    if call.names is None or person not in call.persons:
        return None
    return call.names()[call.persons.index(person)]


def count_unknown(persons: int) -> None:
    """Takes note that nothing is known of so many people that the current call asks about."""
    call = _current.get()
    if call is not None and call.meter is not None:
        call.meter.unknown += persons


def note_person(key: bytes) -> None:
    """Takes note of the key of somebody whom the current call's request names: it need not be made again."""
    call = _current.get()
    if call is not None and call.meter is not None:
        call.meter.persons.append(key)


class Entered(msgspec.Struct, frozen=True):
    """The state that `enter` replaced, for `leave`."""

    call: Token[Call | None]
    trace: Token[Trace | None]


def enter(call: Call) -> Entered:
    """Makes a call the current one, and its trace the one that logs and spans belong to; undone by `leave`."""
    return Entered(_current.set(call), enter_trace(call.trace))


def leave(entered: Entered) -> None:
    """Undoes `enter`. Raises ValueError in another context than the one that entered."""
    leave_trace(entered.trace)
    _current.reset(entered.call)


def within(seconds: float) -> Call:
    """The current call with no more than this many seconds left."""
    call = current_call()
    return replace(call, deadline=min(call.deadline, time.monotonic() + seconds))
