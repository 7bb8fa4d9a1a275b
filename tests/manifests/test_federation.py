"""A nation and its provinces in namespaces of their own: nothing is shared but two addresses, with certificates."""

import base64
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.common.mesh_directory import parse_directory
from services.runtime.access.table import read_table
from services.runtime.tls.identity import principal, store_of
from tests.testkit.checks.manifests import (
    FEDERATED,
    K8S,
    Object,
    addresses,
    by_name,
    container,
    containers,
    directory_text,
    environment,
    of_kind,
    rendered,
    service_of,
    templates,
    title,
    workloads,
)
from tests.testkit.checks.schemas import validate

README = (K8S / "README.md").read_text(encoding="utf-8")
NATION = "hutong"
_RUNBOOK = K8S.parent / "docs/runbook/supervision-and-signing-keys-in-kubernetes.md"
MADE_BY_HAND = set(re.findall(r"create secret generic (\S+)", _RUNBOOK.read_text(encoding="utf-8")))
"""The Secrets that the runbook says how to make: what a pod takes without a restart has no hash in its name."""
PROVINCES = {"hutong-110000": "110000", "hutong-430000": "430000"}


def objects_of(name: str) -> list[Object]:
    """Returns everything that a kustomization makes."""
    return [one for one in yaml.safe_load_all(rendered(name)) if one]


@pytest.fixture
def federation() -> dict[str, list[Object]]:
    """The federation's objects by namespace."""
    found: dict[str, list[Object]] = {}
    for one in objects_of("overlays/federation"):
        found.setdefault(one["metadata"]["namespace"], []).append(one)
    return found


@pytest.mark.parametrize("name", FEDERATED)
def test_it_validates(name):
    """Against several versions of Kubernetes, and custom resources against their projects' definitions."""
    for one in objects_of(name):
        validate(one)


@pytest.mark.parametrize("name", FEDERATED)
def test_images_are_named_by_digest(name):
    """A tag may be moved; what runs is what was tested."""
    for one, template in templates(objects_of(name)):
        for each in containers(template):
            assert re.fullmatch(r"registry\.example\.cn/[a-z-]+@sha256:[0-9a-f]{64}", each["image"]), title(one)


def test_every_member_has_a_namespace_that_says_what_it_is(federation):
    """And that keeps pods to the restricted profile; the namespaces are no part of what is applied and deleted."""
    text = (K8S / "overlays/federation/namespaces.yaml").read_text(encoding="utf-8")
    namespaces = {one["metadata"]["name"]: one["metadata"]["labels"] for one in yaml.safe_load_all(text)}
    assert {NATION, *PROVINCES} == federation.keys() == namespaces.keys()
    for name, labels in namespaces.items():
        assert ("nation" if name == NATION else "region") == labels["hutong/member"]
        assert "restricted" == labels["pod-security.kubernetes.io/enforce"]


def test_members_have_secrets_databases_and_authorities_of_their_own(federation):
    """Whatever a pod names is in its own namespace: no member can read another's."""
    for namespace, objects in federation.items():
        accounts = by_name(objects, "ServiceAccount")
        made = {one["spec"]["target"]["name"] for one in of_kind(objects, "ExternalSecret")}
        secrets = {*by_name(objects, "Secret")} if namespace == NATION else set()
        certificates = {one["spec"]["secretName"] for one in of_kind(objects, "Certificate")}
        for one, template in templates(objects):
            assert template["spec"]["serviceAccountName"] in accounts
            named = {
                reference["name"]
                for each in containers(template)
                for entry in each.get("env", [])
                if (reference := entry.get("valueFrom", {}).get("secretKeyRef"))
            }
            for volume in template["spec"]["volumes"]:
                named |= {volume["secret"]["secretName"]} if "secret" in volume else set()
                sources = volume.get("projected", {}).get("sources", [])
                named |= {source["secret"]["name"] for source in sources if "secret" in source}
            assert named <= made | secrets | certificates | MADE_BY_HAND, title(one)
        assert {"mesh", "mesh-authority"} <= by_name(objects, "Issuer").keys()
        assert by_name(objects, "Cluster")["records-db"]


def test_everybody_on_the_list_is_there(federation):
    """The list of members names the stores that run, where they run, at the port that they listen on."""
    (lookup,) = (one for one in workloads(federation[NATION]) if service_of(one) == "lookup")
    directory = parse_directory(directory_text(federation[NATION], lookup).encode())
    assert set(PROVINCES.values()) == directory.regions.keys()
    there = {
        f"{one['metadata']['name']}.{namespace}:{port['port']}"
        for namespace, objects in federation.items()
        for one in of_kind(objects, "Service")
        for port in one["spec"]["ports"]
        if port["name"] == "grpc"
    }
    for name, member in directory.members.items():
        (address,) = addresses(member.records)
        host, _, port = address.partition(":")
        whole = address if "." in host else f"{host}.{NATION}:{port}"
        assert whole in there, name
    for namespace, region in PROVINCES.items():
        (store,) = workloads(federation[namespace])
        told = environment(federation[namespace], store)
        assert region == told["HUTONG_REGION"]
        assert "HUTONG_DIRECTORY" not in told


def trust_of(pod: Object) -> list[dict[str, Any]]:
    """Returns the sources of what a pod trusts."""
    (volume,) = (one for one in pod["spec"]["template"]["spec"]["volumes"] if one["name"] == "trust")
    sources: list[dict[str, Any]] = volume["projected"]["sources"]
    return sources


def test_both_ways_in_ask_for_certificates(federation):
    """Nobody is plaintext; a province believes the nation's authority of everybody, its own of itself alone, and has
    the certificate of its own name."""
    for namespace, objects in federation.items():
        for pod in workloads(objects):
            told = environment(objects, pod)
            assert "HUTONG_PLAINTEXT" not in told
            assert {"HUTONG_TLS_CERTIFICATE", "HUTONG_TLS_KEY", "HUTONG_TLS_TRUST"} <= told.keys()
        if namespace == NATION:
            assert all({"name": "region-authorities", "optional": True} in configs(pod) for pod in workloads(objects))
            continue
        (store,) = workloads(objects)
        region = PROVINCES[namespace]
        (certificate,) = (one for one in of_kind(objects, "Certificate") if not one["spec"].get("isCA"))
        assert [store_of(region)] == certificate["spec"]["uris"]
        nation, own = trust_of(store)
        assert {"name": "mesh-authority"} == nation["configMap"]
        assert [{"key": "ca.crt", "path": f"region-{region}.pem"}] == own["secret"]["items"]


def configs(pod: Object) -> list[Any]:
    """Returns the ConfigMaps of what a pod trusts."""
    return [source["configMap"] for source in trust_of(pod) if "configMap" in source]


def crossing(objects: list[Object]) -> set[tuple[str, str, str, str]]:
    """Returns what crosses from a namespace: direction, own service, the other's kind of member, its service."""
    found = set()
    for one in of_kind(objects, "NetworkPolicy"):
        own = names_of(one["spec"]["podSelector"])
        for direction, key in (("ingress", "from"), ("egress", "to")):
            for rule in one["spec"].get(direction, []):
                for peer in rule.get(key, []):
                    member = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("hutong/member")
                    if member:
                        found |= {(direction, a, member, b) for a in own for b in names_of(peer["podSelector"])}
    return found


def names_of(selector: Object) -> list[str]:
    """Returns the services that a selector of pods names."""
    label = selector.get("matchLabels", {}).get("app.kubernetes.io/name")
    return (
        [label] if label else [value for one in selector.get("matchExpressions", []) for value in one.get("values", [])]
    )


def test_one_way_leads_in_and_one_out(federation):
    """Of a province the store alone can be called, by the nation's services; of the nation the gateway alone, by a
    province's system; both ends say the same, and the table of access grants it."""
    services = ("gateway", "lookup", "records", "verdict")
    assert {
        *(("egress", service, "region", "records") for service in services),
        ("ingress", "gateway", "region", "system"),
    } == crossing(federation[NATION])
    for namespace in PROVINCES:
        assert {
            *(("ingress", "records", "nation", service) for service in services),
            ("egress", "system", "nation", "gateway"),
        } == crossing(federation[namespace])
    table = read_table()
    for name in ("mesh/gateway", "mesh/lookup", "mesh/verdict", "nation/records"):
        assert any(line.startswith(("hutong.records.", "hutong.audit.")) for line in table.explain(principal(name)))
    assert any(line.startswith("hutong.gateway.") for line in table.explain(principal("region/430000/system")))


def test_backups_are_of_databases_that_are_there(federation):
    """Every night, of each store; and a store made of its backup names where that is."""
    for objects in federation.values():
        clusters = by_name(objects, "Cluster")
        schedules = of_kind(objects, "ScheduledBackup")
        assert clusters.keys() == {schedule["spec"]["cluster"]["name"] for schedule in schedules}
        for schedule in schedules:
            assert 6 == len(schedule["spec"]["schedule"].split())
        places = {cluster["spec"]["backup"]["barmanObjectStore"]["destinationPath"] for cluster in clusters.values()}
        assert len(clusters) == len(places)


@pytest.mark.parametrize(
    ("overlay", "component", "name"),
    [
        ("region", "backup", "records-db"),
        ("nation", "backup/lookup", "lookup-db"),
        ("nation", "backup/supervision", "supervision-db"),
    ],
)
def test_a_store_is_made_of_its_backup(overlay, component, name, tmp_path):
    """The component of a restore, on the province and on the mesh: instead of an empty database the one of the object
    store."""
    text = (K8S / f"overlays/{overlay}/kustomization.yaml").read_text(encoding="utf-8")
    assert f"../../components/{component}\n" in text
    changed = text.replace(f"components/{component}\n", f"components/{component.replace('backup', 'restore')}\n")
    changed = changed.replace("- store\n", f"- {K8S}/overlays/{overlay}/store\n")
    if overlay == "nation":
        (tmp_path / "directory.yaml").write_text((K8S / "overlays/nation/directory.yaml").read_text(encoding="utf-8"))
    objects = built_at(tmp_path, changed.replace("../..", str(K8S)))
    cluster = by_name(objects, "Cluster")[name]
    validate(cluster)
    (source,) = cluster["spec"]["externalClusters"]
    assert "initdb" not in cluster["spec"]["bootstrap"]
    assert source["name"] == cluster["spec"]["bootstrap"]["recovery"]["source"]
    assert source["barmanObjectStore"]["serverName"] == cluster["metadata"]["name"]


def test_a_nation_is_distributed_over_citus(tmp_path):
    """The store's cluster becomes the coordinator, two workers join, and the migration distributes the tables."""
    store = (K8S / "overlays/nation/store/kustomization.yaml").read_text(encoding="utf-8")
    changed = store.replace("components/backup\n", "components/citus\n").replace("../../..", str(K8S))
    objects = built_at(tmp_path, changed)
    clusters = by_name(objects, "Cluster")
    assert {"records-db", "records-worker-1", "records-worker-2"} == clusters.keys()
    for one in clusters.values():
        validate(one)
        assert ["citus"] == one["spec"]["postgresql"]["shared_preload_libraries"]
        assert "create extension citus" in one["spec"]["bootstrap"]["initdb"]["postInitApplicationSQL"]
    (pod,) = workloads(objects)
    (migrate,) = pod["spec"]["template"]["spec"]["initContainers"]
    assert "--distribute" == migrate["command"][-1]
    assert "--distribute" not in container(pod).get("command", [])


def built_at(folder: Path, kustomization: str) -> list[Object]:
    """Returns the objects of a kustomization whose paths lead out of a folder of the test."""

    def here(path: re.Match[str]) -> str:
        return f"  - {os.path.relpath(path[1], folder)}"

    text = re.sub(r"^  - (/\S+)$", here, kustomization, flags=re.MULTILINE)
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    return [one for one in yaml.safe_load_all(rendered(str(folder))) if one]


def test_the_overlay_of_the_page_makes_a_federation_that_is_one_s_own(tmp_path):
    """As it stands there, with the files that it names: no password, image or place of a backup is nobody's any more,
    and no two databases of all members are backed up to one place."""
    text = next(block for block in re.findall(r"```yaml\n# kustomization\.yaml\n(.*?)```", README, re.DOTALL))
    content = yaml.safe_load(text)
    for one in content["secretGenerator"]:
        for name in (*one.get("envs", []), *one.get("files", [])):
            urls = f"store-url=postgresql://one@{name}\nmigrate-url=postgresql://two@{name}\n"
            (tmp_path / name).write_text(urls if "urls" in name else "username=one\npassword=two\n", encoding="utf-8")
    placed = text.replace("../k8s", os.path.relpath(K8S, tmp_path)).replace("DIGEST", "0" * 63 + "1")
    (tmp_path / "kustomization.yaml").write_text(placed.replace("REGISTRY", "own.example.cn"), encoding="utf-8")
    built = rendered(str(tmp_path))
    objects = [one for one in yaml.safe_load_all(built) if one]
    assert "replace-me" not in built
    assert base64.b64encode(b"replace-me").decode() not in built
    for one in objects:
        validate(one)
    for one, template in templates(objects):
        for each in containers(template):
            assert each["image"].startswith("own.example.cn/"), title(one)
            assert each["image"].endswith("@sha256:" + "0" * 63 + "1"), title(one)
    clusters = of_kind(objects, "Cluster")
    places = {one["spec"]["backup"]["barmanObjectStore"]["destinationPath"] for one in clusters}
    assert len(clusters) == len(places) == 5
    # A version is read off the tag, which a digest alone does not have.
    assert all(re.search(r":15@sha256:", one["spec"]["imageName"]) for one in clusters)


def test_the_page_s_sum_is_what_the_federation_asks_for():
    """A newcomer sees before it is applied whether a cluster has room for it."""
    pods, cores, memory, volumes = 0, 0.0, 0.0, 0.0
    objects = objects_of("overlays/federation")
    least = {
        (one["spec"]["scaleTargetRef"]["kind"], one["spec"]["scaleTargetRef"]["name"]): one["spec"]["minReplicas"]
        for one in of_kind(objects, "HorizontalPodAutoscaler")
    }
    for one in objects:
        spec = one.get("spec", {})
        if one["kind"] == "Cluster":
            number, requests = spec["instances"], spec["resources"]["requests"]
            volumes += number * (gibibytes(spec["storage"]["size"]) + gibibytes(spec["walStorage"]["size"]))
        elif one["kind"] in {"Deployment", "StatefulSet"}:
            number = spec.get("replicas") or least[one["kind"], one["metadata"]["name"]]
            requests = spec["template"]["spec"]["containers"][0]["resources"]["requests"]
        else:
            continue
        pods += number
        cores += number * (float(requests["cpu"].removesuffix("m")) / (1000 if requests["cpu"].endswith("m") else 1))
        memory += number * gibibytes(requests["memory"])
    assert f"{pods} pods, {round(cores)} cores, {math.ceil(memory)} GiB and {round(volumes)} GiB of volumes" in README


def gibibytes(quantity: str) -> float:
    """Returns a quantity such as 512Mi or 2Gi in GiB."""
    return float(quantity[:-2]) / {"Mi": 1024, "Gi": 1}[quantity[-2:]]
