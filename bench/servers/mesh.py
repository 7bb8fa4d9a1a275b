"""`python -m bench.servers.mesh DATA [STORE=URL ...]`: a mesh in one process whose stores may be in other databases."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from cli.mesh.data import mesh_secret
from cli.mesh.endpoints import write_endpoints
from cli.mesh.in_process import EmbeddedMesh
from cli.mesh.plan import Plan
from cli.mesh.ports import free_ports
from services.runtime.limits.rules import NO_LIMITS
from services.runtime.process import configure_process
from services.runtime.settings.environment import ServerSettings


@dataclass(frozen=True, slots=True)
class StoredPlan(Plan):
    """A plan in which some stores, by name, are at URLs of their own."""

    urls: Mapping[str, str] = field(default_factory=dict)

    def store_url(self, name: str) -> str:
        """Returns the URL of a service's store."""
        return self.urls.get(name) or Plan.store_url(self, name)


async def serve(data: Path, urls: Mapping[str, str]) -> None:
    """Serves a mesh whose stores are at these URLs, by name, or in files, until SIGTERM."""
    # As `hutong up` does: with Python's own garbage collections each record of a past costs far more than there.
    configure_process(ServerSettings(log_level="WARNING"))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    mesh = EmbeddedMesh(StoredPlan(data, mesh_secret(data), free_ports(), urls=urls, limits={NO_LIMITS: "true"}))
    try:
        await mesh.start_all()
        write_endpoints(mesh.endpoints, data)
        print(mesh.http, flush=True)  # whoever started this waits for it
        await stop.wait()
    finally:
        await mesh.stop_all()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), dict(one.split("=", 1) for one in sys.argv[2:])))
