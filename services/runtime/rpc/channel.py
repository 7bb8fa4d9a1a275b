"""Calls to another process: one channel a target; deadline, caller and trace go along, errors come as ServiceError."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from services.common.errors import Code, DeadlineExceeded
from services.runtime.resilience.backoff import Backoff
from services.runtime.resilience.tasks import end
from services.runtime.rpc.call import current_call
from services.runtime.rpc.errors import from_rpc_error
from services.runtime.rpc.peers import CALLER_KEY
from services.runtime.rpc.port import contract_methods, implemented, response_class
from services.runtime.telemetry.trace import current_trace
from services.runtime.tls.channel import RenewedChannel
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import Principal

P = TypeVar("P")

TRACE_KEY = "traceparent"

ATTEMPTS = 3
"""How often a call that is answered once is made while the service is UNAVAILABLE."""
FIRST_WAIT = 0.02
LONGEST_WAIT = 0.2
"""Seconds between two attempts: doubling, with jitter."""

# Timeouts stay out of it: in Python, a `timeout` in the service config fails short calls at once.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},
}

_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # gRPC's own retries end the process, once in thousands of streams whose server dies: grpc/grpc#40283.
    ("grpc.enable_retries", 0),
    # Shared between channels, a connection's health watch that one ends while another begins it is a null pointer.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Other pings than those of keepalive wait a minute for their answer, and keepalive waits for them.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A region that comes back must be noticed within a second or so, not after the default two minutes of back-off.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


def open_channel(target: str) -> grpc.aio.Channel:
    """A channel to `host:port` or any gRPC name; `dns:///name:port` balances over all its addresses."""
    return grpc.aio.insecure_channel(target, options=_OPTIONS)


class CallChannel(Protocol):
    """The calls of a channel, or of one whose certificate is renewed."""

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any) -> Any:
        """Returns a function that calls a method that is answered once."""

    def unary_stream(self, path: str, request_serializer: Any, response_deserializer: Any) -> Any:
        """Returns a function that calls a method that is answered by a stream."""

    def stream_stream(self, path: str, request_serializer: Any, response_deserializer: Any) -> Any:
        """Returns a function that calls a method that takes a stream and is answered by one."""

    async def close(self) -> None:
        """Closes it at once."""


class Channels:
    """The channels that one process, `caller`, opens: one for each target, closed together. With certificates, both
    sides prove their names."""

    def __init__(self, caller: str, files: TlsFiles | None = None) -> None:
        self._caller = caller
        self._files = files
        self._channels: dict[tuple[str, Principal], CallChannel] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    def remote(self, port: type[P], target: str, *, service: str, peer: Principal) -> P:
        """Returns a port that calls the service at a target; see `remote`. Within a running event loop. `peer` is the
        name that the service must prove where there are certificates."""
        channel = self._channels.get((target, peer))
        if channel is None:
            channel = self._channels[target, peer] = self._opened(target, peer)
        return remote(port, channel, service=service, caller=self._caller)

    def _opened(self, target: str, peer: Principal) -> "CallChannel":
        if self._files is None:
            return open_channel(target)
        return RenewedChannel(target, self._files, peer, _OPTIONS)

    async def close(self) -> None:
        """Closes all channels."""
        for channel in self._channels.values():
            await channel.close()


def remote(port: type[P], channel: CallChannel, *, service: str, caller: str) -> P:
    """Returns a port that calls over a channel; `service` names the other side in errors.

    Its methods raise ServiceError. One that is answered once is tried again while the service is UNAVAILABLE, so writes
    must be idempotent, as all of this mesh are. A stream is its reader's to open again, who knows where to go on.
    """
    methods = contract_methods(port)
    return implemented(
        port,
        {name: remote_method(method, channel, service=service, caller=caller) for name, method in methods.items()},
    )


def remote_method(method: MethodDescriptor, channel: CallChannel, *, service: str, caller: str) -> Callable[..., Any]:
    """Returns a function that calls one method over a channel."""
    if not method.server_streaming:
        return _unary(service, caller, channel, method)
    if method.client_streaming:
        return _duplex(service, caller, channel, method)
    return _stream(service, caller, channel, method)


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _metadata(caller: str) -> list[tuple[str, str]]:
    trace = current_trace() or current_call().trace
    return [(CALLER_KEY, caller), (TRACE_KEY, trace.traceparent())]


def _unary(service: str, caller: str, channel: CallChannel, method: MethodDescriptor) -> Callable[[Message], Any]:
    invoke: Any = channel.unary_unary(
        _path(method),
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=response_class(method).FromString,
    )

    async def call(request: Message) -> Message:
        deadline, metadata = current_call().deadline, _metadata(caller)
        attempt, backoff = 1, Backoff(FIRST_WAIT, LONGEST_WAIT)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeadlineExceeded()
            try:
                return cast(Message, await invoke(request, timeout=left, metadata=metadata))
            except grpc.aio.AioRpcError as error:
                failed = from_rpc_error(error, service)
            if (
                failed.code is not Code.UNAVAILABLE
                or attempt == ATTEMPTS
                or deadline - time.monotonic() < backoff.pause
            ):
                raise failed
            await backoff.wait()
            attempt += 1

    return call


def _stream(
    service: str, caller: str, channel: CallChannel, method: MethodDescriptor
) -> Callable[[Message], AsyncIterator[Message]]:
    invoke: Any = channel.unary_stream(
        _path(method),
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=response_class(method).FromString,
    )

    async def call(request: Message) -> AsyncIterator[Message]:
        stream = invoke(request, metadata=_metadata(caller))
        try:
            async for response in stream:
                yield response
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, service) from None
        finally:
            stream.cancel()

    return call


def _duplex(
    service: str, caller: str, channel: CallChannel, method: MethodDescriptor
) -> Callable[[AsyncIterator[Message]], AsyncIterator[Message]]:
    invoke: Any = channel.stream_stream(
        _path(method),
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=response_class(method).FromString,
    )

    async def call(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        stream = invoke(metadata=_metadata(caller))
        # Not gRPC's own: it would leave the requests of a stream that has ended where they wait, for ever.
        writing = asyncio.create_task(_write(stream, requests))
        try:
            async for response in stream:
                yield response
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, service) from None
        except asyncio.CancelledError:
            if writing.done() and not writing.cancelled() and (failed := writing.exception()):
                raise failed from None
            raise
        finally:
            stream.cancel()
            await end([writing])

    return call


async def _write(stream: Any, requests: AsyncIterator[Message]) -> None:
    """Sends requests to their end, or to that of the stream. Raises what the requests raise, and ends the stream."""
    try:
        async for request in requests:
            try:
                await stream.write(request)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                # Who reads the stream is told why it has ended.
                return
        await stream.done_writing()
    except Exception:
        stream.cancel()
        raise
    finally:
        if isinstance(requests, AsyncGenerator):
            await requests.aclose()
