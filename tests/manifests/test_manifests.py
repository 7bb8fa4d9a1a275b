"""Every overlay builds, validates, and hangs together: what one object names, another is."""

import base64
import re
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from services.common.mesh_directory import parse_directory
from services.runtime.settings.environment import load
from services.runtime.settings.names import PREFIX
from tests.testkit.checks.manifests import (
    K8S,
    KUSTOMIZATIONS,
    Object,
    addresses,
    by_name,
    container,
    containers,
    directory_text,
    environment,
    of_kind,
    rendered,
    secret_files,
    selects,
    service_of,
    settings_of,
    templates,
    title,
    variables,
    workloads,
)
from tests.testkit.checks.schemas import validate
from tests.testkit.secret import SECRET


@pytest.fixture(params=KUSTOMIZATIONS)
def name(request: pytest.FixtureRequest) -> str:
    """The base, then each overlay."""
    return str(request.param)


@pytest.fixture
def objects(name: str) -> list[Object]:
    """Everything a kustomization makes."""
    return [document for document in yaml.safe_load_all(rendered(name)) if document]


def test_it_validates(objects):
    """Against the schemas of several versions of Kubernetes, strictly; an unknown kind is a failure."""
    for one in objects:
        validate(one)


def test_validation_notices(objects):
    """A misspelt field and an unknown kind fail, so the check above is one."""
    pod = workloads(objects)[0]
    with pytest.raises(jsonschema.ValidationError):
        validate({**pod, "spec": {**pod["spec"], "revisionhistorylimit": 1}})
    with pytest.raises(LookupError):
        validate({**pod, "kind": "StatefulSets"})


def test_what_the_readme_prunes_is_what_changes_its_name(objects):
    """Settings and secrets have a hash in their names, by which pods are replaced when they change; all that leaves
    former ones behind has the label that the prune in k8s/README.md goes by, and nothing that holds data is pruned."""
    command = next(line for line in (K8S / "README.md").read_text().splitlines() if "--prune -l" in line)
    label, value = command.split("-l ")[1].split()[0].split("=")
    kinds = {kind.split("/")[-1] for kind in re.findall(r"--prune-allowlist=(\S+)", command)}
    assert {"ConfigMap", "Secret"} == kinds
    generated = of_kind(objects, *kinds)
    assert generated
    for one in generated:
        assert value == one["metadata"]["labels"].get(label), title(one)
        assert re.fullmatch(r".+-[a-z0-9]{10}", one["metadata"]["name"]), title(one)


def test_every_service_of_the_mesh_is_there(objects):
    """The nation, at least one region, lookup, verdict and gateway."""
    running = sorted(service_of(one) for one in workloads(objects))
    assert {"gateway", "lookup", "records", "verdict"} == set(running)
    assert 2 <= running.count("records")


def test_selectors_match_exactly_the_pods_of_one_workload(objects):
    """Of workloads themselves, services and disruption budgets: a region's address never reaches another's store."""
    pods = workloads(objects)
    for one in [*pods, *of_kind(objects, "Service", "PodDisruptionBudget")]:
        selector = one["spec"]["selector"]
        matched = [title(pod) for pod in pods if selects(selector.get("matchLabels", selector), pod)]
        assert len(matched) == 1, f"{title(one)} selects {matched}"
        if one in pods:
            assert [title(one)] == matched


def test_every_workload_has_a_service_and_a_budget(objects):
    """And a stateful one the headless service it names."""
    services = of_kind(objects, "Service")
    for pod in workloads(objects):
        assert any(selects(one["spec"]["selector"], pod) for one in services), title(pod)
        budgets = of_kind(objects, "PodDisruptionBudget")
        assert any(selects(one["spec"]["selector"]["matchLabels"], pod) for one in budgets), title(pod)
        if pod["kind"] == "StatefulSet":
            assert "None" == by_name(objects, "Service")[pod["spec"]["serviceName"]]["spec"]["clusterIP"]


def test_service_ports_are_container_ports(objects):
    """By name, so that a number stands in one place."""
    for service in of_kind(objects, "Service"):
        (pod,) = [one for one in workloads(objects) if selects(service["spec"]["selector"], one)]
        ports = {port["name"] for port in container(pod)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, title(service)


def test_every_reference_is_to_something_that_is_there(objects):
    """Service accounts, ConfigMaps, Secrets with their keys, and mounted volumes."""
    accounts = by_name(objects, "ServiceAccount")
    for one, template in templates(objects):
        spec = template["spec"]
        assert spec["serviceAccountName"] in accounts
        volumes = [volume["name"] for volume in spec.get("volumes", [])]
        volumes += [claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])]
        for each in containers(template):
            assert variables(objects, each)
            assert {mount["name"] for mount in each["volumeMounts"]} <= set(volumes)


def test_every_variable_is_a_setting_of_its_service(objects, tmp_path):
    """A misspelt variable would be ignored; a wrong value would end the process."""
    for pod in workloads(objects):
        kind = settings_of(service_of(pod))
        found = environment(objects, pod)
        fields = {PREFIX + field.name.upper() for field in msgspec.structs.fields(kind)}
        assert set() == set(found) - fields, title(pod)
        # What the cluster has and this machine has not: secrets, and the volume of a store.
        (tmp_path / "secret").write_text(SECRET)
        here = {"HUTONG_MESH_SECRET_FILE": f"{tmp_path}/secret"}
        for name in ("HUTONG_STORE_URL", "HUTONG_SUPERVISION_STORE"):
            if found.get(name):
                here[name] = f"sqlite:///{tmp_path}/store.db"
        urls = {"STORE_URL": "postgresql://host/records", "READ_STORE_URL": "", "REDIS_URL": "redis://host"}
        urls["SUPERVISION_STORE"] = "postgresql://host/supervision"
        for name, url in urls.items():
            if f"HUTONG_{name}_FILE" in found:
                (tmp_path / name).write_text(url)
                here[f"HUTONG_{name}_FILE"] = f"{tmp_path}/{name}"
        if "HUTONG_DIRECTORY" in found:
            (tmp_path / "directory.yaml").write_text(directory_text(objects, pod))
            here["HUTONG_DIRECTORY"] = f"{tmp_path}/directory.yaml"
        load(kind, found | here)


def test_ports_are_those_the_service_listens_on(objects):
    """What the environment says and what the container declares are one."""
    for pod in workloads(objects):
        found = environment(objects, pod)
        declared = {port["name"]: port["containerPort"] for port in container(pod)["ports"]}
        wanted = {"grpc": found["HUTONG_LISTEN"], "operations": found["HUTONG_OPERATIONS_LISTEN"]}
        if service_of(pod) == "gateway":
            wanted["http"] = found["HUTONG_HTTP_LISTEN"]
        assert {port: f"[::]:{number}" for port, number in declared.items()} == wanted, title(pod)


def test_every_address_is_a_service_of_the_mesh(objects):
    """With the port it listens on."""
    known = {
        f"{name}:{port['port']}"
        for name, one in by_name(objects, "Service").items()
        for port in one["spec"]["ports"]
        if port["name"] == "grpc"
    }
    for pod in workloads(objects):
        said = [*environment(objects, pod).values()]
        if text := directory_text(objects, pod):
            said += [member.records for member in parse_directory(text.encode()).members.values()]
        named = {target for value in said for target in addresses(value)}
        assert named <= known, title(pod)
        assert named or service_of(pod) == "records"


def test_the_regions_on_the_mesh_are_the_same_for_everyone(objects):
    """The stores that run, those lookup asks, those the nation follows, and those whose news the gateway hears."""
    by_region = {
        environment(objects, pod)["HUTONG_REGION"]: environment(objects, pod)
        for pod in workloads(objects)
        if service_of(pod) == "records"
    }
    lists = {
        environment(objects, pod).get("HUTONG_REGION", service_of(pod)): directory_text(objects, pod)
        for pod in workloads(objects)
        if "HUTONG_DIRECTORY" in environment(objects, pod)
    }
    assert {"lookup", "gateway", "nation"} == lists.keys()
    (text,) = set(lists.values())
    assert by_region.keys() == parse_directory(text.encode()).members.keys()
    # What a store keeps follows from these: a region its own, the nation every division that it does not follow.
    assert not [pod for pod in by_region.values() if "HUTONG_KEEPS" in pod]


def test_the_secret_in_the_tree_starts_nothing(objects):
    """What is committed is a placeholder that every service refuses."""
    for secret in of_kind(objects, "Secret"):
        assert all(len(base64.b64decode(value)) < 16 for value in secret["data"].values())


def test_probes_ask_what_is_there(objects):
    """Readiness asks the components; liveness only the process, so that a store's trouble restarts nobody."""
    for pod in workloads(objects):
        only = container(pod)
        startup, live, ready = only["startupProbe"], only["livenessProbe"], only["readinessProbe"]
        assert {"path": "/healthz", "port": "operations"} == live["httpGet"] == startup["httpGet"]
        assert {"path": "/readyz", "port": "operations"} == ready["httpGet"]


def test_operations_are_within_the_cluster(objects):
    """Health and metrics are served without certificates: no Service takes their port outside."""
    for name, one in by_name(objects, "Service").items():
        assert "operations" not in {port.get("targetPort") for port in one["spec"]["ports"]}, name


NAME_SECONDS = 30
"""For how long a usual cluster's DNS may go on telling the former addresses of a name."""


START_SECONDS = 10
"""In how many seconds a pod is Ready that has a core to itself; committed pods were within 8."""


def test_a_pod_that_ends_serves_on_until_the_others_are_known(objects):
    """A drain of a node ends one pod when another is Ready, and a second rollout may do so before: until it is Ready
    and everybody was told its address, the former one serves."""
    for pod in workloads(objects):
        assert START_SECONDS + NAME_SECONDS < float(environment(objects, pod)["HUTONG_DRAIN_WAIT"]), title(pod)
        assert pod["spec"]["minReadySeconds"], title(pod)


def test_an_upgrade_takes_nothing_away_and_heals(objects):
    """A Deployment adds before it ends; a StatefulSet whose pods never got ready takes the next version all the same;
    and a version is spread over nodes by itself."""
    for pod in workloads(objects):
        spec = pod["spec"]
        constraints = spec["template"]["spec"]["topologySpreadConstraints"]
        if pod["kind"] == "StatefulSet":
            assert "Parallel" == spec["podManagementPolicy"]
            assert [["controller-revision-hash"]] == [one["matchLabelKeys"] for one in constraints]
        else:
            assert {"maxUnavailable": 0, "maxSurge": 1} == spec["strategy"]["rollingUpdate"]
            assert [["pod-template-hash"]] == [one["matchLabelKeys"] for one in constraints]


def test_a_version_that_never_got_ready_keeps_no_node_from_being_drained(objects):
    """A budget counts its pods as lost already: without this policy none of them could be evicted, for ever."""
    for one in of_kind(objects, "PodDisruptionBudget"):
        assert {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}.items() <= one["spec"].items()


def test_a_namespace_warns_of_what_it_refuses():
    """A Deployment is admitted whose pods would be refused later: the warning comes with `kubectl apply`."""
    for file in (K8S / "namespace.yaml", K8S / "overlays/federation/namespaces.yaml"):
        for one in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            labels = one["metadata"]["labels"]
            assert ["restricted"] * 2 == [labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn")]


def test_images_are_pulled_as_their_tag_says(objects):
    """Whatever tag came first: without a policy, `Always` would stick where `latest` did."""
    for _, template in templates(objects):
        assert {"IfNotPresent"} == {each["imagePullPolicy"] for each in containers(template)}


def test_what_is_deleted_leaves_the_data(objects):
    """An overlay has no namespace, whose end would be that of every volume; and volumes stay when their set goes."""
    assert {"Namespace", "PersistentVolumeClaim", "PersistentVolume"}.isdisjoint(one["kind"] for one in objects)
    assert all("persistentVolumeClaimRetentionPolicy" not in one["spec"] for one in of_kind(objects, "StatefulSet"))
    namespace = yaml.safe_load((K8S / "namespace.yaml").read_text(encoding="utf-8"))
    assert {"hutong"} == {one["metadata"]["namespace"] for one in objects}
    assert "hutong" == namespace["metadata"]["name"]


def test_lookup_is_one_replica_in_the_smallest_mesh_alone(name, objects):
    """Everywhere else there are two, over one database, and one that restarts costs nothing."""
    lookup = by_name(objects, "StatefulSet")["lookup"]
    smallest = name in ("base", "overlays/dev")
    assert (1 if smallest else 2) == lookup["spec"]["replicas"]
    assert smallest == environment(objects, lookup).get("HUTONG_STORE_URL", "").startswith("sqlite:")


def test_pods_end_after_their_drain(objects):
    """The orchestrator waits longer than the process takes."""
    for pod in workloads(objects):
        found = environment(objects, pod)
        longest = float(found["HUTONG_DRAIN_WAIT"]) + float(found["HUTONG_DRAIN_GRACE"])
        assert longest < pod["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert float(found["HUTONG_DRAIN_WAIT"]) >= container(pod)["readinessProbe"]["periodSeconds"]


def test_pods_may_do_nothing_they_need_not(objects):
    """Non-root, no privileges, a read-only root, no token, no links, bounded memory; those that stay, spread over
    nodes."""
    for one, template in templates(objects):
        spec = template["spec"]
        assert {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}.items() <= spec[
            "securityContext"
        ].items()
        assert (False, False) == (spec["automountServiceAccountToken"], spec["enableServiceLinks"])
        for each in containers(template):
            assert {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            } == each["securityContext"]
            requests, limits = each["resources"]["requests"], each["resources"]["limits"]
            assert {"cpu", "memory", "ephemeral-storage"} == set(requests)
            # No limit of processor time: a pod that may not use what is idle is slow for nothing.
            assert {"memory", "ephemeral-storage"} == set(limits)
            assert all(mebibytes(requests[name]) <= mebibytes(limits[name]) for name in limits), title(one)
        if one["kind"] == "CronJob":
            assert one["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"]
        else:
            (spread,) = spec["topologySpreadConstraints"]
            # A second constraint, over zones, would be in the way: nodes without a zone are then left out of both.
            assert "kubernetes.io/hostname" == spread["topologyKey"]
            (apart,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
            term = apart["podAffinityTerm"]
            assert "topology.kubernetes.io/zone" == term["topologyKey"]
            same = ("labelSelector", "matchLabelKeys")
            assert [spread[key] for key in same] == [term[key] for key in same]
            assert all(spread[key] for key in same)


def mebibytes(quantity: str) -> int:
    """Returns the MiB of a quantity such as 64Mi or 1Gi."""
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]


def test_the_mesh_s_secret_is_a_file(objects):
    """An environment is seen by more than a process's files: no service has the secret there; all have one file."""
    for pod in workloads(objects):
        told = environment(objects, pod)
        folder, _, name = told["HUTONG_MESH_SECRET_FILE"].rpartition("/")
        assert "HUTONG_MESH_SECRET" not in told
        (mount,) = (one for one in container(pod)["volumeMounts"] if one["mountPath"] == folder)
        volumes = {one["name"]: one for one in pod["spec"]["template"]["spec"]["volumes"]}
        secret = by_name(objects, "Secret")[volumes[mount["name"]]["secret"]["secretName"]]
        assert mount["readOnly"]
        assert name in secret["data"]


def test_no_secret_is_in_an_environment(objects):
    """Of no container of anything; each file that a variable names is one that the container has."""
    for one, template in templates(objects):
        for each in containers(template):
            from_elsewhere = [entry for entry in each.get("env", []) if "valueFrom" in entry]
            assert [] == [entry["name"] for entry in from_elsewhere if "fieldRef" not in entry["valueFrom"]], title(one)
            files = secret_files(objects, one, each)
            told = variables(objects, each)
            urls = {value for key, value in told.items() if key.endswith(("_URL_FILE", "_STORE_FILE"))}
            assert urls <= files.keys(), title(one)


def test_a_store_on_disk_is_on_its_volume(objects):
    """What is written elsewhere would be lost with the pod, and cannot be: the root is read-only."""
    for pod in workloads(objects):
        url = environment(objects, pod).get("HUTONG_STORE_URL", "")
        if url.startswith("sqlite:"):
            path = Path(url.removeprefix("sqlite:///"))
            mounts = {mount["mountPath"]: mount["name"] for mount in container(pod)["volumeMounts"]}
            claims = {one["metadata"]["name"] for one in pod["spec"]["volumeClaimTemplates"]}
            assert mounts[str(path.parent)] in claims
