"""Health as a set of named components: the service is SERVING while all of them are up. Draining is one of them."""

from collections.abc import Collection, Mapping

from grpc_health.v1 import health, health_pb2

DRAINING = "SIGTERM"

LIVENESS = "liveness"
"""The name to check for whether the process answers at all, whatever its components: a store that is down is no reason
to restart the service that waits for it."""


class Degraded(Exception):
    """Raised by a ping of a component that is not well but does not keep the service from serving."""


class Health:
    """The health of one service, by component, mirrored into grpc.health.v1: of the whole, under the empty name, and of
    each contract under its own.

    `needs` says of each contract which components it needs that the others can do without: those do not count for the
    whole, which serves while anything can be asked.
    """

    def __init__(self, needs: Mapping[str, Collection[str]]) -> None:
        self._needs = {contract: frozenset(components) for contract, components in needs.items()}
        self._own = frozenset[str]().union(*self._needs.values())
        self._components: dict[str, str] = {}
        self._degraded: set[str] = set()
        self.servicer = health.aio.HealthServicer()

    async def alive(self) -> None:
        """Says that the process runs, from now to its end."""
        await self.servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)

    @property
    def components(self) -> Mapping[str, str]:
        """Component to what is wrong with it; an empty text means it is up."""
        return dict(self._components)

    @property
    def serving(self) -> bool:
        """Tells if every component that all need is up, or no more than degraded."""
        return self._serves(frozenset())

    async def report(self, component: str, trouble: str = "", *, degraded: bool = False) -> None:
        """Says that a component is up, or what is wrong with it; when no more than degraded, the service goes on."""
        if self._components.get(component) == trouble and degraded == (component in self._degraded):
            return
        self._components[component] = trouble
        if degraded:
            self._degraded.add(component)
        else:
            self._degraded.discard(component)
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
