"""Serves a gateway over HTTP and gRPC in one loop, and ends both without losing a request."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gateway.composition import Gateway
from gateway.http.asgi import Asgi
from gateway.http.connections import Connections, connection_class
from gateway.settings import HEAD_SECONDS, IDLE_SECONDS, GatewaySettings
from services.runtime.process import stop_signal
from services.runtime.rpc.addresses import Addresses
from services.runtime.rpc.listening import CannotListenError, listening_socket
from services.runtime.rpc.person_keys import message_keys
from services.runtime.rpc.server import Server
from services.runtime.service import stream_limits_of
from services.runtime.settings.environment import SettingsError

log = logging.getLogger("hutong.server")

START_SECONDS = 10.0
REQUEST_BYTES = 1024 * 1024
"""The largest request over gRPC, from whomever: a batch of a thousand codes is a fifth of it."""


class _Embedded(uvicorn.Server):
    """Leaves signals to the process it lives in, and no connection unanswered at its end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes the connections that were made and not taken yet, then ends all."""
        listeners = [one.dup() for one in sockets or ()]
        for server in self.servers:
            server.close()
        for listener in listeners:
            await self._take_waiting(listener)
        await super().shutdown(sockets)

    async def _take_waiting(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            # No more than one is made behind our back.
            listener.listen(0)
            listener.setblocking(False)
            while True:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    return
                await loop.connect_accepted_socket(self._connection, connection)

    def _connection(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn makes them
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class HttpServer:
    """An ASGI application on one address. A connection has `head_seconds` to send the head of a request, and
    `idle_seconds` to begin the next one; the defaults are those of GatewaySettings."""

    def __init__(self, app: Asgi, *, head_seconds: float = HEAD_SECONDS, idle_seconds: float = IDLE_SECONDS) -> None:
        self._app = app
        self._connections = Connections(head_seconds, idle_seconds)
        self._server: _Embedded | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, address: str, grace: float) -> int:
        """Listens on `host:port` (port 0 takes a free one) and returns the port; `grace` is how many seconds requests
        in flight have at the end. Raises OSError when the address cannot be had."""
        listener = listening_socket(address, "http", "HUTONG_HTTP_LISTEN")
        port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http=connection_class(self._connections),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=max(1, round(grace)),
        )
        self._server = _Embedded(config)
        self._task = asyncio.create_task(self._server.serve([listener]), name="http server")
        async with asyncio.timeout(START_SECONDS):
            while not self._server.started:
                if self._task.done():
                    self._task.result()
                    raise OSError(f"http: the server on {address} ended while starting")
                await asyncio.sleep(0.005)
        log.info("serving", extra={"service": "gateway http", "port": port})
        return port

    def drain(self) -> None:
        """Lets every connection end with its next answer; new ones are still taken."""
        self._connections.drain()

    async def stop(self) -> None:
        """Takes no more connections, lets requests in flight end, and returns. Safe to call twice."""
        if self._server is not None and self._task is not None:
            self.drain()
            self._server.should_exit = True
            await self._task


class GatewayServer:
    """A gateway on its two addresses."""

    def __init__(self, gateway: Gateway, settings: GatewaySettings) -> None:
        self._settings = settings
        service = gateway.service
        self._grpc = Server(
            service.name,
            service.bindings,
            service.pings,
            traces=gateway.traces,
            request_bytes=REQUEST_BYTES,
            reflects=settings.reflection,
            security=gateway.security,
            overload=gateway.overload,
            operations_listen=settings.operations_listen,
            auditor=service.auditor,
            limiter=service.limiter,
            keys=message_keys(gateway.service.secret),
            addresses=Addresses(settings.trusted_proxies),
            streams=stream_limits_of(settings),
        )
        self._http = HttpServer(
            gateway.app, head_seconds=settings.http_head_seconds, idle_seconds=settings.http_idle_seconds
        )

    async def start(self) -> tuple[int, int]:
        """Starts serving and returns the ports of HTTP and gRPC. Raises OSError when an address cannot be had."""
        http = await self._http.start(self._settings.http_listen, self._settings.drain_grace)
        try:
            return http, await self._grpc.start(self._settings.listen)
        except OSError:
            await self._http.stop()
            raise

    @property
    def operations_port(self) -> int:
        """The port of operators once it has started, 0 where there is none."""
        return self._grpc.operations_port

    async def drain(self, wait: float, grace: float) -> None:
        """Stops being ready, waits `wait` seconds for load balancers to notice, lets requests in flight end within
        `grace`, then stops. Safe to call twice."""
        self._http.drain()

        async def http() -> None:
            await asyncio.sleep(wait)
            await self._http.stop()

        await asyncio.gather(http(), self._grpc.drain(wait, grace))


async def serve(gateway: Gateway, settings: GatewaySettings) -> None:
    """Serves a gateway until SIGTERM or SIGINT, then drains. Raises SettingsError when an address cannot be had."""
    server = GatewayServer(gateway, settings)
    async with gateway.service.running():
        try:
            await server.start()
        except CannotListenError as error:
            raise SettingsError(f"{error.variable}: {error}") from None
        await stop_signal()
        log.info("draining", extra={"service": gateway.service.name})
        await server.drain(settings.drain_wait, settings.drain_grace)
