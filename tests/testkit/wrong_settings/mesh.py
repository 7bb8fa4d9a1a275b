"""A small mesh in this process, each service set up by variables as its own process would be, and reached over gRPC."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import gateway.__main__
import gateway.server
import services.lookup.__main__
import services.records.__main__
import services.runtime.service
import services.verdict.__main__
from cli.mesh.ports import free_port
from gateway.settings import GatewaySettings
from services.common.errors import ServiceError
from services.lookup.settings import Settings as LookupSettings
from services.records.settings import Settings as RecordsSettings
from services.runtime.settings.environment import SettingsError, load
from services.verdict.settings import Settings as VerdictSettings
from tests.testkit.directories import directory_file

REGIONS = ("110000", "210000", "430000")
STORES = (*REGIONS, "nation")
SERVICES = (*STORES, "lookup", "verdict", "gateway")
READY_SECONDS = 15.0
TAKEN_SECONDS = 2.0
"""How soon a service ends that finds its address taken, unless that was its own former self."""

_stopped: ContextVar[asyncio.Event] = ContextVar("stopped")


class Program(NamedTuple):
    """The settings of a kind of service, and what its process runs."""

    settings: type[Any]
    serving: Callable[[Any], Awaitable[None]]


PROGRAMS: Mapping[str, Program] = {
    "records": Program(RecordsSettings, services.records.__main__.serving),
    "lookup": Program(LookupSettings, services.lookup.__main__.serving),
    "verdict": Program(VerdictSettings, services.verdict.__main__.serving),
    "gateway": Program(GatewaySettings, gateway.__main__.serving),
}


def kind_of(service: str) -> str:
    """The program that a service runs."""
    return "records" if service in STORES else service


async def _stop_signal() -> None:
    await _stopped.get().wait()


@contextmanager
def no_signals() -> Iterator[None]:
    """Services of this process end when they are told, not by signals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services.runtime.service, "stop_signal", _stop_signal)
        patch.setattr(gateway.server, "stop_signal", _stop_signal)
        yield


class SmallMesh:
    """Three regions, the nation, lookup, verdict and the gateway. `variables` are the right settings of each service,
    without their prefix."""

    def __init__(self, folder: Path, secret: str, policies: Path) -> None:
        self.folder = folder
        folder.mkdir()
        ports: set[int] = set()
        while len(ports) <= len(SERVICES):
            ports.add(free_port())
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in zip((*SERVICES, "http"), ports, strict=True)}
        self.directory = directory_file(folder / "directory.yaml", {name: self.addresses[name] for name in STORES})
        self.variables: dict[str, dict[str, str]] = {
            name: {"LISTEN": self.addresses[name], "MESH_SECRET": secret, "DRAIN_GRACE": "0.2"} for name in SERVICES
        }
        for name in STORES:
            self.variables[name] |= {"REGION": name} | self._store(name)
        self.variables["nation"]["DIRECTORY"] = self.directory
        self.variables["lookup"] |= {"DIRECTORY": self.directory} | self._store("lookup")
        self.variables["verdict"] |= {"LOOKUP": self.addresses["lookup"], "POLICIES": str(policies)}
        self.variables["gateway"] |= {
            "HTTP_LISTEN": self.addresses["http"],
            "VERDICT": self.addresses["verdict"],
            "LOOKUP": self.addresses["lookup"],
            "DIRECTORY": self.directory,
            "DEVELOPMENT": str(folder / "development"),
        }
        self._running: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}

    def _store(self, name: str) -> dict[str, str]:
        return {"STORE_URL": f"sqlite:///{self.folder / name}.db", "STORE_MIGRATE": "true"}

    @property
    def http(self) -> str:
        """The address of the gateway over HTTP."""
        return f"http://{self.addresses['http']}"

    async def start(self, name: str, wrong: Mapping[str, str | None] | None = None) -> str:
        """Starts a service with some of its settings replaced, None for left out. Returns the sentence with which it
        refuses, empty once it listens."""
        variables = {**self.variables[name], **(wrong or {})}
        environ = {f"HUTONG_{key}": value for key, value in variables.items() if value is not None}
        program = PROGRAMS[kind_of(name)]
        stop = asyncio.Event()
        try:
            settings = load(program.settings, environ)
        except SettingsError as error:
            return str(error)

        addresses = [settings.listen, *([settings.http_listen] if name == "gateway" else [])]
        # Whoever listens there already is not the one that starts.
        taken = any([await _listens(address) for address in addresses])

        async def run() -> None:
            _stopped.set(stop)
            await program.serving(settings)

        task = asyncio.create_task(run(), name=f"{self.folder.name} {name}")
        if taken:
            await asyncio.wait({task}, timeout=TAKEN_SECONDS)
        async with asyncio.timeout(READY_SECONDS):
            while not task.done() and not all([await _listens(address) for address in addresses]):
                await asyncio.sleep(0.02)
        if task.done():
            failure = task.exception()
            if isinstance(failure, (SettingsError, ServiceError)):
                return str(failure)
            raise AssertionError(f"{name} ended: {failure}") from failure
        self._running[name] = (task, stop)
        return ""

    async def restart(self, name: str) -> None:
        """Ends a service and starts it with its right settings; its address may be busy for a moment."""
        await self.stop(name)
        refusal = "not started"
        async with asyncio.timeout(READY_SECONDS):
            while refusal:
                refusal = await self.start(name)
                await asyncio.sleep(0.1 if refusal else 0)

    async def stop(self, name: str) -> None:
        """Ends a service, if it runs."""
        if name in self._running:
            task, stop = self._running.pop(name)
            stop.set()
            await task

    async def start_all(self, names: tuple[str, ...] = SERVICES) -> None:
        """Starts services with their right settings."""
        for name in names:
            assert "" == await self.start(name)

    async def stop_all(self) -> None:
        """Ends everything, the front door first."""
        for name in reversed(SERVICES):
            await self.stop(name)


async def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host or "127.0.0.1", int(port))
    except OSError:
        return False
    writer.close()
    return True


class Said(logging.Handler):
    """Keeps what the log says at WARNING and above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one line, with the reason it carries."""
        self.lines.append(f"{record.getMessage()} {getattr(record, 'reason', '')} {getattr(record, 'error', '')}")
