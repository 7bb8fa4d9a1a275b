"""A service as its composition root hands it over: what it serves, what it keeps doing, how it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.runtime.process import stop_signal
from services.runtime.resilience.tasks import end
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.server import CannotListenError, Ping, Server
from services.runtime.settings.environment import ServerSettings, SettingsError

log = logging.getLogger("hutong.service")

Background = Callable[[], Awaitable[None]]
"""Something a service keeps doing while it runs, such as following a feed; it handles its own errors."""


@dataclass(slots=True)
class Service:
    """One service, ready to run."""

    name: str
    bindings: Sequence[Binding]
    pings: Mapping[str, Ping] = field(default_factory=dict)
    background: Sequence[Background] = ()
    close: Callable[[], Awaitable[None]] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the background work going meanwhile; afterwards ends it and closes what the service holds."""
        tasks = [asyncio.create_task(_watched(self.name, work)) for work in self.background]
        try:
            yield
        finally:
            await end(tasks)
            if self.close is not None:
                await self.close()


async def _watched(service: str, work: Background) -> None:
    try:
        await work()
    except Exception:
        log.exception("background work ended", extra={"service": service})


async def serve(service: Service, settings: ServerSettings) -> None:
    """Serves one service over gRPC until SIGTERM or SIGINT, then drains.

    Raises SettingsError when its address cannot be had."""
    server = Server(service.name, service.bindings, service.pings, reflects=settings.reflection)
    async with service.running():
        try:
            await server.start(settings.listen)
        except CannotListenError as error:
            raise SettingsError(f"{error.variable}: {error}") from None
        await stop_signal()
        log.info("draining", extra={"service": service.name})
        await server.drain(settings.drain_wait, settings.drain_grace)
