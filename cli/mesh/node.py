"""One service of a mesh in one process: it can be stopped and started again while the others go on calling it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import Generic, TypeVar

from google.protobuf.message import Message

from services.common.errors import Unavailable
from services.runtime.rpc.binding import Binding, local
from services.runtime.rpc.person_keys import message_keys
from services.runtime.rpc.port import contract_methods, implemented
from services.runtime.rpc.server import Server
from services.runtime.service import Service, limiter_of, security_of
from services.runtime.settings.environment import ServerSettings

P = TypeVar("P")

DRAIN_GRACE_SECONDS = 2.0
"""How long calls in flight may take to end when a service stops."""


Launch = Callable[[], AbstractAsyncContextManager[Sequence[Binding]]]
"""Runs a service meanwhile, each time on the same address; gives its bindings. Raises OSError when it is taken."""


def grpc_service(build: Callable[[], Service], settings: ServerSettings) -> Launch:
    """Returns the runner of a service that serves gRPC alone, on the address of the settings. Those within the process
    call it with no wire, whatever its port asks of others."""

    @asynccontextmanager
    async def launch() -> AsyncIterator[Sequence[Binding]]:
        service = build()
        async with service.running():
            server = Server(
                service.name,
                service.bindings,
                service.pings,
                reflects=settings.reflection,
                security=security_of(service, settings),
                regions=service.regions,
                auditor=service.auditor,
                keys=message_keys(service.secret),
                limiter=limiter_of(service, settings),
            )
            await server.start(settings.listen)
            try:
                yield service.bindings
            finally:
                await server.drain(0.0, DRAIN_GRACE_SECONDS)

    return launch


class Node:
    """A service with its gRPC port, and with no wire to its neighbours in the same process."""

    def __init__(self, name: str, launch: Launch) -> None:
        self.name = name
        self._launch = launch
        self._running: AsyncExitStack | None = None
        self.bindings: Sequence[Binding] = ()
        self.starts = 0
        """How often it was started; a neighbour tells by it whether what it holds still runs. 0 with no service."""

    @property
    def up(self) -> bool:
        """Tells if it runs."""
        return self._running is not None

    async def start(self) -> None:
        """Starts the service and its gRPC port. Does nothing while it runs. Raises OSError when the port is taken."""
        if self._running is not None:
            return
        async with AsyncExitStack() as stack:
            self.bindings = await stack.enter_async_context(self._launch())
            self._running = stack.pop_all()
        self.starts += 1

    async def stop(self) -> None:
        """Stops it: new calls find nobody, calls in flight are let end. Does nothing while it does not run."""
        if self._running is None:
            return
        running, self._running = self._running, None
        await running.aclose()

    def port(self, port: type[P], *, caller: str) -> P:
        """Returns what `caller` calls the service through. Like a remote service, it raises UNAVAILABLE while the
        service is stopped, and reaches it again once it runs; unlike one, nothing is serialised."""
        reached = _Reached(self, port, caller)
        return implemented(
            port,
            {
                name: reached.stream(name) if method.server_streaming else reached.unary(name)
                for name, method in contract_methods(port).items()
            },
        )


class _Reached(Generic[P]):
    """A port to what runs at the moment of the call."""

    def __init__(self, node: Node, port: type[P], caller: str) -> None:
        self._node = node
        self._port = port
        self._caller = caller
        self._starts = 0
        self._target: P | None = None

    def _reach(self) -> P:
        node = self._node
        if not node.up:
            raise Unavailable(
                "SERVICE_UNREACHABLE", f"{node.name} 服务无法连接", f"The {node.name} service cannot be reached"
            )
        if self._target is None or node.starts != self._starts:
            self._target = local(self._port, node.bindings, service=node.name, caller=self._caller)
            self._starts = node.starts
        return self._target

    def unary(self, method: str) -> Callable[[Message], Awaitable[Message]]:
        """Returns a method that is answered once."""

        async def call(request: Message) -> Message:
            response: Message = await getattr(self._reach(), method)(request)
            return response

        return call

    def stream(self, method: str) -> Callable[[Message], AsyncIterator[Message]]:
        """Returns a method that is answered by a stream."""

        async def call(request: Message) -> AsyncIterator[Message]:
            target = self._reach()
            async with aclosing(getattr(target, method)(request)) as stream:
                async for response in stream:
                    yield response
                    if self._reach() is not target:
                        raise Unavailable("SERVICE_RESTARTED", "服务已重启", "The service was restarted")

        return call
