"""Methods of servicers as gRPC's handlers: bounded decoding, errors with their details, streams that a drain ends."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status

from services.common.errors import Code, ServiceError, Text
from services.runtime.metrics import CALLS, UNPROVEN, principal_label
from services.runtime.resilience.overload import Overload, Weight, overloaded
from services.runtime.rpc.addresses import FORWARDED, Addresses, host_of
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.call import Call
from services.runtime.rpc.channel import TRACE_KEY
from services.runtime.rpc.errors import DETAILS_KEY, STATUS_CODES, draining, to_status
from services.runtime.rpc.failures import log_failure
from services.runtime.rpc.parts import has_too_many_parts
from services.runtime.rpc.peers import Peers
from services.runtime.rpc.person_keys import MessageKeys
from services.runtime.rpc.pipeline import Pipeline
from services.runtime.rpc.port import request_class
from services.runtime.rpc.shared_message import Answer, SharedMessage
from services.runtime.rpc.streams import OpenStreams, reader_too_slow
from services.runtime.telemetry.trace import Trace, Traces

DEFAULT_SECONDS = 10.0
"""The deadline of a call that brings none."""

SINGLE_BYTES = 256 * 1024
"""The largest request that holds one thing. One that holds many, such as a batch, may be as large as the server
takes."""

_MALFORMED = ServiceError(
    Code.INVALID_ARGUMENT,
    "MESSAGE_MALFORMED",
    Text("请求不是该方法的消息，无法解码", "The request is not a message of this method: it cannot be decoded"),
)
_TOO_LARGE = ServiceError(
    Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", Text("请求过大", "The request is larger than this method takes")
)


def _credential_ended() -> ServiceError:
    text = Text("调用方的证书或令牌已到期，请重新连接", "The caller's certificate or token has ended; connect again")
    return ServiceError(Code.UNAUTHENTICATED, "CREDENTIAL_ENDED", text)


@dataclass(frozen=True, slots=True)
class Refused:
    """The stand-in for a request that was not decoded."""

    error: ServiceError


Decoded = Message | Refused


@dataclass(frozen=True, slots=True)
class Handlers:
    """Makes the handlers of one server. `peers` names callers, `traces` makes a call's trace of the caller's,
    `draining` is set when streams are to end, `streams` bounds them, `overload` bounds what is answered once,
    `addresses` tells where calls come from, `keys` looks over every request and answer."""

    peers: Peers
    traces: Traces
    draining: asyncio.Event
    streams: OpenStreams
    overload: Overload
    addresses: Addresses
    keys: MessageKeys | None = None

    def of(self, pipeline: Pipeline, binding: Binding, method: MethodDescriptor) -> "grpc.RpcMethodHandler[Any, Any]":
        """Returns the handler of one method."""
        name = f"{binding.contract.full_name}/{method.name}"
        handler = getattr(binding.servicer, method.name)
        codec: Any = {"request_deserializer": _decoder(method, self.keys), "response_serializer": self._encoded}
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(self._duplex(pipeline, name, handler), **codec)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(pipeline, name, handler), **codec)
        weight = Weight.HEAVY if method.name in binding.heavy else Weight.LIGHT
        codec["request_deserializer"] = self._while_there_is_room(codec["request_deserializer"], weight)
        return grpc.unary_unary_rpc_method_handler(
            self._unary(pipeline, name, handler, weight, binding.heavy_purposes), **codec
        )

    def _encoded(self, response: Answer) -> bytes:
        message = response.message if isinstance(response, SharedMessage) else response
        told = message if self.keys is None else self.keys.sent(message)
        if told is message and isinstance(response, SharedMessage):
            return response.encoded()
        return told.SerializeToString()

    def _while_there_is_room(self, decode: Callable[[bytes], Decoded], weight: Weight) -> Callable[[bytes], Decoded]:
        def decoded(data: bytes) -> Decoded:
            # A thousand questions are not read only to be refused; the handler refuses them.
            return Refused(overloaded()) if self.overload.full(weight) else decode(data)

        return decoded

    def _unary(self, pipeline: Pipeline, name: str, handler: Any, least: Weight, heavy_purposes: frozenset[int]) -> Any:
        async def serve(request: Decoded, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
            call: Call | None = None
            weight = Weight.HEAVY if heavy_purposes and _purpose(request) in heavy_purposes else least
            try:
                self.overload.begin(weight)
            except ServiceError as error:
                CALLS.add(name, UNPROVEN, error.code.name)
                await self._abort(context, name, call, error)
            try:
                call, _ = await self._call(context)
                return await pipeline.unary(name, handler, _counted(name, request, call), call)
            except ServiceError as error:
                await self._abort(context, name, call, error)
            finally:
                self.overload.end(weight)

        return serve

    def _stream(self, pipeline: Pipeline, name: str, handler: Any) -> Any:
        async def serve(request: Decoded, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            call: Call | None = None
            try:
                call, ends = await self._call(context)
                with self.streams.opened(call.caller, context.peer()):
                    await _begin(context)
                    responses = pipeline.stream(name, handler, _counted(name, request, call), call)
                    async with aclosing(self._until_ended(responses, ends)) as living:
                        async for response in living:
                            await self._write(context, response)
                    self._check_drained()
            except ServiceError as error:
                await self._abort(context, name, call, error)

        return serve

    def _duplex(self, pipeline: Pipeline, name: str, handler: Any) -> Any:
        async def serve(requests: AsyncIterator[Decoded], context: grpc.aio.ServicerContext[Any, Any]) -> None:
            async def accepted(ends: float) -> AsyncGenerator[Message, None]:
                # A drain ends what the handler reads, not what it does: it answers what it has.
                async with aclosing(self._until_ended(requests, ends)) as living:
                    async for request in living:
                        yield _accepted(request)

            call: Call | None = None
            try:
                call, ends = await self._call(context)
                with self.streams.opened(call.caller, context.peer()):
                    await _begin(context)
                    # Closed one after another, from the innermost: left to the garbage collector, all at once.
                    async with (
                        aclosing(accepted(ends)) as asked,
                        aclosing(pipeline.duplex(name, handler, asked, call)) as responses,
                    ):
                        async for response in responses:
                            await self._write(context, response)
                    self._check_drained()
            except ServiceError as error:
                await self._abort(context, name, call, error)

        return serve

    async def _abort(
        self, context: grpc.aio.ServicerContext[Any, Any], method: str, call: Call | None, error: ServiceError
    ) -> NoReturn:
        trace = self._trace(context) if call is None else call.trace
        log_failure(method, "" if call is None else call.caller, trace.hex_id, error.code.name, error.reason)
        status: Status = to_status(error)
        context.set_trailing_metadata([(DETAILS_KEY, status.SerializeToString())])
        await context.abort(STATUS_CODES[error.code], status.message)
        raise AssertionError("abort raises")

    def _trace(self, context: grpc.aio.ServicerContext[Any, Any]) -> Trace:
        traceparent = next((str(value) for key, value in context.invocation_metadata() or () if key == TRACE_KEY), None)
        return self.traces(traceparent)

    async def _write(self, context: grpc.aio.ServicerContext[Any, Any], response: Answer) -> None:
        """Sends a message of a stream; waits while its reader has no room for it. Raises ABORTED (READER_TOO_SLOW)."""
        try:
            async with asyncio.timeout(self.streams.limits.reader_seconds):
                await context.write(response)
        except TimeoutError:
            raise reader_too_slow() from None

    async def _call(self, context: grpc.aio.ServicerContext[Any, Any]) -> tuple[Call, float]:
        """Returns the call, and when what proves the caller's name ends (time.monotonic(), seconds)."""
        left = context.time_remaining()
        caller = await self.peers.caller(context)
        call = Call(
            caller.name,
            time.monotonic() + (DEFAULT_SECONDS if left is None else left),
            self._trace(context),
            persons=caller.persons,
            users=caller.users,
            proven=caller.proven,
            address=self._address(context),
            refusal=caller.refusal,
            names=caller.names,
        )
        return call, caller.ends

    def _address(self, context: grpc.aio.ServicerContext[Any, Any]) -> str:
        forwarded = None
        if self.addresses.forwarded:
            said = (str(value) for key, value in context.invocation_metadata() or () if key == FORWARDED)
            forwarded = ",".join(said)
        return self.addresses.of(host_of(context.peer()), forwarded)

    def _check_drained(self) -> None:
        """Raises Unavailable (DRAINING): a stream that ended well would be over for good, and its reader not come back
        to another replica, or to this one once it runs again."""
        if self.draining.is_set():
            raise draining()

    async def _until_ended(self, items: AsyncIterator[Any], ends: float) -> AsyncGenerator[Any, None]:
        """Yields items until the server drains. Raises UNAUTHENTICATED (CREDENTIAL_ENDED) once what proves the caller's
        name has ended: a stream lives longer than a certificate, and whoever reads it proves its name anew."""
        ended = asyncio.ensure_future(self.draining.wait())
        reading: asyncio.Future[Any] | None = None
        try:
            while not self.draining.is_set():
                reading = asyncio.ensure_future(anext(items))
                left = None if ends == math.inf else max(0.0, ends - time.monotonic())
                await asyncio.wait({reading, ended}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if not ended.done() and time.monotonic() >= ends:
                    raise _credential_ended()
                if not reading.done():
                    return
                try:
                    item = reading.result()
                except StopAsyncIteration:
                    return
                yield item
        finally:
            ended.cancel()
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            if isinstance(items, AsyncGenerator):
                await items.aclose()


def _accepted(request: Decoded) -> Message:
    if isinstance(request, Refused):
        # One error for all calls: without this, it would keep every place where it was raised.
        raise request.error.with_traceback(None)
    return request


def _counted(method: str, request: Decoded, call: Call) -> Message:
    """Returns the request. Raises ServiceError, and counts the call that the pipeline will not see."""
    if isinstance(request, Refused):
        CALLS.add(method, principal_label(call.caller, proven=call.proven), request.error.code.name)
    return _accepted(request)


def _decoder(method: MethodDescriptor, keys: MessageKeys | None) -> Callable[[bytes], Decoded]:
    parse = request_class(method).FromString
    most = None if _holds_many(method.input_type) else SINGLE_BYTES

    def decoded(data: bytes) -> Decoded:
        # What is raised here would reach the caller as UNKNOWN with the decoder's words, and the log with a stack.
        if most is not None and len(data) > most:
            return Refused(_TOO_LARGE)
        if has_too_many_parts(data, method.input_type):
            return Refused(_TOO_LARGE)
        try:
            request = parse(data)
            return request if keys is None else keys.received(request)
        except DecodeError:
            return Refused(_MALFORMED)
        except ServiceError as error:
            return Refused(error)

    return decoded


def _holds_many(message: Descriptor, within: frozenset[str] = frozenset()) -> bool:
    """Returns whether a message has, however deep, a list of messages."""
    return message.full_name not in within and any(
        field.is_repeated or _holds_many(field.message_type, within | {message.full_name})
        for field in message.fields
        if field.message_type is not None
    )


async def _begin(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """Sends a stream's headers by themselves: sent with a first message that waits for its reader, they would be sent
    again with the error that ends the stream, which gRPC refuses, and the reader would wait for ever."""
    await context.send_initial_metadata(())


def _purpose(request: Decoded) -> int:
    return getattr(request, "purpose", 0)
