"""Components, alone and together on the mesh in PostgreSQL: they build, validate, and fit what they are put on."""

import os
import re
from itertools import combinations
from pathlib import Path

import msgspec
import pytest
import yaml
from hutong.gateway.v1 import health_code_service_pb2

from services.runtime.access.table import read_table
from services.runtime.settings.names import PREFIX
from services.runtime.tls.identity import principal
from tests.testkit.checks.manifests import (
    K8S,
    Object,
    by_name,
    container,
    containers,
    of_kind,
    rendered,
    selects,
    service_of,
    settings_of,
    templates,
    title,
    workloads,
)
from tests.testkit.checks.schemas import validate
from tests.testkit.metrics_page import PAGE

COMPONENTS = (
    "autoscaling",
    "certificates",
    "cloudnative-pg/lookup",
    "cloudnative-pg/push",
    "cloudnative-pg/supervision",
    "edge",
    "external-secrets",
    "issuers",
    "monitoring",
    "network-policies",
    "network-policies/push",
    "passes",
    "policies",
    "push",
    "redis",
)
"""Those that an overlay of a mesh lists; those of a store's folder are in overlays/nation and overlays/region."""
OF_A_STORE = {
    *("audit", "audit/nation", "backup", "citus", "cloudnative-pg", "directory", "external-secrets/store"),
    *("backup/files",),
    *("mtls/nation", "mtls/province", "mtls/region", "mtls/store", "network-policies/nation"),
    *("network-policies/region", "postgres", "restore"),
}
ELSEWHERE = {
    *("backup/files/lookup", "backup/lookup", "backup/push", "backup/supervision", "backup/trails", "lookup-postgres"),
    *("mtls", "restore/lookup", "restore/push", "restore/supervision", "shared", "supervision"),
}
"""Those that the overlays, or a test of their own, put on a mesh."""
EVERY = os.environ.get("COMBINATIONS") == "all"
"""Every pair as well, and not only each alone and all together: COMBINATIONS=all."""
TOGETHER = [
    *((one,) for one in COMPONENTS),
    COMPONENTS,
    *(combinations(COMPONENTS, 2) if EVERY else ()),
]
OF_AN_OVERLAY = {"issuers": "issuers.yaml", "policies": "430000.yaml"}
"""The ConfigMaps that an overlay brings with a component, by the file that is in each."""


def built(folder: Path, names: tuple[str, ...]) -> list[Object]:
    """Returns the objects of an overlay of these components on the mesh in PostgreSQL."""
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "hutong",
        "resources": [os.path.relpath(K8S / "overlays/postgres", folder)],
        "components": [os.path.relpath(K8S / "components" / name, folder) for name in names],
        "configMapGenerator": [
            {"name": name, "literals": [f"{OF_AN_OVERLAY[name]}=x"]} for name in names if name in OF_AN_OVERLAY
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    return [one for one in yaml.safe_load_all(rendered(str(folder))) if one]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """Everything of a mesh with all components."""
    return built(tmp_path_factory.mktemp("whole"), COMPONENTS)


def test_every_component_is_in_a_test():
    """A folder that nobody builds would be noticed by whoever applies it."""
    folders = {path.parent for path in K8S.glob("components/**/kustomization.yaml")}
    there = {str(folder.relative_to(K8S / "components")) for folder in folders}
    assert there == {*COMPONENTS, *OF_A_STORE, *ELSEWHERE}


@pytest.mark.parametrize("names", TOGETHER, ids=lambda names: "+".join(names) if len(names) < 3 else "all")
def test_components_build_and_validate(names, tmp_path):
    """Each alone and all together, against the schemas of several versions of Kubernetes and of the projects."""
    objects = built(tmp_path, names)
    for one in objects:
        validate(one)
    assert len({(one["apiVersion"], title(one)) for one in objects}) == len(objects)


def test_a_misspelt_custom_resource_is_refused(whole):
    """So that the check above is one, for each kind that is no part of Kubernetes itself."""
    kinds = {
        *("Cluster", "ExternalSecret", "GRPCRoute", "Gateway"),
        *("HTTPRoute", "PodMonitor", "PrometheusRule", "TLSRoute"),
    }
    custom = {one["kind"]: one for one in whole if one["kind"] in kinds}
    assert kinds == custom.keys()
    for one in custom.values():
        with pytest.raises(Exception, match="misspelt"):
            validate({**one, "spec": {**one["spec"], "misspelt": 1}})


def test_pods_of_every_component_may_do_nothing_they_need_not(whole):
    """Pod Security restricted, no service account's token, bounded memory and disk: the cache's pods as well."""
    seen = set()
    for one, template in templates(whole):
        spec = template["spec"]
        seen.add(one["metadata"]["name"])
        assert spec["securityContext"]["runAsNonRoot"]
        assert {"type": "RuntimeDefault"} == spec["securityContext"]["seccompProfile"]
        assert (False, False) == (spec["automountServiceAccountToken"], spec["enableServiceLinks"])
        for each in containers(template):
            security = each["securityContext"]
            assert (False, True) == (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"])
            assert {"drop": ["ALL"]} == security["capabilities"]
            assert {"memory", "ephemeral-storage"} == each["resources"]["limits"].keys()
    assert "redis" in seen


def test_variables_of_components_are_settings(whole):
    """A component's variable that no service knows would stop every pod."""
    for pod in workloads(whole):
        fields = {PREFIX + field.name.upper() for field in msgspec.structs.fields(settings_of(service_of(pod)))}
        own = {entry["name"] for entry in container(pod).get("env", [])}
        for source in container(pod)["envFrom"]:
            own |= by_name(whole, "ConfigMap")[source["configMapRef"]["name"]]["data"].keys()
        assert own <= fields, title(pod)


# The network

SERVED = {"records": "records", "audit": "records", "lookup": "lookup", "verdict": "verdict", "gateway": "gateway"}
"""The service that serves the contracts of a package."""
NAMES = {
    "gateway": ["mesh/gateway"],
    "verdict": ["mesh/verdict"],
    "lookup": ["mesh/lookup"],
    "records": ["nation/records", "region/430000/records"],
}
"""The names that the pods of a service have in the table."""


def granted() -> set[tuple[str, str]]:
    """Returns which service may call which, as the table has it."""
    table = read_table()
    return {
        (caller, SERVED[line.split(".")[1]])
        for caller, names in NAMES.items()
        for name in names
        for line in table.explain(principal(name))
    }


def named(peer: Object) -> list[str]:
    """Returns the services that a peer of a policy selects in its own namespace."""
    if "podSelector" not in peer or "namespaceSelector" in peer:
        return []
    label = peer["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
    expressions = peer["podSelector"].get("matchExpressions", [])
    listed = [value for one in expressions if one["key"] == "app.kubernetes.io/name" for value in one["values"]]
    return [label] if label else listed


def test_the_network_has_exactly_the_edges_of_the_table_of_access(whole):
    """In both directions, so that both ends agree; and nothing else passes, since everything else is denied."""
    policies = by_name(whole, "NetworkPolicy")
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} == policies["deny-all"]["spec"]
    incoming, outgoing = set(), set()
    for service in NAMES:
        spec = policies[f"{service}-calls"]["spec"]
        assert {"matchLabels": {"app.kubernetes.io/name": service}} == spec["podSelector"]
        for rule in spec.get("ingress", []):
            incoming |= {(caller, service) for peer in rule["from"] for caller in named(peer)}
        for rule in spec["egress"]:
            outgoing |= {(service, called) for peer in rule["to"] for called in named(peer)}
    assert granted() == incoming == outgoing


def test_policies_open_ports_that_are_there(whole):
    """Ports by name are a container's; those that are numbers, of the pods that are named, are listened on."""
    pods = {service_of(pod): container(pod) for pod in workloads(whole)}
    ports = {name: {port["name"]: port["containerPort"] for port in one["ports"]} for name, one in pods.items()}
    for one in of_kind(whole, "NetworkPolicy"):
        selected = one["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name", "")
        for rule in one["spec"].get("ingress", []):
            for port in rule["ports"]:
                if isinstance(port["port"], str) and selected in ports:
                    assert port["port"] in ports[selected], title(one)
        for rule in one["spec"].get("egress", []):
            called = [name for peer in rule.get("to", []) for name in named(peer) if name in ports]
            for name in called:
                assert {port["port"] for port in rule["ports"]} <= set(ports[name].values()), title(one)


# What else is named


def test_autoscalers_scale_what_is_there(whole):
    """By a metric that every process has; nothing else says how many; and each has a budget."""
    by_title = {title(one): one for one in whole}
    for one in of_kind(whole, "HorizontalPodAutoscaler"):
        target = one["spec"]["scaleTargetRef"]
        workload = by_title[f"{target['kind']}/{target['name']}"]
        assert "replicas" not in workload["spec"]
        assert 2 <= one["spec"]["minReplicas"] < one["spec"]["maxReplicas"]
        metrics = [each["pods"]["metric"]["name"] for each in one["spec"]["metrics"] if each["type"] == "Pods"]
        assert ["hutong_calls_in_flight"] == metrics
        assert f"`{metrics[0]}`" in PAGE.read_text(encoding="utf-8")
        budgets = of_kind(whole, "PodDisruptionBudget")
        assert any(selects(each["spec"]["selector"]["matchLabels"], workload) for each in budgets)


def test_monitoring_finds_every_service(whole):
    """All pods of the mesh's own services, at the port of operations; none of the others."""
    (monitor,) = of_kind(whole, "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    selector = monitor["spec"]["selector"]
    (expression,) = selector["matchExpressions"]
    for pod in workloads(whole):
        assert selects(selector["matchLabels"], pod)
        assert pod["spec"]["template"]["metadata"]["labels"][expression["key"]] in expression["values"]
        assert endpoint["port"] in {port["name"] for port in container(pod)["ports"]}
    dashboards = next(one for name, one in by_name(whole, "ConfigMap").items() if name.startswith("hutong-dashboards"))
    assert "1" == dashboards["metadata"]["labels"]["grafana_dashboard"]


def test_the_edge_leads_to_the_gateway(whole):
    """Routes name listeners that are there, a service with that port, and a contract that is one; TLS that is passed
    through has the name that the gateway's certificate has."""
    (edge,) = of_kind(whole, "Gateway")
    listeners = {one["name"]: one for one in edge["spec"]["listeners"]}
    services = by_name(whole, "Service")
    for route in of_kind(whole, "HTTPRoute", "GRPCRoute", "TLSRoute"):
        (parent,) = route["spec"]["parentRefs"]
        listener = listeners[parent["sectionName"]]
        assert [listener["hostname"]] == route["spec"]["hostnames"]
        assert ("Passthrough" if route["kind"] == "TLSRoute" else "Terminate") == listener["tls"]["mode"]
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                assert backend["port"] in {port["port"] for port in services[backend["name"]]["spec"]["ports"]}
            for match in rule.get("matches", []):
                contract = match.get("method", {}).get("service")
                contracts = health_code_service_pb2.DESCRIPTOR.services_by_name
                assert contract in {None, *(one.full_name for one in contracts.values())}


def test_policies_are_a_directory_that_changes_under_the_pods(whole):
    """Where the setting says; not by subPath, which would never change, and read-only."""
    (verdict,) = (one for one in workloads(whole) if service_of(one) == "verdict")
    (told,) = (entry["value"] for entry in container(verdict)["env"] if entry["name"] == "HUTONG_POLICIES")
    (mount,) = (one for one in container(verdict)["volumeMounts"] if one["mountPath"] == told)
    assert mount["readOnly"]
    assert "subPath" not in mount


def test_the_cache_fits_its_pod():
    """Redis is told to throw away before the kernel kills it."""
    conf = (K8S / "components/redis/redis.conf").read_text(encoding="utf-8")
    (most,) = re.findall(r"^maxmemory (\d+)gb$", conf, re.MULTILINE)
    text = (K8S / "components/redis/redis.yaml").read_text(encoding="utf-8")
    (limit,) = re.findall(r"limits: \{memory: (\d+)Mi", text)
    assert int(most) * 1024 < int(limit)
    assert "maxmemory-policy allkeys-lru" in conf


def test_a_secret_of_a_vault_takes_the_place_of_the_one_in_the_tree(whole):
    """No Secret `mesh` is made any more, and every pod mounts the one that the operator makes."""
    secrets = by_name(whole, "Secret")
    assert not [name for name in secrets if re.fullmatch("mesh(-[a-z0-9]{10})?", name)]
    made = {one["spec"]["target"]["name"]: one for one in of_kind(whole, "ExternalSecret")}
    for pod in workloads(whole):
        (volume,) = (one for one in pod["spec"]["template"]["spec"]["volumes"] if one["name"] == "secret")
        keys = {each["secretKey"] for each in made[volume["secret"]["secretName"]]["spec"]["data"]}
        assert {"secret"} == keys
