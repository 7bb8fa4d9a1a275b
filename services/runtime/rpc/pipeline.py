"""The pipeline around every method, for a request over a wire as for one of an object in the same process:
admission, deadline, trace, and errors that say what they should and no more."""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar, cast

from google.protobuf.message import Message
from msgspec.structs import replace

from services.common.errors import DeadlineExceeded, ServiceError
from services.runtime.resilience.time_limit import answer_by
from services.runtime.rpc.access import Guard
from services.runtime.rpc.call import Call, Entered, current_call, enter, leave
from services.runtime.rpc.errors import internal
from services.runtime.telemetry.trace import SpanKind, span

log = logging.getLogger("hutong.call")

SHAVE_SECONDS = 0.02
"""Taken off every deadline, so that the specific timeout is reported before the caller gives up."""
LEAST_SECONDS = 0.05
"""Work with less time left than this is refused at once."""

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")
StreamHandler = Callable[[Message], AsyncIterator[Message]]
DuplexHandler = Callable[[AsyncIterator[Message]], AsyncIterator[Message]]


class Pipeline:
    """Serves the methods of one service."""

    def __init__(self, service: str, guard: Guard) -> None:
        self._service = service
        self._guard = guard

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
        """Serves one request. A span is named as the method is, unless told otherwise. Raises ServiceError and nothing
        else."""
        if not call.trace.sampled:
            return await self._unary(method, handler, request, call)
        with span(self._service, span_name or method, SpanKind.SERVER, call.trace) as here:
            return await self._unary(method, handler, request, replace(call, trace=here.trace))

    async def _unary(
        self, method: str, handler: Callable[[Request], Awaitable[Response]], request: Request, call: Call
    ) -> Response:
        entered: Entered | None = None
        try:
            purpose = self._guard.admit(call.caller, method, request)
            deadline = call.deadline - SHAVE_SECONDS
            if deadline - time.monotonic() < LEAST_SECONDS:
                raise DeadlineExceeded("所剩时间不足", "Too little time is left to answer")
            entered = enter(Call(call.caller, deadline, call.trace, purpose))
            return await answer_by(deadline, handler(request))
        except ServiceError:
            raise
        except TimeoutError:
            raise DeadlineExceeded(f"{self._service} 未及时完成", f"{self._service} did not finish in time") from None
        except Exception:  # noqa: BLE001  # nothing unexpected may reach the caller as it is
            raise self._unexpected(method, call) from None
        finally:
            if entered is not None:
                leave(entered)

    async def stream(self, method: str, handler: StreamHandler, request: Message, call: Call) -> AsyncIterator[Message]:
        """Serves one request with a stream of responses. No span: a stream lives for days."""
        async with aclosing(self._responses(method, lambda: handler(request), request, call)) as responses:
            async for response in responses:
                yield response

    async def duplex(
        self, method: str, handler: DuplexHandler, requests: AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]:
        """Serves a stream of requests with a stream of responses; its first request says whether it is admitted, and
        for what purpose. The handler gets a request whenever it asks for the next, and none is read before."""
        first = await anext(requests, None)
        if first is None:
            return

        async def all_requests() -> AsyncIterator[Message]:
            yield first
            async for request in requests:
                self._guard.admit_further(call.caller, method, current_call().purpose, request)
                yield request

        async with aclosing(self._responses(method, lambda: handler(all_requests()), first, call)) as responses:
            async for response in responses:
                yield response

    async def _responses(
        self, method: str, serve: Callable[[], AsyncIterator[Message]], request: Message, call: Call
    ) -> AsyncGenerator[Message, None]:
        try:
            call = replace(call, purpose=self._guard.admit(call.caller, method, request))
            token = enter(call)
            try:
                async with aclosing(cast(AsyncGenerator[Message, None], serve())) as responses:
                    async for response in responses:
                        yield response
            finally:
                try:
                    leave(token)
                except ValueError:
                    # An abandoned stream is closed by the event loop in another context, where nothing was entered.
                    pass
        except ServiceError:
            raise
        except Exception:  # noqa: BLE001  # nothing unexpected may reach the caller as it is
            raise self._unexpected(method, call) from None
