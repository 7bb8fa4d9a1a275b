"""A gRPC server for one service: its bindings, health, reflection, and a drain that loses no call."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.common.errors import ServiceError
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.call import Call
from services.runtime.rpc.channel import TRACE_KEY
from services.runtime.rpc.errors import DETAILS_KEY, STATUS_CODES, to_status
from services.runtime.rpc.health import DRAINING, Degraded, Health
from services.runtime.rpc.peers import Peers
from services.runtime.rpc.pipeline import Pipeline
from services.runtime.rpc.port import request_class
from services.runtime.rpc.security import NO_SECURITY, Security
from services.runtime.telemetry.trace import Traces, new_trace

log = logging.getLogger("hutong.server")

DEFAULT_SECONDS = 10.0
"""The deadline of a call that brings none."""

Ping = Callable[[], Awaitable[None]]
"""Asks a component for a sign of life; raises when there is none."""

PING_SECONDS = 1.0

_OPTIONS = [
    # Two servers on one port would share its connections silently.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.keepalive_permit_without_calls", 1),
    # A channel asks for a sign of life every 20 s. Unless told, grpc takes more than one in five minutes for abuse, and
    # would end the connection of a stream that has nothing to say, such as an intake whose database is slow.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]


@dataclass(frozen=True, slots=True)
class _Calls:
    """Makes a call of what gRPC tells of it."""

    peers: Peers
    traces: Traces

    def begun(self, context: grpc.aio.ServicerContext[Any, Any]) -> Call:
        """Returns the call. Raises ServiceError (UNAUTHENTICATED)."""
        traceparent = next((str(value) for key, value in context.invocation_metadata() or () if key == TRACE_KEY), None)
        left = context.time_remaining()
        return Call(
            self.peers.name(context),
            time.monotonic() + (DEFAULT_SECONDS if left is None else left),
            self.traces(traceparent),
        )


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: ServiceError) -> NoReturn:
    status: Status = to_status(error)
    context.set_trailing_metadata([(DETAILS_KEY, status.SerializeToString())])
    await context.abort(STATUS_CODES[error.code], status.message)
    raise AssertionError("abort raises")


def _unary(pipeline: Pipeline, name: str, handler: Any, calls: _Calls) -> Any:
    async def serve(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
        try:
            return await pipeline.unary(name, handler, request, calls.begun(context))
        except ServiceError as error:
            await _abort(context, error)

    return serve


def _stream(pipeline: Pipeline, name: str, handler: Any, calls: _Calls, draining: asyncio.Event) -> Any:
    async def serve(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Message]:
        try:
            async for response in pipeline.stream(name, handler, request, calls.begun(context)):
                yield response
                if draining.is_set():
                    # The follower comes back to another replica, or to this one once it runs again.
                    return
        except ServiceError as error:
            await _abort(context, error)

    return serve


async def _until(draining: asyncio.Event, requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    # A drain ends what the handler reads, not what it does: it answers what it has, and the client comes back.
    ended = asyncio.ensure_future(draining.wait())
    reading: asyncio.Future[Message] | None = None
    try:
        while not draining.is_set():
            reading = asyncio.ensure_future(anext(requests))
            await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return
            try:
                request = reading.result()
            except StopAsyncIteration:
                return
            yield request
    finally:
        ended.cancel()
        if reading is not None:
            reading.cancel()


def _duplex(pipeline: Pipeline, name: str, handler: Any, calls: _Calls, draining: asyncio.Event) -> Any:
    async def serve(
        requests: AsyncIterator[Message], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Message]:
        try:
            async for response in pipeline.duplex(name, handler, _until(draining, requests), calls.begun(context)):
                yield response
        except ServiceError as error:
            await _abort(context, error)

    return serve


def _handler(
    pipeline: Pipeline, binding: Binding, method: MethodDescriptor, calls: _Calls, draining: asyncio.Event
) -> Any:
    name = f"{binding.contract.full_name}/{method.name}"
    handler = getattr(binding.servicer, method.name)

    def serialise(response: Message) -> bytes:
        return response.SerializeToString()

    codec: Any = {"request_deserializer": request_class(method).FromString, "response_serializer": serialise}
    if method.client_streaming:
        return grpc.stream_stream_rpc_method_handler(_duplex(pipeline, name, handler, calls, draining), **codec)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(_stream(pipeline, name, handler, calls, draining), **codec)
    return grpc.unary_unary_rpc_method_handler(_unary(pipeline, name, handler, calls), **codec)


class CannotListenError(OSError):
    """An address cannot be had; `variable` is the setting that names it."""

    def __init__(self, message: str, variable: str) -> None:
        super().__init__(message)
        self.variable = variable


class Server:
    """Serves one service's bindings on one address. `traces` makes the trace of a call from the caller's: between the
    services of a mesh, a caller's decision to sample is kept. `security` says who calls and what they may do, `regions`
    whose store this is. `health_listen` is a second address, without certificates, for health alone:
    the probes of a cluster have none."""

    def __init__(
        self,
        service: str,
        bindings: Sequence[Binding],
        pings: Mapping[str, Ping] | None = None,
        *,
        traces: Traces = new_trace,
        security: Security = NO_SECURITY,
        regions: Collection[str] = (),
        health_listen: str = "",
    ) -> None:
        self._service = service
        self._pings = dict(pings or {})
        self._draining = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        contracts = [binding.contract.full_name for binding in bindings]
        self.health = Health(contracts)
        self._server = grpc.aio.server(options=_OPTIONS)
        self._credentials = security.credentials
        self._health_listen = health_listen
        self._health_server = grpc.aio.server(options=_OPTIONS) if health_listen else None
        calls = _Calls(security.peers, traces)
        for binding in bindings:
            pipeline = Pipeline(service, security.guarded(binding, regions).guard)
            handlers = {
                method.name: _handler(pipeline, binding, method, calls, self._draining)
                for method in binding.contract.methods
            }
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(binding.contract.full_name, handlers),)
            )
        health_pb2_grpc.add_HealthServicer_to_server(self.health.servicer, self._server)
        if self._health_server is not None:
            health_pb2_grpc.add_HealthServicer_to_server(self.health.servicer, self._health_server)
        names = [*contracts, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server)

    async def start(self, address: str) -> int:
        """Listens on `host:port` (port 0 takes a free one) and returns the port. Raises CannotListenError."""
        # Before the first call can arrive: what is down must never look healthy.
        await self._ping()
        await self.health.alive()
        try:
            port = (
                self._server.add_insecure_port(address)
                if self._credentials is None
                else self._server.add_secure_port(address, self._credentials)
            )
        except RuntimeError:
            raise self._cannot_listen(address, "HUTONG_LISTEN") from None
        if self._health_server is not None:
            try:
                self._health_server.add_insecure_port(self._health_listen)
            except RuntimeError:
                raise self._cannot_listen(self._health_listen, "HUTONG_HEALTH_LISTEN") from None
            await self._health_server.start()
        await self._start_whole()
        self._watch = asyncio.create_task(self._ping_on(), name=f"{self._service} health")
        log.info("serving", extra={"service": self._service, "port": port})
        return port

    def _cannot_listen(self, address: str, variable: str) -> CannotListenError:
        return CannotListenError(f"{self._service}: cannot listen on {address}; is the port taken?", variable)

    async def _start_whole(self) -> None:
        # Cancelled in the midst, grpc's own start would leave a server that runs, cannot be stopped and complains of an
        # invalid state: it sets a result on the future whose wait was cancelled.
        starting = asyncio.create_task(self._server.start())
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await starting
            await self._server.stop(None)
            raise

    async def _ping(self) -> None:
        for component, ping in self._pings.items():
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await ping()
                await self.health.report(component)
            except Degraded as error:
                await self.health.report(component, str(error)[:200], degraded=True)
            except Exception as error:  # noqa: BLE001  # whatever a driver raises, the component is down
                await self.health.report(component, f"{type(error).__name__}: {error}"[:200])
        await self.health.report(DRAINING)

    async def _ping_on(self) -> None:
        while not self._draining.is_set():
            await asyncio.sleep(PING_SECONDS)
            if not self._draining.is_set():
                await self._ping()

    async def drain(self, wait: float, grace: float) -> None:
        """Stops being healthy, waits for load balancers to notice, lets calls in flight end, then stops.

        `wait` and `grace` are seconds. Safe to call twice.
        """
        self._draining.set()
        if self._watch is not None:
            self._watch.cancel()
        await self.health.report(DRAINING, "draining")
        await asyncio.sleep(wait)
        await self._server.stop(grace)
        if self._health_server is not None:
            await self._health_server.stop(0)
