"""What happens around every method, whether the request came over a wire or from an object in the same process:
admission, deadline, trace, and errors that say what they should and no more."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose

from services.common.errors import DeadlineExceeded, ServiceError
from services.runtime.rpc.access import Guard
from services.runtime.rpc.call import Call, current_call, enter, leave
from services.runtime.rpc.errors import internal
from services.runtime.telemetry.trace import SpanKind, span

log = logging.getLogger("hutong.call")

SHAVE_SECONDS = 0.02
"""Taken off every deadline, so that the specific timeout is reported before the caller gives up."""
LEAST_SECONDS = 0.05
"""Work with less time left than this is refused at once."""

UnaryHandler = Callable[[Message], Awaitable[Message]]
StreamHandler = Callable[[Message], AsyncIterator[Message]]
DuplexHandler = Callable[[AsyncIterator[Message]], AsyncIterator[Message]]


class Pipeline:
    """Serves the methods of one service."""

    def __init__(self, service: str, guard: Guard) -> None:
        self._service = service
        self._guard = guard

    def _admitted(self, method: str, request: Message, call: Call) -> Call:
        purpose = self._guard.admit(call.caller, method, request)
        return replace(call, deadline=call.deadline - SHAVE_SECONDS, purpose=purpose or Purpose.PURPOSE_UNSPECIFIED)

    def _unexpected(self, method: str, call: Call) -> ServiceError:
        log.exception("unexpected error", extra={"method": method, "caller": call.caller})
        return internal(call.trace.hex_id)

    async def unary(self, method: str, handler: UnaryHandler, request: Message, call: Call) -> Message:
        """Serves one request. Raises ServiceError and nothing else."""
        with span(self._service, method, SpanKind.SERVER, call.trace) as here:
            call = replace(call, trace=here.trace)
            token = None
            try:
                call = self._admitted(method, request, call)
                left = call.deadline - time.monotonic()
                if left < LEAST_SECONDS:
                    raise DeadlineExceeded("所剩时间不足", "Too little time is left to answer")
                token = enter(call)
                async with asyncio.timeout(left):
                    return await handler(request)
            except ServiceError as error:
                here.fail(error.reason)
                raise
            except TimeoutError:
                here.fail("DEADLINE_EXCEEDED")
                raise DeadlineExceeded(
                    f"{self._service} 未及时完成", f"{self._service} did not finish in time"
                ) from None
            except Exception:  # noqa: BLE001  # nothing unexpected may reach the caller as it is
                here.fail("INTERNAL")
                raise self._unexpected(method, call) from None
            finally:
                if token is not None:
                    leave(token)

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
