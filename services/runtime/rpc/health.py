"""Health as a set of named components: the service is SERVING while all of them are up. Draining is one of them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple

from grpc_health.v1 import health, health_pb2

DRAINING = "SIGTERM"

Ping = Callable[[], Awaitable[None]]
"""Asks a component for a sign of life; raises when there is none."""


class Degraded(Exception):
    """Raised by a ping of a component that is not well but does not keep the service from serving."""


class Readiness(NamedTuple):
    """Tells whether a process should be sent calls; `components` maps each to what is wrong with it, empty when nothing
    is."""

    ready: bool
    components: Mapping[str, str]


class Health:
    """The health of one service, by component, mirrored into grpc.health.v1: of the whole, under the empty name, and of
    each contract under its own.

    `needs` says of each contract which components it needs that the others can do without: those do not count for the
    whole, which serves while anything can be asked.
    """

    def __init__(self, needs: Mapping[str, Collection[str]]) -> None:
        self._needs = {contract: frozenset(components) for contract, components in needs.items()}
        self._own = frozenset[str]().union(*self._needs.values())
        # Both are replaced and never changed: another thread reads them.
        self._components: Mapping[str, str] = {}
        self._degraded = frozenset[str]()
        self._leaving = False
        self.servicer = health.aio.HealthServicer()

    @property
    def components(self) -> Mapping[str, str]:
        """Component to what is wrong with it; an empty text means it is up."""
        return dict(self._components)

    @property
    def serving(self) -> bool:
        """Tells if every component that all need is up, or no more than degraded."""
        return self._serves(frozenset())

    def leave(self) -> None:
        """Says to operators that the process is about to end, while its callers are still served."""
        self._leaving = True

    def readiness(self) -> Readiness:
        """Returns what operators are told. Any thread may ask."""
        components = {name: trouble for name, trouble in self._components.items() if name != DRAINING}
        if self._leaving:
            return Readiness(False, {**components, DRAINING: "draining"})
        return Readiness(self.serving, components)

    async def report(self, component: str, trouble: str = "", *, degraded: bool = False) -> None:
        """Says that a component is up, or what is wrong with it; when no more than degraded, the service goes on."""
        if self._components.get(component) == trouble and degraded == (component in self._degraded):
            return
        self._components = {**self._components, component: trouble}
        self._degraded = self._degraded | {component} if degraded else self._degraded - {component}
        await self._say("", self.serving)
        for contract, needs in self._needs.items():
            await self._say(contract, self._serves(needs))

    def _serves(self, needs: Collection[str]) -> bool:
        return not any(
            trouble
            for name, trouble in self._components.items()
            if name not in self._degraded and (name in needs or name not in self._own)
        )

    async def _say(self, name: str, serves: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serves else health_pb2.HealthCheckResponse.NOT_SERVING
        await self.servicer.set(name, status)


class EitherPing:
    """Asks two components for a sign of life, and is content with one. Both are asked at once, and one that says
    nothing is left alone until it does: it takes none of the other's time."""

    def __init__(self, first: Ping, second: Ping) -> None:
        self._pings = (first, second)
        self._asking: dict[Ping, asyncio.Task[None]] = {}

    async def __call__(self) -> None:
        """Returns when either has answered. Raises as the last one does where both have failed."""
        for ping in self._pings:
            if ping not in self._asking:
                task = self._asking[ping] = asyncio.create_task(self._ask(ping))
                # Heard, also where nobody waits for it any more.
                task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        waiting = set(self._asking.values())
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            troubles = [task.exception() for task in done]
            if None in troubles:
                return
            if not waiting and troubles[0] is not None:
                raise troubles[0]

    async def _ask(self, ping: Ping) -> None:
        try:
            await ping()
        finally:
            del self._asking[ping]
