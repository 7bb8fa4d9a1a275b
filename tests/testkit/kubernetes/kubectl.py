"""kubectl on the cluster that KUBECONFIG names, and namespaces that the tests made there."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

SECONDS = 600.0
"""How long a command may take; rollouts wait for several pods, one after the other."""
OURS = "hutong/tests"
"""The label of a namespace that the tests made: nothing is applied to another."""
PRUNE = (
    *("--prune", "-l", "app.kubernetes.io/part-of=hutong"),
    *("--prune-allowlist=core/v1/ConfigMap", "--prune-allowlist=core/v1/Secret"),
)
"""As k8s/README.md prunes."""


class KubectlError(Exception):
    """A command failed; its text is what kubectl said."""


class Kubectl:
    """The commands, each to its end."""

    def __init__(self, program: str, kubeconfig: str) -> None:
        self._base = [program, f"--kubeconfig={kubeconfig}"]

    def __call__(self, *arguments: str, given: str = "") -> str:
        """Returns what a command said, warnings included. Raises KubectlError."""
        done = subprocess.run(
            [*self._base, *arguments],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            raise KubectlError(done.stdout)
        return done.stdout

    def read(self, *arguments: str) -> Any:
        """Returns objects, parsed."""
        done = subprocess.run(
            [*self._base, "get", *arguments, "-o", "json"], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        if done.returncode:
            raise KubectlError(done.stderr)
        return json.loads(done.stdout)

    def names(self, namespace: str, kind: str) -> set[str]:
        """Returns the names of a namespace's objects of a kind."""
        return {one["metadata"]["name"] for one in self.read("-n", namespace, kind)["items"]}

    def ready_nodes(self) -> list[str]:
        """Returns the nodes that take pods."""
        return [
            one["metadata"]["name"]
            for one in self.read("nodes")["items"]
            if not one["spec"].get("unschedulable")
            and any(each["type"] == "Ready" and each["status"] == "True" for each in one["status"]["conditions"])
        ]

    def make_namespaces(self, file: Path) -> list[str]:
        """Makes the namespaces of a file of k8s/, which also warn of what the restricted profile would refuse, and
        returns their names; what a run that was ended left there goes first. Raises LookupError when one is there that
        the tests did not make."""
        documents = [one for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if one]
        names = [one["metadata"]["name"] for one in documents]
        there = {one["metadata"]["name"]: one["metadata"]["labels"] for one in self.read("namespaces")["items"]}
        foreign = [name for name in names if name in there and OURS not in there[name]]
        if foreign:
            raise LookupError(f"the cluster has the namespace {foreign[0]} already, and the tests did not make it")
        left = [name for name in names if name in there]
        if left:
            self("delete", "namespace", *left, "--wait=true", "--timeout=300s")
        for one in documents:
            one["metadata"]["labels"] |= {OURS: "true"}
        self("apply", "-f", "-", given=yaml.safe_dump_all(documents))
        return names

    def rolled_out(self, namespace: str, workloads: list[str]) -> None:
        """Returns when all are: every pod is of the new version and Ready."""
        for workload in workloads:
            self("-n", namespace, "rollout", "status", workload, f"--timeout={int(SECONDS) - 10}s")
