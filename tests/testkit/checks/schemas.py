"""Objects against the schemas of Kubernetes, and of the projects whose custom resources the manifests use."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.testkit.custom_resources import FILE

KUBERNETES = ("1.30", "1.32", "1.34", "1.37")
"""The versions whose schemas everything is held against."""
CERT_MANAGER = FILE.with_name("cert-manager.json")
_SCHEMAS = files("kubernetes_validate") / "kubernetes-json-schema"


@cache
def custom_resources() -> dict[str, Draft202012Validator]:
    """Returns what validates each custom resource, under `group/version kind`."""
    schemas = json.loads(FILE.read_text(encoding="utf-8"))
    certificates = json.loads(CERT_MANAGER.read_text(encoding="utf-8"))
    schemas |= {f"cert-manager.io/v1 {kind}": schema for kind, schema in certificates.items()}
    return {name: Draft202012Validator(schema) for name, schema in schemas.items()}


@cache
def _definitions(version: str) -> Resource[Any]:
    text = (_SCHEMAS / f"v{version}.0-local-strict" / "_definitions.json").read_text(encoding="utf-8")
    return Resource.from_contents(json.loads(text))


@cache
def _validator(version: str, api_version: str, kind: str) -> Draft202012Validator:
    group, _, number = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.partition(".")[0], number) if part)
    schema = _SCHEMAS / f"v{version}.0-local-strict" / f"{name}.json"
    if not schema.is_file():
        raise LookupError(f"Kubernetes {version} has no {api_version} {kind}")
    content = json.loads(schema.read_text(encoding="utf-8"))
    registry = Resource.from_contents(content) @ (_definitions(version) @ Registry())
    return Draft202012Validator(content, registry=registry)


@cache
def _validated(text: str) -> None:
    one = json.loads(text)
    custom = custom_resources().get(f"{one['apiVersion']} {one['kind']}")
    if custom is not None:
        custom.validate(one)
        return
    for version in KUBERNETES:
        _validator(version, one["apiVersion"], one["kind"]).validate(one)


def validate(one: dict[str, Any]) -> None:
    """Holds an object against the schemas of its kind, in which unknown fields are refused. Raises ValidationError, and
    LookupError for a kind that is nobody's."""
    _validated(json.dumps(one, sort_keys=True))
