"""A whole mesh on one machine: all services in one process, or a process for each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.mesh.in_process import EmbeddedMesh
    from cli.mesh.per_process import ProcessMesh
    from cli.mesh.plan import Plan
    from cli.mesh.running import RunningMesh


def _plan(data: Path, *, samples: bool, policies: Path | None, tls: bool = False) -> "Plan":
    from cli.mesh.certificates import write_mesh_certificates
    from cli.mesh.data import mesh_secret
    from cli.mesh.plan import Plan
    from cli.mesh.ports import free_ports
    from cli.samples.start import write_people

    people = data / "sample-people.json" if samples else None
    if people is not None:
        write_people(people)
    certificates = write_mesh_certificates(data) if tls else None
    return Plan(data, mesh_secret(data), free_ports(), policies=policies, samples=people, certificates=certificates)


async def _load(mesh: "RunningMesh") -> None:
    from cli.mesh.client import MeshClient
    from cli.samples.start import load_samples
    from services.runtime.clock import system_clock

    async with MeshClient(mesh.endpoints, "hutong-up") as client:
        await load_samples(client, system_clock)


@asynccontextmanager
async def embedded(
    data: Path, *, samples: bool = False, policies: Path | None = None, tls: bool = False
) -> AsyncIterator["EmbeddedMesh"]:
    """A mesh in this process and its running event loop, on free ports, with its data in this directory and
    policies, where given, other than those of the software. With `tls` its ports are for callers who prove their names.

    `http` is its base URL, `grpc` its addresses by name: gateway, verdict, lookup, nation and the regions' codes;
    `stop` and `start` take one of these names.
    """
    from cli.mesh.in_process import EmbeddedMesh

    mesh = EmbeddedMesh(_plan(data, samples=samples, policies=policies, tls=tls))
    try:
        await mesh.start_all()
        if samples:
            await _load(mesh)
        yield mesh
    finally:
        await mesh.stop_all()


@asynccontextmanager
async def processes(
    data: Path, *, samples: bool = False, policies: Path | None = None, tls: bool = False
) -> AsyncIterator["ProcessMesh"]:
    """The same with a process for each service; besides, `kill` ends one at once and `pid` names it. With `tls` they
    prove their names to each other."""
    from cli.mesh.per_process import ProcessMesh

    mesh = ProcessMesh(_plan(data, samples=samples, policies=policies, tls=tls))
    try:
        await mesh.start_all()
        if samples:
            await _load(mesh)
        yield mesh
    finally:
        await mesh.stop_all()
