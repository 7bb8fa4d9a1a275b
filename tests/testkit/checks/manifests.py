"""Kustomizations, built, and what their objects say of one another."""

import base64
import importlib
import shutil
from collections.abc import Iterator
from functools import cache
from typing import Any

from services.runtime.settings.environment import ServerSettings
from tests.testkit.needs import missing
from tests.testkit.tools import ROOT, passes

K8S = ROOT / "k8s"
FEDERATED = ("overlays/federation", "overlays/nation", "overlays/region")
"""A federation and its halves, of which each stands in a namespace of its own."""
KUSTOMIZATIONS = [
    "base",
    *sorted({f"overlays/{path.name}" for path in (K8S / "overlays").iterdir()} - set(FEDERATED)),
]
"""Whole meshes, each in one namespace."""

Object = dict[str, Any]

SETTINGS = {
    "records": "services.records.settings",
    "lookup": "services.lookup.settings",
    "verdict": "services.verdict.settings",
    "gateway": "gateway.settings",
}


@cache
def rendered(name: str) -> str:
    """A kustomization, built."""
    kubectl, kustomize = shutil.which("kubectl"), shutil.which("kustomize")
    if kubectl is None and kustomize is None:
        missing("neither kubectl nor kustomize; .ci/run says where to get one")
    return passes(kubectl, "kustomize", K8S / name) if kubectl else passes(str(kustomize), "build", K8S / name)


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """The objects of these kinds; there is at least one."""
    found = [one for one in objects if one["kind"] in kinds]
    assert found, f"no {kinds}"
    return found


def workloads(objects: list[Object]) -> list[Object]:
    """Everything that has pods of the mesh's own services."""
    return [one for one in of_kind(objects, "Deployment", "StatefulSet") if "hutong-" in container(one)["image"]]


def templates(objects: list[Object]) -> Iterator[tuple[Object, Object]]:
    """Every object that makes pods, with its pods' template: workloads, and what runs by the clock."""
    for one in objects:
        if one["kind"] == "CronJob":
            yield one, one["spec"]["jobTemplate"]["spec"]["template"]
        elif one["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield one, one["spec"]["template"]


def containers(template: Object) -> list[Object]:
    """All containers of a template, those that begin before the others first."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def title(one: Object) -> str:
    """An object's kind and name."""
    return f"{one['kind']}/{one['metadata']['name']}"


def container(workload: Object) -> Object:
    """The one container of a workload's pods."""
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(only)


def service_of(workload: Object) -> str:
    """Returns the name of the service that a workload runs."""
    return str(container(workload)["image"]).partition("@")[0].split(":")[0].rpartition("hutong-")[2]


def by_name(objects: list[Object], kind: str) -> dict[str, Object]:
    """The objects of a kind by name."""
    return {one["metadata"]["name"]: one for one in of_kind(objects, kind)}


def selects(selector: dict[str, str], workload: Object) -> bool:
    """Tells if a selector matches a workload's pods."""
    return bool(selector) and selector.items() <= workload["spec"]["template"]["metadata"]["labels"].items()


def environment(objects: list[Object], workload: Object) -> dict[str, str]:
    """Returns the environment of a workload's one container. Raises KeyError as `variables` does."""
    return variables(objects, container(workload))


def variables(objects: list[Object], of: Object) -> dict[str, str]:
    """Returns the environment of a container; of a field of its pod, the field's path. Raises KeyError for a reference
    to what is not there."""
    maps = by_name(objects, "ConfigMap")
    secrets = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "Secret"}
    # Those that an operator makes of a vault's.
    secrets |= {
        one["spec"]["target"]["name"]: one["spec"]["target"].get("template", {}).get("data", {})
        for one in objects
        if one["kind"] == "ExternalSecret"
    }
    found: dict[str, str] = {}
    for source in of.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]["data"]
    for entry in of.get("env", []):
        if "value" in entry:
            found[entry["name"]] = entry["value"]
        elif reference := entry["valueFrom"].get("secretKeyRef"):
            data = secrets[reference["name"]]
            if not (reference.get("optional") and reference["key"] not in data):
                found[entry["name"]] = data[reference["key"]]
        elif reference := entry["valueFrom"].get("fieldRef"):
            found[entry["name"]] = reference["fieldPath"]
        else:
            reference = entry["valueFrom"]["configMapKeyRef"]
            found[entry["name"]] = maps[reference["name"]]["data"][reference["key"]]
    return found


def secret_files(objects: list[Object], workload: Object, of: Object) -> dict[str, str]:
    """Returns the files of Secrets that a container has, by path, in clear text; of a vault's, the template. Raises
    KeyError for one that is not there."""
    secrets = {
        one["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in one["data"].items()}
        for one in objects
        if one["kind"] == "Secret"
    }
    for one in (made for made in objects if made["kind"] == "ExternalSecret"):
        target = one["spec"]["target"]
        plain = {entry["secretKey"]: "of a vault" for entry in one["spec"]["data"]}
        secrets[target["name"]] = target.get("template", {}).get("data", plain)
    template = workload["spec"].get("jobTemplate", workload)["spec"]["template"]
    volumes = {volume["name"]: volume["secret"] for volume in template["spec"]["volumes"] if "secret" in volume}
    found: dict[str, str] = {}
    for mount in of["volumeMounts"]:
        if volume := volumes.get(mount["name"]):
            data = secrets.get(volume["secretName"], {})
            items = volume.get("items") or [{"key": key, "path": key} for key in data]
            found |= {f"{mount['mountPath']}/{item['path']}": data[item["key"]] for item in items if data}
    return found


def settings_of(service: str) -> type[ServerSettings]:
    """The settings struct of a service."""
    module = importlib.import_module(SETTINGS[service])
    (found,) = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, ServerSettings) and one is not ServerSettings
    ]
    return found


def directory_text(objects: list[Object], workload: Object) -> str:
    """Returns the list of members that is mounted where a workload's HUTONG_DIRECTORY names it; empty without one.
    Raises KeyError for a mount of what is not there."""
    path = environment(objects, workload).get("HUTONG_DIRECTORY", "")
    if not path:
        return ""
    folder, _, name = path.rpartition("/")
    volumes = {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container(workload)["volumeMounts"]}
    config = volumes[mounts[folder]]["configMap"]["name"]
    text: str = by_name(objects, "ConfigMap")[config]["data"][name]
    return text


def addresses(value: str) -> Iterator[str]:
    """The targets in a setting: one, or those of a map."""
    for piece in value.split(","):
        _, _, target = piece.rpartition("dns:///")
        if target != piece:
            yield target
