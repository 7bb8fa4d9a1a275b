"""The component that gives a gateway its issuers, on the smallest mesh."""

import os
from pathlib import Path

import yaml

from gateway.identity.issuers import read_issuers
from tests.testkit.builders.tokens import NAME, Keys, issuers_file, jwks
from tests.testkit.checks.manifests import K8S, container, rendered, service_of, workloads
from tests.testkit.checks.schemas import validate


def test_an_overlay_brings_issuers_and_their_keys(tmp_path: Path) -> None:
    """The gateway, and no other, is told of them; the files are there under the path that it is told."""
    (tmp_path / "keys.json").write_bytes(jwks(Keys()))
    assert {NAME} == read_issuers(issuers_file(tmp_path)).keys()
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "hutong",
        "resources": [os.path.relpath(K8S / "base", tmp_path)],
        "components": [os.path.relpath(K8S / "components" / "issuers", tmp_path)],
        "configMapGenerator": [{"name": "issuers", "files": ["issuers.yaml", "keys.json"]}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    text = rendered(str(tmp_path))
    objects = [one for one in yaml.safe_load_all(text) if one]
    for one in objects:
        validate(one)
    told = {service_of(one) for one in workloads(objects) if "HUTONG_ISSUERS" in str(container(one).get("env"))}
    assert {"gateway"} == told
    (gateway,) = (one for one in workloads(objects) if service_of(one) == "gateway")
    variables = {one["name"]: one.get("value") for one in container(gateway)["env"]}
    mounts = {one["name"]: one["mountPath"] for one in container(gateway)["volumeMounts"]}
    assert f"{mounts['issuers']}/issuers.yaml" == variables["HUTONG_ISSUERS"]
    (volume,) = (one for one in gateway["spec"]["template"]["spec"]["volumes"] if one["name"] == "issuers")
    (configured,) = (one for one in objects if one["metadata"]["name"] == volume["configMap"]["name"])
    assert {"issuers.yaml", "keys.json"} == configured["data"].keys()
