"""A gRPC server for one service: its bindings, health, reflection if wanted, and a drain that loses no call."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.runtime.operations.answers import Answers
from services.runtime.operations.heartbeat import Heartbeat
from services.runtime.operations.listener import OperationsListener
from services.runtime.resilience.overload import Overload
from services.runtime.resilience.tasks import end
from services.runtime.rpc.addresses import Addresses
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.handlers import Handlers
from services.runtime.rpc.health import DRAINING, Degraded, Health, Ping
from services.runtime.rpc.listening import CannotListenError
from services.runtime.rpc.person_keys import MessageKeys
from services.runtime.rpc.pipeline import Auditor, Limiter, Pipeline
from services.runtime.rpc.security import NO_SECURITY, Security
from services.runtime.rpc.streams import STREAM_LIMITS, OpenStreams, StreamLimits
from services.runtime.telemetry.trace import Traces, new_trace

log = logging.getLogger("hutong.server")

PING_SECONDS = 1.0

LEAVE_SECONDS = 0.3
"""How long callers that watch health have to go elsewhere before the connections are told to go."""

REQUEST_BYTES = 4 * 1024 * 1024
"""The largest request between services: a thousand questions are less than one."""

CONNECTION_SECONDS = 30.0
"""How old a connection gets, more or less at random by a tenth: its caller looks for the addresses of the name again,
and finds replicas that were added."""
STREAM_SECONDS = 3600.0
"""How long streams on a connection that is told to go may go on: those who read them resume."""

STREAMS = 1_000
"""How many calls one connection may have open: its caller keeps the others until some have ended. No fewer than may be
under way by default."""
PENDING = 20_000
"""How many calls may wait to be looked at, over all connections: as many as twenty of them may have open."""

_OPTIONS: list[tuple[str, int]] = [
    # Two servers on one port would share its connections silently.
    ("grpc.so_reuseport", 0),
    # A compressed message is as large as it likes once it is decompressed, and only then measured. Nobody here
    # compresses; to the others it is said that this is not supported.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.max_concurrent_streams", STREAMS),
    # Otherwise some of the allowed ones are refused without a reason once many have ended and are not cleared away yet.
    ("grpc.http.overload_protection", 0),
    # Beyond these, grpc ends calls that wait to be looked at with CANCELLED, as if their callers had left. They are to
    # be refused with a reason. One that waits takes 10 kB, and what has come of its message, at most 64 kB.
    ("grpc.server.max_pending_requests", PENDING),
    ("grpc.server.max_pending_requests_hard_limit", PENDING),
    ("grpc.max_connection_age_ms", round(CONNECTION_SECONDS * 1000)),
    ("grpc.max_connection_age_grace_ms", round(STREAM_SECONDS * 1000)),
    ("grpc.keepalive_permit_without_calls", 1),
    # A channel asks for a sign of life every 20 s. Unless told, grpc takes more than one in five minutes for abuse, and
    # would end the connection of a stream that has nothing to say, such as an intake whose database is slow.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]


class Server:
    """Serves one service's bindings on one address.

    `traces` makes the trace of a call from the caller's: between the services of a mesh, a caller's decision to sample
    is kept. `request_bytes` is the largest message that is taken at all; `reflects`: whether anybody may ask for the
    contracts. `security` says who calls and what they may do, `regions` whose store this is. `operations_listen`
    is where operators and the probes of a cluster ask over HTTP, without certificates: health and metrics alone, from a
    thread of their own. `overload` counts the calls under way, with those of the process's other doors, `streams`
    bounds what is watched, `limiter` what one caller asks; `addresses` tells where calls come from. `auditor` writes
    down what is answered, `keys` looks over every request and answer.
    """

    def __init__(
        self,
        service: str,
        bindings: Sequence[Binding],
        pings: Mapping[str, Ping] | None = None,
        *,
        traces: Traces = new_trace,
        request_bytes: int = REQUEST_BYTES,
        reflects: bool = False,
        security: Security = NO_SECURITY,
        regions: Collection[str] = (),
        overload: Overload | None = None,
        operations_listen: str = "",
        auditor: Auditor | None = None,
        limiter: Limiter | None = None,
        addresses: Addresses | None = None,
        keys: MessageKeys | None = None,
        streams: StreamLimits = STREAM_LIMITS,
    ) -> None:
        self._service = service
        self._pings = dict(pings or {})
        self._leaving = False
        self._draining = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._heartbeat = Heartbeat()
        self.health = Health({binding.contract.full_name: binding.needs for binding in bindings})
        self._server = grpc.aio.server(options=[*_OPTIONS, ("grpc.max_receive_message_length", request_bytes)])
        self._credentials = security.credentials
        self._operations_listen = operations_listen
        self._operations: OperationsListener | None = None
        made = Handlers(
            security.peers,
            traces,
            self._draining,
            OpenStreams(streams),
            overload or Overload(),
            addresses or Addresses(),
            keys,
        )
        for binding in bindings:
            pipeline = Pipeline(service, security.guarded(binding, regions).guard, auditor, limiter)
            handlers = {method.name: made.of(pipeline, binding, method) for method in binding.contract.methods}
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(binding.contract.full_name, handlers),)
            )
        health_pb2_grpc.add_HealthServicer_to_server(self.health.servicer, self._server)
        if reflects:
            contracts = [binding.contract.full_name for binding in bindings]
            names = [*contracts, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
            reflection.enable_server_reflection(names, self._server)

    async def start(self, address: str) -> int:
        """Listens on `host:port` (port 0 takes a free one) and returns the port. Raises CannotListenError."""
        # Before the first call can arrive: what is down must never look healthy.
        await self._ping()
        if self._operations_listen:
            # First, for it can be let go again: grpc keeps the port of a server that was never started.
            answers = Answers(self._heartbeat, self.health.readiness)
            self._operations = OperationsListener(answers, self._operations_listen, self._service)
        try:
            port = (
                self._server.add_insecure_port(address)
                if self._credentials is None
                else self._server.add_secure_port(address, self._credentials)
            )
        except RuntimeError:
            await self._stop_operations()
            reason = f"{self._service}: cannot listen on {address}; is the port taken?"
            raise CannotListenError(reason, "HUTONG_LISTEN") from None
        await self._start_whole()
        self._tasks = [asyncio.create_task(self._ping_on()), asyncio.create_task(self._heartbeat.run())]
        log.info("serving", extra={"service": self._service, "port": port})
        return port

    async def _start_whole(self) -> None:
        # Cancelled in the midst, grpc's own start would leave a server that runs, cannot be stopped and complains of an
        # invalid state: it sets a result on the future whose wait was cancelled.
        starting = asyncio.create_task(self._server.start())
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await starting
            await self._server.stop(None)
            await self._stop_operations()
            raise

    async def _stop_operations(self) -> None:
        if self._operations is not None:
            await asyncio.to_thread(self._operations.stop)

    @property
    def operations_port(self) -> int:
        """The port of operators once it has started, 0 where there is none."""
        return 0 if self._operations is None else self._operations.port

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
        while not self._leaving:
            await asyncio.sleep(PING_SECONDS)
            if not self._leaving:
                await self._ping()

    async def drain(self, wait: float, grace: float) -> None:
        """Serves on for `wait` seconds, while the address leaves the name that callers know it by; then sends callers
        away, lets calls in flight end within `grace` seconds, and stops. Safe to call twice.

        Callers that watch health leave first, for another replica; then every connection is told to go. Streams end
        with UNAVAILABLE (DRAINING): those who read them come back elsewhere.
        """
        self.health.leave()
        await asyncio.sleep(wait)
        self._leaving = True
        await self.health.report(DRAINING, "draining")
        if wait:
            await asyncio.sleep(LEAVE_SECONDS)
        self._draining.set()
        await self._server.stop(grace)
        await end(self._tasks)
        await self._stop_operations()
