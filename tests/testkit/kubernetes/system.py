"""A province's own system in a pod of its namespace, with certificates that its province's authority makes."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.testkit.kubernetes.kubectl import Kubectl

PROGRAM = Path(__file__).with_name("system_pod.py")
BOUND_SECONDS = 600.0
PAUSE_SECONDS = 0.5
WRONG = ("another", "stranger")
"""Certificates that prove nothing: of another province's system by this one's authority, and of nobody's authority."""


class Counts(NamedTuple):
    """A system's counts since it began: see system_pod.py."""

    submitted: int
    recognised: int
    failed: dict[str, int]
    serials: dict[str, list[str]]


class System:
    """The system of one province of a federation of two."""

    def __init__(self, kubectl: Kubectl, region: str, other: str, image: str, run: str) -> None:
        """`run` is of six digits: the people of this run."""
        self._kubectl = kubectl
        self.region = region
        self.other = other
        self.namespace = f"hutong-{region}"
        self._image = image
        self._run = run

    def start(self, others_authority: str) -> None:
        """Has its certificates made and starts it. `others_authority` is the other province's, in PEM."""
        name = {"name": "system-program", "namespace": self.namespace}
        objects: list[dict[str, Any]] = [
            self._certificate("system", self.region, "mesh"),
            self._certificate("another", self.other, "mesh"),
            # Signed by its own key: the issuer is the one of which the province's authority is made.
            self._certificate("stranger", self.region, "mesh-authority"),
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": name,
                "data": {"system_pod.py": PROGRAM.read_text(encoding="utf-8"), "other.crt": others_authority},
            },
            self._pod(),
        ]
        self._kubectl("apply", "-f", "-", given=yaml.safe_dump_all(objects))
        self._kubectl("-n", self.namespace, "wait", "pod/system", "--for=condition=Ready", "--timeout=300s")

    def counts(self) -> Counts:
        """Returns the last counts that it printed."""
        lines = self._kubectl("-n", self.namespace, "logs", "system", "--tail=1").splitlines()
        return Counts(**json.loads(lines[-1])) if lines else Counts(0, 0, {}, {})

    def recognised(self, number: int) -> Counts:
        """Returns the counts when so many more people were recognised. Raises TimeoutError."""
        until, bound = self.counts().recognised + number, time.monotonic() + BOUND_SECONDS
        while (counts := self.counts()).recognised < until:
            if time.monotonic() > bound:
                raise TimeoutError(f"{counts} is all that came")
            time.sleep(1)
        return counts

    def stop(self) -> None:
        """Ends it and takes away what was made for it."""
        names = ("system", *WRONG)
        self._kubectl(
            *("-n", self.namespace, "delete", "pod/system", "configmap/system-program"),
            *(f"certificate/{name}" for name in names),
            *(f"secret/{name}-tls" for name in names),
            *("--ignore-not-found", "--force", "--grace-period=0"),
        )

    def tried(self) -> dict[str, str]:
        """Returns what comes of calls with its own certificate and with each wrong one, by certificate and server."""
        folders = [f"/certificates/{each}" for each in ("own", *WRONG)]
        said = self._kubectl(
            *("-n", self.namespace, "exec", "system", "--"),
            *("/app/bin/python", "/system/system_pod.py", "try", *folders),
        )
        return dict(line.rsplit(": ", 1) for line in said.splitlines() if ": " in line)

    def _certificate(self, name: str, region: str, issuer: str) -> dict[str, Any]:
        return {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "secretName": f"{name}-tls",
                "commonName": f"system.{region}.region.hutong",
                "subject": {"organizations": ["hutong"]},
                "uris": [f"spiffe://hutong/region/{region}/system"],
                "dnsNames": [f"system.{region}.region.hutong"],
                "duration": "24h",
                "renewBefore": "8h",
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "usages": ["digital signature", "server auth", "client auth"],
                "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": issuer},
            },
        }

    def _pod(self) -> dict[str, Any]:
        told = {
            "SYSTEM_REGION": self.region,
            "SYSTEM_OTHER": self.other,
            "SYSTEM_RUN": self._run,
            "SYSTEM_PAUSE_SECONDS": str(PAUSE_SECONDS),
        }
        secrets = {"own": "system-tls"} | {name: f"{name}-tls" for name in WRONG}
        volumes: dict[str, dict[str, Any]] = {
            name: {"secret": {"secretName": secret, "defaultMode": 0o440}} for name, secret in secrets.items()
        }
        volumes["nation"] = {"configMap": {"name": "mesh-authority"}}
        volumes["other"] = {"configMap": {"name": "system-program", "items": [{"key": "other.crt", "path": "ca.crt"}]}}
        mounts = [{"name": name, "mountPath": f"/certificates/{name}", "readOnly": True} for name in volumes]
        volumes["system"] = {"configMap": {"name": "system-program"}}
        mounts.append({"name": "system", "mountPath": "/system", "readOnly": True})
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            # What the network policies of both sides go by.
            "metadata": {
                "name": "system",
                "namespace": self.namespace,
                "labels": {"app.kubernetes.io/name": "system"},
            },
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "runAsGroup": 65532,
                    "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "system",
                        "image": self._image,
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["/app/bin/python", "/system/system_pod.py"],
                        "env": [{"name": name, "value": value} for name, value in told.items()],
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": mounts,
                    }
                ],
                "volumes": [{"name": name, **source} for name, source in volumes.items()],
            },
        }
