"""Calls to another process: one channel a target; deadline, caller and trace go along, errors come as ServiceError."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from services.common.errors import Code, DeadlineExceeded
from services.runtime.resilience.backoff import Backoff
from services.runtime.resilience.tasks import end
from services.runtime.rpc.call import current_call
from services.runtime.rpc.connection import Connection
from services.runtime.rpc.errors import from_rpc_error
from services.runtime.rpc.peers import CALLER_KEY, USERS_KEY
from services.runtime.rpc.person_keys import MessageKeys
from services.runtime.rpc.port import contract_methods, implemented, response_class
from services.runtime.telemetry.trace import current_trace
from services.runtime.tls.channel import CertifiedChannels
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import Principal

P = TypeVar("P")

TRACE_KEY = "traceparent"

ATTEMPTS = 3
"""How often a call that is answered once is made while the service is UNAVAILABLE."""
FIRST_WAIT = 0.02
LONGEST_WAIT = 0.2
"""Seconds between two attempts: doubling, with jitter."""


class Channels:
    """The channels that one process, `caller`, opens: one for each target, closed together. With certificates, both
    sides prove their names. `keys` looks over what is sent and what is answered."""

    def __init__(self, caller: str, files: TlsFiles | None = None, keys: MessageKeys | None = None) -> None:
        self._caller = caller
        self._files = files
        self._keys = keys
        self._connections: dict[tuple[str, Principal], Connection] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    def remote(self, port: type[P], target: str, *, service: str, peer: Principal) -> P:
        """Returns a port that calls the service at a target; see `remote`. Within a running event loop. `peer` is the
        name that the service must prove where there are certificates."""
        connection = self._connections.get((target, peer))
        if connection is None:
            opener = None if self._files is None else CertifiedChannels(self._files, peer)
            connection = self._connections[target, peer] = Connection(target, opener)
        return remote(port, connection, service=service, caller=self._caller, keys=self._keys)

    async def close(self) -> None:
        """Closes all connections."""
        for connection in self._connections.values():
            await connection.close()


def remote(port: type[P], connection: Connection, *, service: str, caller: str, keys: MessageKeys | None = None) -> P:
    """Returns a port that calls over a connection; `service` names the other side in errors.

    Its methods raise ServiceError. One that is answered once is tried again while the service is UNAVAILABLE, so writes
    must be idempotent, as all of this mesh are. A stream is its reader's to open again, who knows where to go on.
    """
    methods = contract_methods(port)
    return implemented(
        port,
        {
            name: remote_method(method, connection, service=service, caller=caller, keys=keys)
            for name, method in methods.items()
        },
    )


def remote_method(
    method: MethodDescriptor,
    connection: Connection,
    *,
    service: str,
    caller: str,
    keys: MessageKeys | None = None,
) -> Callable[..., Any]:
    """Returns a function that calls one method over a connection."""
    if not method.server_streaming:
        return _unary(service, caller, _Method(connection, method, "unary_unary", keys))
    if method.client_streaming:
        return _duplex(service, caller, _Method(connection, method, "stream_stream", keys))
    return _stream(service, caller, _Method(connection, method, "unary_stream", keys))


class _Method:
    """One method over whatever channel a connection has at the moment."""

    def __init__(self, connection: Connection, method: MethodDescriptor, kind: str, keys: MessageKeys | None) -> None:
        self.connection = connection
        self._path = f"/{method.containing_service.full_name}/{method.name}"
        self._kind = kind
        parse = response_class(method).FromString
        self._parse = parse if keys is None else lambda data: keys.received(parse(data))
        self._serialize = _serialized if keys is None else lambda request: keys.sent(request).SerializeToString()
        self._channel: grpc.aio.Channel | None = None
        self._invoke: Any = None

    @property
    def current(self) -> Any:
        channel = self.connection.channel
        if channel is not self._channel:
            self._channel = channel
            self._invoke = getattr(channel, self._kind)(
                self._path,
                request_serializer=self._serialize,
                response_deserializer=self._parse,
            )
        return self._invoke


def _serialized(request: Message) -> bytes:
    return request.SerializeToString()


def _metadata(caller: str) -> list[tuple[str, str]]:
    call = current_call()
    metadata = [(CALLER_KEY, caller), (TRACE_KEY, (current_trace() or call.trace).traceparent())]
    if call.users:
        metadata.append((USERS_KEY, ",".join(call.users)))
    return metadata


def _unary(service: str, caller: str, invoke: _Method) -> Callable[[Message], Any]:
    async def call(request: Message) -> Message:
        deadline, metadata = current_call().deadline, _metadata(caller)
        attempt, backoff = 1, Backoff(FIRST_WAIT, LONGEST_WAIT)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeadlineExceeded()
            try:
                return cast(Message, await invoke.current(request, timeout=left, metadata=metadata))
            except grpc.aio.AioRpcError as error:
                failed = from_rpc_error(error, service)
            if failed.code is Code.UNAVAILABLE:
                invoke.connection.missed()
            if (
                failed.code is not Code.UNAVAILABLE
                or attempt == ATTEMPTS
                or deadline - time.monotonic() < backoff.pause
            ):
                raise failed
            await backoff.wait()
            attempt += 1

    return call


def _stream(service: str, caller: str, invoke: _Method) -> Callable[[Message], AsyncIterator[Message]]:
    async def call(request: Message) -> AsyncIterator[Message]:
        stream = invoke.current(request, metadata=_metadata(caller))
        try:
            async for response in stream:
                yield response
        except grpc.aio.AioRpcError as error:
            invoke.connection.missed()
            raise from_rpc_error(error, service) from None
        finally:
            stream.cancel()

    return call


def _duplex(service: str, caller: str, invoke: _Method) -> Callable[[AsyncIterator[Message]], AsyncIterator[Message]]:
    async def call(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        stream = invoke.current(metadata=_metadata(caller))
        # Not gRPC's own: it would leave the requests of a stream that has ended where they wait, for ever.
        writing = asyncio.create_task(_write(stream, requests))
        try:
            async for response in stream:
                yield response
        except grpc.aio.AioRpcError as error:
            invoke.connection.missed()
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
