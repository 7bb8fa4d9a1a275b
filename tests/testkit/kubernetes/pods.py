"""The pods of a namespace: their versions, readiness and metrics."""

import time
from datetime import datetime
from typing import Any

from tests.testkit.kubernetes.kubectl import Kubectl, KubectlError

BOUND_SECONDS = 300.0
REVISIONS = ("pod-template-hash", "controller-revision-hash")
"""The labels of a Deployment's and a StatefulSet's pods that tell their version."""


class Pods:
    """Those of one namespace that are not on their way out."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace

    def of(self, name: str) -> dict[str, Any]:
        """Returns the pods of a service by name."""
        selected = self._kubectl.read("-n", self._namespace, "pods", "-l", f"app.kubernetes.io/name={name}")
        return _staying(selected["items"])

    def gone(self, name: str, replicas: int) -> None:
        """Returns when a service has no more pods than so many, those on their way out too. Raises TimeoutError."""
        bound = time.monotonic() + BOUND_SECONDS
        while True:
            items = self._kubectl.read("-n", self._namespace, "pods", "-l", f"app.kubernetes.io/name={name}")["items"]
            if len(items) <= replicas:
                return
            if time.monotonic() > bound:
                raise TimeoutError(f"{len(items)} pods of {name}")
            time.sleep(1)

    def revisions(self) -> set[str]:
        """Returns the versions that there are."""
        return {_revision(pod) for pod in self._all().values() if _revision(pod)}

    def others(self, former: set[str]) -> dict[str, bool]:
        """Returns which pods of other versions than the former are Ready, by name."""
        return {
            name: _ready(pod) is not None for name, pod in self._all().items() if _revision(pod) not in former | {""}
        }

    def wait_for_others(self, former: set[str], number: int) -> None:
        """Returns when there are so many pods of other versions. Raises TimeoutError."""
        bound = time.monotonic() + BOUND_SECONDS
        while len(others := self.others(former)) < number:
            if time.monotonic() > bound:
                raise TimeoutError(f"{others} of {number}")
            time.sleep(1)

    def ready_since(self, name: str) -> float:
        """Returns since when a pod is Ready, in seconds of the epoch. Raises LookupError when it is not."""
        since = _ready(self._kubectl.read("-n", self._namespace, "pod", name))
        if since is None:
            raise LookupError(name)
        return since

    def metric(self, name: str, metric: str) -> float:
        """Returns the sum of a metric of a pod, over all its labels."""
        path = f"/api/v1/namespaces/{self._namespace}/pods/{name}:9090/proxy/metrics"
        try:
            lines = self._kubectl("get", "--raw", path).splitlines()
        except KubectlError as error:
            raise KubectlError(f"{path}: {error}") from error
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0] == metric)

    def _all(self) -> dict[str, Any]:
        return _staying(self._kubectl.read("-n", self._namespace, "pods")["items"])


def _staying(items: list[Any]) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in items if "deletionTimestamp" not in one["metadata"]}


def _revision(pod: Any) -> str:
    labels = pod["metadata"].get("labels", {})
    return next((labels[key] for key in REVISIONS if key in labels), "")


def _ready(pod: Any) -> float | None:
    for one in pod.get("status", {}).get("conditions", ()):
        if one["type"] == "Ready" and one["status"] == "True":
            return datetime.fromisoformat(one["lastTransitionTime"]).timestamp()
    return None
