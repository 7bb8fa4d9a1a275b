"""The pipeline around every method, for a request over a wire as for one of an object in the same process:
admission, deadline, trace, and errors that say what they should and no more."""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol, TypeVar, cast

from google.protobuf.message import Message
from msgspec.structs import replace

from services.common.errors import LIMIT_EXCEEDED, Code, DeadlineExceeded, ServiceError
from services.runtime.metrics import CALL_SECONDS, CALLS, principal_label
from services.runtime.resilience.time_limit import answer_by
from services.runtime.rpc.access import Guard
from services.runtime.rpc.call import Call, Entered, Meter, current_call, enter, leave
from services.runtime.rpc.errors import internal
from services.runtime.rpc.shared_message import Answer
from services.runtime.telemetry.trace import SpanKind, span

log = logging.getLogger("hutong.call")

SHAVE_SECONDS = 0.02
"""Taken off every deadline, so that the specific timeout is reported before the caller gives up."""
LEAST_SECONDS = 0.05
"""Work with less time left than this is refused at once."""

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")
StreamHandler = Callable[[Message], AsyncIterator[Answer]]
DuplexHandler = Callable[[AsyncIterator[Message]], AsyncIterator[Message]]


UNWRITABLE = "AUDIT_UNWRITABLE"
_NOT_WRITTEN = frozenset((UNWRITABLE, LIMIT_EXCEEDED))
"""Errors that leave no line in the audit trail: nothing was looked at, and whoever floods a service must not flood its
trail as well. They are counted."""


class Auditor(Protocol):
    """Writes down what is answered, before it is."""

    async def answered(self, call: Call, method: str, request: Message, outcome: str, answer: bytes) -> None:
        """Returns when an answer may be given. Raises UNAVAILABLE (AUDIT_UNWRITABLE)."""

    async def denied(self, call: Call, method: str, request: Message, reason: str) -> None:
        """Returns when a denial may be given. Raises UNAVAILABLE (AUDIT_UNWRITABLE)."""


class Limiter(Protocol):
    """Limits how much one caller asks."""

    async def admit(self, call: Call, method: str, request: Message) -> None:
        """Takes the tokens of a request. Raises LimitExceeded."""

    async def pace(self, call: Call, method: str, request: Message) -> None:
        """Takes the tokens of one more request of a stream, and waits until they are there."""

    def charge(self, call: Call, method: str, unknown: int) -> None:
        """Charges for people of whom nothing was known. Nobody waits for it."""


def _bytes_of(response: object) -> bytes:
    """Returns the bytes of an answer: a message's, or the body that a transport made of one,
    with the digest of the part that was kept ready."""
    if isinstance(response, Message):
        return response.SerializeToString()
    body, kept = getattr(response, "body", b""), getattr(response, "kept_digest", b"")
    return body + kept if isinstance(body, bytes) and isinstance(kept, bytes) else b""


class Pipeline:
    """Serves the methods of one service."""

    def __init__(
        self, service: str, guard: Guard, auditor: Auditor | None = None, limiter: Limiter | None = None
    ) -> None:
        self._service = service
        self._guard = guard
        self._auditor = auditor
        self._limiter = limiter

    def _unexpected(self, method: str, call: Call) -> ServiceError:
        log.exception("unexpected error", extra={"method": method, "caller": call.caller})
        return internal(call.trace.hex_id)

    async def unary(
        self,
        method: str,
        handler: Callable[[Request], Awaitable[Response]],
        request: Request,
        call: Call,
        *,
        span_name: str = "",
    ) -> Response:
        """Serves one request, and counts it. A span is named as the method is, unless told otherwise. Raises
        ServiceError and nothing else."""
        outcome, began = Code.CANCELLED.name, time.perf_counter()
        try:
            if not call.trace.sampled:
                response = await self._unary(method, handler, request, call)
            else:
                with span(self._service, span_name or method, SpanKind.SERVER, call.trace) as here:
                    response = await self._unary(method, handler, request, replace(call, trace=here.trace))
            outcome = "OK"
            return response
        except ServiceError as error:
            outcome = error.code.name
            raise
        finally:
            principal = principal_label(call.caller, proven=call.proven)
            CALLS.add(method, principal, outcome)
            CALL_SECONDS.add(time.perf_counter() - began, method, principal)

    async def _unary(
        self, method: str, handler: Callable[[Request], Awaitable[Response]], request: Request, call: Call
    ) -> Response:
        entered: Entered | None = None
        meter = Meter()
        try:
            if self._limiter is not None:
                await self._limiter.admit(call, method, request)
            if call.refusal is not None:
                raise call.refusal
            purpose = self._guard.admit(call, method, request)
            deadline = call.deadline - SHAVE_SECONDS
            if deadline - time.monotonic() < LEAST_SECONDS:
                raise DeadlineExceeded("所剩时间不足", "Too little time is left to answer")
            call = Call(
                call.caller,
                deadline,
                call.trace,
                purpose,
                call.persons,
                call.users,
                call.proven,
                call.address,
                meter,
                names=call.names,
            )
            entered = enter(call)
            response = await answer_by(deadline, handler(request))
            if self._auditor is not None:
                await self._auditor.answered(call, method, request, "OK", _bytes_of(response))
            return response
        except ServiceError as error:
            await self._refused(call, method, request, error)
            raise
        except TimeoutError:
            raise DeadlineExceeded(f"{self._service} 未及时完成", f"{self._service} did not finish in time") from None
        except Exception:  # noqa: BLE001  # nothing unexpected may reach the caller as it is
            raise self._unexpected(method, call) from None
        finally:
            if entered is not None:
                leave(entered)
            if meter.unknown and self._limiter is not None:
                self._limiter.charge(call, method, meter.unknown)

    async def _refused(self, call: Call, method: str, request: Message, error: ServiceError) -> None:
        """Writes down that a call ended in an error. Raises UNAVAILABLE when that cannot be done."""
        if self._auditor is None or error.reason in _NOT_WRITTEN:
            return
        if error.code in (Code.PERMISSION_DENIED, Code.UNAUTHENTICATED):
            await self._auditor.denied(call, method, request, error.reason)
        else:
            await self._auditor.answered(call, method, request, error.reason, b"")

    async def stream(self, method: str, handler: StreamHandler, request: Message, call: Call) -> AsyncIterator[Answer]:
        """Serves one request with a stream of responses. No span: a stream lives for days."""
        async with aclosing(self._responses(method, lambda: handler(request), request, call)) as responses:
            async for response in responses:
                yield response

    async def duplex(
        self, method: str, handler: DuplexHandler, requests: AsyncIterator[Message], call: Call
    ) -> AsyncGenerator[Answer, None]:
        """Serves a stream of requests with a stream of responses; its first request says whether it is admitted, and
        for what purpose. The handler gets a request whenever it asks for the next, and none is read before."""
        try:
            first = await anext(requests, None)
        except ServiceError as error:
            CALLS.add(method, principal_label(call.caller, proven=call.proven), error.code.name)
            raise
        if first is None:
            return

        async def all_requests() -> AsyncGenerator[Message, None]:
            yield first
            async for request in requests:
                if self._limiter is not None:
                    await self._limiter.pace(call, method, request)
                self._guard.admit_further(current_call(), method, request)
                yield request

        async with (
            aclosing(all_requests()) as asked,
            aclosing(self._responses(method, lambda: handler(asked), first, call)) as responses,
        ):
            async for response in responses:
                yield response

    async def _responses(
        self, method: str, serve: Callable[[], AsyncIterator[Answer]], request: Message, call: Call
    ) -> AsyncGenerator[Answer, None]:
        outcome = Code.CANCELLED.name
        try:
            if self._limiter is not None:
                await self._limiter.admit(call, method, request)
            if call.refusal is not None:
                raise call.refusal
            call = replace(call, purpose=self._guard.admit(call, method, request))
            if self._auditor is not None:
                await self._auditor.answered(call, method, request, "OPENED", b"")
            token = enter(call)
            try:
                async with aclosing(cast(AsyncGenerator[Answer, None], serve())) as responses:
                    async for response in responses:
                        yield response
                outcome = "OK"
            finally:
                try:
                    leave(token)
                except ValueError:
                    # An abandoned stream is closed by the event loop in another context, where nothing was entered.
                    pass
        except ServiceError as error:
            outcome = error.code.name
            await self._refused(call, method, request, error)
            raise
        except Exception:  # noqa: BLE001  # nothing unexpected may reach the caller as it is
            outcome = Code.INTERNAL.name
            raise self._unexpected(method, call) from None
        finally:
            CALLS.add(method, principal_label(call.caller, proven=call.proven), outcome)
