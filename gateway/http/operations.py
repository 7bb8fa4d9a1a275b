"""The paths of operators and their machines."""

from collections.abc import Mapping

import prometheus_client

from gateway.application.readiness import Probe
from gateway.codes.cache.protocol import CacheDownError
from gateway.http.problems import not_ready
from gateway.http.routing import PlainRoute, Reply, Route
from gateway.http.views.answer import encode
from gateway.http.views.operations import Alive, Ready


class Operations:
    """Answers operators."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    async def alive(self) -> Reply:
        """Answers GET /healthz: the process answers."""
        return Reply(encode(Alive("ALIVE")))

    async def ready(self) -> Reply:
        """Answers GET /readyz: whether to send requests here, and what is wrong with what."""
        state = await self._probe.look()
        if not state.ready:
            return not_ready(state.components)
        trouble = any(state.components.values())
        return Reply(encode(Ready("DEGRADED" if trouble else "READY", dict(state.components))))

    async def metrics(self) -> Reply:
        """Answers GET /metrics, for Prometheus."""
        try:
            await self._probe.news_ages()
        except CacheDownError:
            pass
        return Reply(prometheus_client.generate_latest(), 200, prometheus_client.CONTENT_TYPE_LATEST.encode())


def operation_routes(probe: Probe) -> Mapping[str, Route]:
    """Returns what operators ask, by path."""
    operations = Operations(probe)
    return {
        "/healthz": PlainRoute("healthz", operations.alive),
        "/readyz": PlainRoute("readyz", operations.ready),
        "/metrics": PlainRoute("metrics", operations.metrics),
    }
