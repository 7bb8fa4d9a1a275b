"""Sixty clients within the cluster, each on a kept connection to the gateway's Service."""

import json
import time
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.testkit.kubernetes.kubectl import OURS, Kubectl

PROGRAM = Path(__file__).with_name("load_pod.py")
NAMESPACE = "hutong-load"
CONNECTIONS = 60
PAUSE_SECONDS = 1.2
BOUND_SECONDS = 600.0


class Counts(NamedTuple):
    """The clients' counts since they began: see load_pod.py."""

    answers: int
    failed: dict[str, int]
    lost: int
    last: int

    @property
    def harm(self) -> tuple[dict[str, int], int]:
        """Returns what must be nothing: codes that were none, and connections that ended without a word."""
        return self.failed, self.lost


class LoadPod:
    """The pod of the clients, on a node of its own choice."""

    def __init__(self, kubectl: Kubectl, image: str, token: str, node: str) -> None:
        self._kubectl = kubectl
        self._image = image
        self._token = token
        self._node = node

    def start(self) -> None:
        """Starts it and returns when answers come without failures."""
        kubectl = self._kubectl
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {OURS: "true"}}}
        program = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "load", "namespace": NAMESPACE},
            "data": {"load.py": PROGRAM.read_text(encoding="utf-8")},
        }
        told = {
            "LOAD_GATEWAY": "gateway.hutong:80",
            "LOAD_CONNECTIONS": str(CONNECTIONS),
            "LOAD_PAUSE_SECONDS": str(PAUSE_SECONDS),
            "LOAD_REGION": "110000",
            "LOAD_TOKEN": self._token,
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "load", "namespace": NAMESPACE},
            "spec": {
                "nodeName": self._node,
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "name": "load",
                        "image": self._image,
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["/app/bin/python", "/load/load.py"],
                        "env": [{"name": name, "value": value} for name, value in told.items()],
                        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
                    }
                ],
                "volumes": [{"name": "load", "configMap": {"name": "load"}}],
            },
        }
        self.stop()
        kubectl("apply", "-f", "-", given=yaml.safe_dump_all([namespace, program, pod]))
        kubectl("-n", NAMESPACE, "wait", "pod/load", "--for=condition=Ready", "--timeout=120s")
        self.answers(CONNECTIONS)

    def stop(self) -> None:
        """Ends it."""
        self._kubectl("-n", NAMESPACE, "delete", "pod", "load", "--ignore-not-found", "--force", "--grace-period=0")

    def counts(self) -> Counts:
        """Returns the last counts that it printed."""
        lines = self._kubectl("-n", NAMESPACE, "logs", "load", "--tail=1").splitlines()
        if not lines:
            return Counts(0, {}, 0, 0)
        said = json.loads(lines[-1])
        return Counts(said["answers"], said["failed"], said["lost"], said["last"])

    def answers(self, number: int) -> Counts:
        """Returns the counts when so many more answers came. Raises TimeoutError."""
        until, bound = self.counts().answers + number, time.monotonic() + BOUND_SECONDS
        while (counts := self.counts()).answers < until:
            if time.monotonic() > bound:
                raise TimeoutError(f"{counts} is all that came")
            time.sleep(1)
        return counts
