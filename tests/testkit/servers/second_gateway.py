"""A second gateway of a mesh of processes. Its secret, certificate and keys are files of its own, as those of another
pod are: it takes what was changed when it is told to, and not when the first one does."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.mesh.child import Child, Proof
from cli.mesh.environment import MODULES, environment
from cli.mesh.per_process import ProcessMesh
from cli.mesh.plan import GATEWAY, OPERATOR, PRINCIPALS
from cli.mesh.ports import free_port
from cli.mesh.target import files_of

_KEPT = ("HUTONG_MESH_SECRET_FILE", "HUTONG_TLS_CERTIFICATE", "HUTONG_TLS_KEY")
"""Settings that name a file."""
_STORES = ("HUTONG_SUPERVISION_STORE", "HUTONG_PUSH_STORE")


class SecondGateway:
    """The gateway beside a mesh's own, at `http`."""

    def __init__(self, mesh: ProcessMesh) -> None:
        self._folder = mesh.plan.data / "second"
        first = environment(mesh.plan, GATEWAY)
        self._sources = {name: Path(first[name]) for name in _KEPT if name in first}
        self._development = Path(mesh.plan.development)
        port = free_port()
        self.http = f"http://127.0.0.1:{port}"
        listen = f"127.0.0.1:{free_port()}"
        environ = first | {
            "HUTONG_LISTEN": listen,
            "HUTONG_HTTP_LISTEN": f"127.0.0.1:{port}",
            "HUTONG_OPERATIONS_LISTEN": f"127.0.0.1:{free_port()}",
            "HUTONG_AUDIT": str(self._folder / "audit"),
            "HUTONG_DEVELOPMENT": str(self._folder / "development"),
            **{name: str(self._folder / name) for name in self._sources},
            **{name: f"sqlite:///{self._folder.resolve() / name}.db" for name in _STORES},
        }
        files = files_of(mesh.endpoints, OPERATOR)
        proof = None if files is None else Proof(files, PRINCIPALS[GATEWAY])
        self._child = Child(
            "gateway-2", MODULES[GATEWAY], listen, environ, mesh.plan.data / "logs" / "gateway-2.log", proof
        )

    def take(self) -> None:
        """Brings its files up to those of the first gateway, each as a whole."""
        development = {Path("development") / path.name: path for path in self._development.glob("[!.]*")}
        for name, source in {**{Path(name): path for name, path in self._sources.items()}, **development}.items():
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = target.with_name(f".{target.name}")
            shutil.copy2(source, partial)
            # What was renewed in the same instant is another file all the same.
            partial.replace(target)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SecondGateway"]:
        """Runs it meanwhile."""
        self.take()
        try:
            await self._child.spawn()
            await self._child.ready()
            yield self
        finally:
            await self._child.stop()
