"""A mesh with a process for each service: started in the order of their dependence, ended in the reverse."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping

from cli.certificates.authority import utc_now
from cli.certificates.signers import keep_signers
from cli.mesh.child import Child, ChildFailedError, Proof
from cli.mesh.data import DataDirectoryError
from cli.mesh.directory import write_directory
from cli.mesh.environment import MODULES, environment
from cli.mesh.plan import GATEWAY, LOOKUP, OPERATOR, PRINCIPALS, REGIONS, SERVICES, VERDICT, Plan
from cli.mesh.stores import STORES, note_stores, require_stores
from cli.mesh.target import files_of
from services.common.regions import NATION, divisions

log = logging.getLogger("hutong.mesh")

_WAVES = (REGIONS, (NATION,), (LOOKUP,), (VERDICT,), (GATEWAY,))
"""Services that do not depend on one another start together."""

RESTART_SECONDS = (0.5, 2.0, 5.0)
"""Pauses before a process that died is started again; after as many deaths it is left alone."""

Report = Callable[[str, int, bool], None]
"""Told of a process that died: its name, its exit status, whether it is started again."""


def _proof(plan: Plan, name: str) -> Proof | None:
    files = files_of(plan.endpoints(os.getpid()), OPERATOR)
    return None if files is None else Proof(files, PRINCIPALS[name])


class ProcessMesh:
    """The processes of one mesh, which hold its lock. Each can be stopped, killed and started by its service's name."""

    def __init__(self, plan: Plan, lock: int | None = None) -> None:
        self.plan = plan
        logs = plan.data / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._children = {
            name: Child(
                name,
                MODULES[name],
                plan.address(name),
                environment(plan, name),
                logs / f"{name}.log",
                _proof(plan, name),
                lock,
            )
            for name in SERVICES
        }
        self._wanted: set[str] = set()
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self.endpoints = plan.endpoints(os.getpid())
        self.http = self.endpoints.http
        self.grpc: Mapping[str, str] = {name: plan.address(name) for name in SERVICES}

    def pid(self, name: str) -> int | None:
        """The process of a service, None while it does not run."""
        return self._children[name].pid

    async def start_all(self) -> None:
        """Starts everything. Raises ChildFailedError when a service does not become healthy, DataDirectoryError when a
        store is gone."""
        require_stores(self.plan)
        write_directory(self.plan)
        keep_signers(self.plan.signers, divisions(), utc_now())
        self._wanted.update(SERVICES)
        for wave in _WAVES:
            await asyncio.gather(*(self.start(name) for name in wave))
        note_stores(self.plan)

    async def stop_all(self) -> None:
        """Ends everything, the front door first."""
        self._wanted.clear()
        for task in self._watchers.values():
            task.cancel()
        for wave in reversed(_WAVES):
            await asyncio.gather(*(self._children[name].stop() for name in wave))

    async def start(self, name: str) -> None:
        """Starts one service on the address it had, and waits until it is healthy. Raises DataDirectoryError when its
        store is gone."""
        require_stores(self.plan, {name}.intersection(STORES))
        self._wanted.add(name)
        await self._children[name].spawn()
        await self._children[name].ready()

    async def stop(self, name: str) -> None:
        """Lets one service drain and end."""
        self._wanted.discard(name)
        await self._children[name].stop()

    async def kill(self, name: str) -> None:
        """Ends one service at once, as if its machine had failed (SIGKILL)."""
        self._wanted.discard(name)
        self._children[name].signal(signal.SIGKILL)
        await self._children[name].ended()

    def supervise(self, report: Report, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """From now on reports processes that die and starts them again, a few times each."""
        for name in SERVICES:
            self._watchers[name] = asyncio.create_task(self._watch(name, report, sleep), name=f"watch {name}")

    async def _watch(self, name: str, report: Report, sleep: Callable[[float], Awaitable[None]]) -> None:
        child = self._children[name]
        for pause in (*RESTART_SECONDS, None):
            status = await child.ended()
            if name not in self._wanted:
                return
            # The terminal is told by `report`.
            log.info("process died", extra={"service": name, "status": status})
            report(name, status, pause is not None)
            if pause is None:
                return
            await sleep(pause)
            if name not in self._wanted:
                return
            try:
                require_stores(self.plan, {name}.intersection(STORES))
                await child.spawn()
                await child.ready()
            except (ChildFailedError, DataDirectoryError) as error:
                log.error("process did not come back", extra={"service": name, "trouble": str(error)})
