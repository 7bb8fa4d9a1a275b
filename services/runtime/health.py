"""Health as a set of named components: the service is SERVING while all of them are up. Draining is one of them."""

from collections.abc import Mapping

from grpc_health.v1 import health, health_pb2

DRAINING = "SIGTERM"


class Health:
    """The health of one service, by component, mirrored into grpc.health.v1."""

    def __init__(self, contracts: list[str]) -> None:
        self._contracts = contracts
        self._components: dict[str, str] = {}
        self.servicer = health.aio.HealthServicer()

    @property
    def components(self) -> Mapping[str, str]:
        """Component to what is wrong with it; an empty text means it is up."""
        return dict(self._components)

    @property
    def serving(self) -> bool:
        """Whether every component is up."""
        return not any(self._components.values())

    async def report(self, component: str, trouble: str = "") -> None:
        """Says that a component is up, or what is wrong with it."""
        if self._components.get(component) == trouble:
            return
        self._components[component] = trouble
        status = health_pb2.HealthCheckResponse.SERVING if self.serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ["", *self._contracts]:
            await self.servicer.set(name, status)
