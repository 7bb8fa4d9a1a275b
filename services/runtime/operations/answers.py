"""The answers of the operations port: its paths, and what each says."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

import prometheus_client

from services.runtime.operations.heartbeat import STUCK_SECONDS, Heartbeat
from services.runtime.rpc.health import Readiness

JSON = "application/json"


class Answer(NamedTuple):
    """The answer to one question of an operator or a machine."""

    status: HTTPStatus
    body: bytes
    content_type: str = JSON


class Answers:
    """Answers by path. A loop that has not beaten for `stuck_seconds` is neither alive nor ready."""

    def __init__(
        self, heartbeat: Heartbeat, readiness: Callable[[], Readiness], stuck_seconds: float = STUCK_SECONDS
    ) -> None:
        self._heartbeat = heartbeat
        self._readiness = readiness
        self._stuck_seconds = stuck_seconds
        self._paths: Mapping[str, Callable[[], Answer]] = {
            "/healthz": self._alive,
            "/readyz": self._ready,
            "/metrics": _metrics,
        }

    def of(self, method: str, path: str) -> Answer:
        """Returns the answer to one request."""
        if method not in ("GET", "HEAD"):
            return _said(HTTPStatus.METHOD_NOT_ALLOWED, {"status": "METHOD_NOT_ALLOWED"})
        answer = self._paths.get(path.partition("?")[0])
        return _said(HTTPStatus.NOT_FOUND, {"status": "PATH_UNKNOWN"}) if answer is None else answer()

    def _alive(self) -> Answer:
        age = self._heartbeat.age()
        stuck = age > self._stuck_seconds
        status = HTTPStatus.SERVICE_UNAVAILABLE if stuck else HTTPStatus.OK
        return _said(status, {"status": "STUCK" if stuck else "ALIVE", "heartbeatSeconds": round(age, 3)})

    def _ready(self) -> Answer:
        ready, components = self._readiness()
        age = self._heartbeat.age()
        if age > self._stuck_seconds:
            ready, components = False, {**components, "loop": f"no sign of life for {age:.1f} s"}
        if not ready:
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "NOT_READY", "components": components})
        status = "DEGRADED" if any(components.values()) else "READY"
        return _said(HTTPStatus.OK, {"status": status, "components": components})


def _metrics() -> Answer:
    return Answer(HTTPStatus.OK, prometheus_client.generate_latest(), prometheus_client.CONTENT_TYPE_LATEST)


def _said(status: HTTPStatus, body: Mapping[str, object]) -> Answer:
    return Answer(status, json.dumps(body).encode())
