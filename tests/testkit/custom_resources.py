"""Makes tests/manifests/custom-resources.json: the schemas of what is no part of Kubernetes itself, of the definitions
that the projects publish as Go modules.

    python -m tests.testkit.custom_resources > tests/manifests/custom-resources.json

It needs `go`, which fetches the modules; the tests read the file.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[1] / "manifests" / "custom-resources.json"

MODULES = {
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    "sigs.k8s.io/gateway-api@v1.2.1": (
        "config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
        "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml",
        "config/crd/experimental/gateway.networking.k8s.io_tlsroutes.yaml",
    ),
    "github.com/cloudnative-pg/cloudnative-pg@v1.28.0": (
        "config/crd/bases/postgresql.cnpg.io_clusters.yaml",
        "config/crd/bases/postgresql.cnpg.io_scheduledbackups.yaml",
    ),
    "github.com/external-secrets/external-secrets@v1.3.2": (
        "config/crds/bases/external-secrets.io_externalsecrets.yaml",
    ),
}
"""The definitions (all Apache-2.0), by the module that they are published in."""

_KEPT = (
    "type",
    "enum",
    "pattern",
    "format",
    "required",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns a schema that refuses what the API server would drop without a word: fields that it does not know."""
    kept: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if schema.get("x-kubernetes-int-or-string"):
        kept = {"type": ["integer", "string"]}
    if schema.get("nullable"):
        kept["type"] = [kept["type"], "null"]
    if "properties" in schema:
        kept["properties"] = {name: closed(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = closed(schema["additionalProperties"])
    if "items" in schema:
        kept["items"] = closed(schema["items"])
    return kept


def definitions() -> dict[str, Any]:
    """Returns the schema of each kind under `group/version kind`. Raises CalledProcessError without the modules."""
    schemas: dict[str, Any] = {}
    for module, paths in MODULES.items():
        done = subprocess.run(["go", "mod", "download", "-json", module], check=True, capture_output=True)
        folder = Path(json.loads(done.stdout)["Dir"])
        for path in paths:
            spec = yaml.safe_load((folder / path).read_text(encoding="utf-8"))["spec"]
            for version in spec["versions"]:
                if not version["storage"]:
                    continue
                properties = version["schema"]["openAPIV3Schema"]["properties"]
                name = f"{spec['group']}/{version['name']} {spec['names']['kind']}"
                schemas[name] = {
                    "type": "object",
                    "required": ["apiVersion", "kind", "metadata", "spec"],
                    "additionalProperties": False,
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"type": "object"},
                        "spec": closed(properties["spec"]),
                    },
                }
    return schemas


if __name__ == "__main__":
    json.dump(definitions(), sys.stdout, separators=(",", ":"), sort_keys=True)
    sys.stdout.write("\n")
