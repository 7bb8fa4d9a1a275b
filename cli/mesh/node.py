"""One service of a mesh in one process: it can be stopped and started again while the others go on calling it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

from google.protobuf.message import Message

from services.common.errors import Unavailable
from services.runtime.rpc.binding import Binding, local
from services.runtime.rpc.server import Server
from services.runtime.service import Service

DRAIN_GRACE_SECONDS = 2.0
"""How long calls in flight may take to end when a service stops."""


Launch = Callable[[], AbstractAsyncContextManager[Sequence[Binding]]]
"""Runs a service meanwhile, each time on the same address; gives its bindings. Raises OSError when it is taken."""


def grpc_service(build: Callable[[], Service], address: str) -> Launch:
    """How to run a service that serves gRPC alone."""

    @asynccontextmanager
    async def launch() -> AsyncIterator[Sequence[Binding]]:
        service = build()
        async with service.running():
            server = Server(service.name, service.bindings, service.pings)
            await server.start(address)
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
        """Whether it runs."""
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

    def port(self, caller: str) -> Any:
        """What `caller` calls the service through. Like a remote service, it raises UNAVAILABLE while the service is
        stopped, and reaches it again once it runs; unlike one, nothing is serialised. The node must have run once."""
        return _Port(self, caller)


class _Port:
    """The methods of a node's contracts, each looking up what runs at the moment of the call."""

    def __init__(self, node: Node, caller: str) -> None:
        self._node = node
        self._caller = caller
        self._starts = 0
        self._target: Any = None
        for binding in node.bindings:
            for method in binding.contract.methods:
                make = self._stream if method.server_streaming else self._unary
                setattr(self, method.name, make(method.name))

    def _reach(self) -> Any:
        node = self._node
        if not node.up:
            raise Unavailable(
                "SERVICE_UNREACHABLE", f"{node.name} 服务无法连接", f"The {node.name} service cannot be reached"
            )
        if node.starts != self._starts:
            self._target = local(node.name, self._caller, node.bindings)
            self._starts = node.starts
        return self._target

    def _unary(self, method: str) -> Callable[[Message], Any]:
        async def call(request: Message) -> Message:
            response: Message = await getattr(self._reach(), method)(request)
            return response

        return call

    def _stream(self, method: str) -> Callable[[Message], AsyncIterator[Message]]:
        async def call(request: Message) -> AsyncIterator[Message]:
            target = self._reach()
            async with aclosing(getattr(target, method)(request)) as stream:
                async for response in stream:
                    yield response
                    if self._reach() is not target:
                        raise Unavailable("SERVICE_RESTARTED", "服务已重启", "The service was restarted")

        return call
