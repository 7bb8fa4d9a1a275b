"""A service as its composition root hands it over: what it serves, what it keeps doing, how it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.access.table import AccessError, AccessTable, default_table, read_table
from services.runtime.audit.auditor import Auditor
from services.runtime.clock import system_clock
from services.runtime.limits.limiter import Limiter
from services.runtime.limits.process import process_limiter
from services.runtime.process import stop_signal
from services.runtime.resilience.overload import Overload
from services.runtime.resilience.tasks import end
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.health import Ping
from services.runtime.rpc.listening import CannotListenError
from services.runtime.rpc.person_keys import message_keys
from services.runtime.rpc.security import NO_SECURITY, Security, mutual_tls
from services.runtime.rpc.server import Server
from services.runtime.rpc.streams import StreamLimits
from services.runtime.settings.environment import ServerSettings, SettingsError
from services.runtime.settings.secret_file import SecretFile
from services.runtime.tls.files import TlsFiles

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
    files: TlsFiles | None = None
    """The certificate it proves its name with; None for a mesh without certificates."""
    limiter: Limiter | None = None
    """What bounds how much one caller asks; None for a service that asks no more of its callers."""
    auditor: Auditor | None = None
    """What writes down the calls that it answers; None for a process that keeps no audit trail."""
    regions: Collection[str] = ()
    """The regions whose store it is."""
    secret: SecretFile | None = None
    """The mesh's secret, looked at again while it runs."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the background work going meanwhile; afterwards ends it and closes what the service holds."""
        background = [*self.background, *([] if self.auditor is None else [self.auditor.run])]
        tasks = [asyncio.create_task(_watched(self.name, work)) for work in background]
        try:
            yield
        finally:
            await end(tasks)
            if self.close is not None:
                await self.close()
            if self.auditor is not None:
                await self.auditor.close()


async def _watched(service: str, work: Background) -> None:
    try:
        await work()
    except Exception:
        log.exception("background work ended", extra={"service": service})


def access_table(settings: ServerSettings) -> AccessTable:
    """Returns the table of access that the settings name. Raises SettingsError when it will not do."""
    try:
        return read_table(Path(settings.access_table)) if settings.access_table else default_table()
    except AccessError as error:
        raise SettingsError(f"HUTONG_ACCESS_TABLE: {error}") from None


def security_of(service: Service, settings: ServerSettings) -> Security:
    """Returns what a service is served with. Raises SettingsError for a table of access that will not do."""
    if service.files is None:
        log.info("callers are taken at their word: no certificates", extra={"service": service.name})
        return NO_SECURITY
    return mutual_tls(service.files, access_table(settings), system_clock)


def limiter_of(service: Service, settings: ServerSettings) -> Limiter | None:
    """Returns what bounds how much one caller asks of a service: its own, or the one of its settings. Raises
    SettingsError."""
    return service.limiter if service.limiter is not None else process_limiter(settings)


def stream_limits_of(settings: ServerSettings) -> StreamLimits:
    """Returns how many streams a server with these settings lets be open, and how long they wait for their readers."""
    return StreamLimits(settings.streams_per_caller, settings.streams_per_connection, settings.reader_seconds)


async def serve(service: Service, settings: ServerSettings) -> None:
    """Serves one service over gRPC until SIGTERM or SIGINT, then drains.

    Raises SettingsError when its address cannot be had."""
    server = Server(
        service.name,
        service.bindings,
        service.pings,
        reflects=settings.reflection,
        security=security_of(service, settings),
        regions=service.regions,
        overload=Overload(settings.concurrency),
        operations_listen=settings.operations_listen,
        auditor=service.auditor,
        limiter=limiter_of(service, settings),
        keys=message_keys(service.secret),
        streams=stream_limits_of(settings),
    )
    async with service.running():
        try:
            await server.start(settings.listen)
        except CannotListenError as error:
            raise SettingsError(f"{error.variable}: {error}") from None
        await stop_signal()
        log.info("draining", extra={"service": service.name})
        await server.drain(settings.drain_wait, settings.drain_grace)
