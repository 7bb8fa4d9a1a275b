"""Every process of a federation keeps an audit trail of its own, on a claim that no overlay can take away."""

import re
from pathlib import PurePosixPath

import msgspec
import pytest
import yaml

from services.runtime.access.table import read_table
from services.runtime.settings.environment import load
from services.runtime.settings.names import PREFIX
from services.runtime.tls.identity import principal
from tests.testkit.checks.manifests import (
    FEDERATED,
    K8S,
    Object,
    by_name,
    container,
    environment,
    of_kind,
    rendered,
    selects,
    service_of,
    settings_of,
    title,
    workloads,
)
from tests.testkit.checks.schemas import validate
from tests.testkit.secret import SECRET

CLAIM = yaml.safe_load((K8S / "components/audit/claim.yaml").read_text(encoding="utf-8"))
TOLD = {"HUTONG_AUDIT", "HUTONG_AUDIT_TRAILS", "HUTONG_WITNESS", "HUTONG_WITNESSES"}
"""The settings that have to do with trails."""
WITNESS = re.compile(r"nation/records=(?P<pod>records-0)\.(?P<service>records):7000")


@pytest.fixture(params=FEDERATED)
def namespaces(request: pytest.FixtureRequest) -> list[list[Object]]:
    """The objects of each namespace that a federation, or a half of it, has."""
    objects = [one for one in yaml.safe_load_all(rendered(str(request.param))) if one]
    names = sorted({one["metadata"]["namespace"] for one in objects})
    return [[one for one in objects if one["metadata"]["namespace"] == name] for name in names]


def expanded(entries: list[Object], pod: str) -> dict[str, str]:
    """Returns what a container's own variables are in a pod of this name. The kubelet goes from the first to the last:
    a name in `$(...)` that stands further down stays as it is written."""
    values: dict[str, str] = {}
    for entry in entries:
        if "value" in entry:
            values[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda name: values.get(name[1], name[0]), entry["value"])
        elif entry["valueFrom"].get("fieldRef", {}).get("fieldPath") == "metadata.name":
            values[entry["name"]] = pod
    return values


def told(workload: Object, number: int) -> dict[str, str]:
    """Returns the variables of one pod of a workload."""
    return expanded(container(workload).get("env", []), f"{workload['metadata']['name']}-{number}")


def test_every_process_keeps_a_trail_on_the_claim(namespaces):
    """In a folder under the mount, which it may write; a service's folder has its processes' alone."""
    for objects in namespaces:
        for workload in workloads(objects):
            folder = PurePosixPath(told(workload, 0)["HUTONG_AUDIT"])
            (mount,) = (one for one in container(workload)["volumeMounts"] if folder.is_relative_to(one["mountPath"]))
            volumes = {one["name"]: one for one in workload["spec"]["template"]["spec"]["volumes"]}
            assert volumes[mount["name"]]["persistentVolumeClaim"] == {"claimName": CLAIM["metadata"]["name"]}
            assert not mount.get("readOnly")
            assert not mount.get("subPath")
            assert folder.parent == PurePosixPath(mount["mountPath"], service_of(workload))


def test_no_two_processes_share_a_folder(namespaces):
    """Of everything in a namespace, which has one claim; what the witness keeps is in a folder of its own too."""
    for objects in namespaces:
        folders = [
            value
            for workload in workloads(objects)
            for number in range(3)
            for name, value in told(workload, number).items()
            if name in {"HUTONG_AUDIT", "HUTONG_WITNESS"}
        ]
        assert len(folders) >= 3 * len(workloads(objects))
        assert len(set(folders)) == len(folders)
        assert not [one for one in folders if "$" in one]
        paths = [PurePosixPath(one) for one in folders]
        assert not [one for one in paths for other in paths if one in other.parents]


def test_a_name_that_is_made_too_late_is_noticed():
    """So that the check above is one: the order of variables counts."""
    name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    folder = {"name": "HUTONG_AUDIT", "value": "/audit/$(POD_NAME)"}
    assert "/audit/records-0" == expanded([name, folder], "records-0")["HUTONG_AUDIT"]
    assert "/audit/$(POD_NAME)" == expanded([folder, name], "records-0")["HUTONG_AUDIT"]


def test_a_gateway_reads_the_trails_of_all(namespaces):
    """The folder that it is told to read is the one that every gateway's own is in."""
    for objects in namespaces:
        for workload in workloads(objects):
            variables = told(workload, 0)
            if service_of(workload) == "gateway":
                assert PurePosixPath(variables["HUTONG_AUDIT"]).parent == PurePosixPath(
                    variables["HUTONG_AUDIT_TRAILS"]
                )
            else:
                assert "HUTONG_AUDIT_TRAILS" not in variables


def test_services_take_what_they_are_told(namespaces):
    """Each setting is one of the service's own, with a value that it starts with."""
    for objects in namespaces:
        for workload in workloads(objects):
            kind = settings_of(service_of(workload))
            names = {PREFIX + field.name.upper() for field in msgspec.structs.fields(kind)}
            own = {name: value for name, value in told(workload, 0).items() if name in TOLD}
            assert own.keys() <= names, title(workload)
            region = {key: value for key, value in environment(objects, workload).items() if key == "HUTONG_REGION"}
            settings = load(
                kind, {"HUTONG_MESH_SECRET": SECRET, "HUTONG_STORE_URL": "sqlite:////data/a.db", **region, **own}
            )
            assert settings.audit == own["HUTONG_AUDIT"]


def test_the_user_that_runs_may_write(namespaces):
    """The volume is the group's, and not walked through again before each start."""
    for objects in namespaces:
        for workload in workloads(objects):
            context = workload["spec"]["template"]["spec"]["securityContext"]
            assert (65532, 65532) == (context["runAsUser"], context["fsGroup"])
            assert "OnRootMismatch" == context["fsGroupChangePolicy"]
            assert container(workload)["securityContext"]["readOnlyRootFilesystem"]


def test_deleting_an_overlay_leaves_the_trails(namespaces):
    """The claim is applied by itself, as the namespace is, and the readme says how."""
    validate(CLAIM)
    assert ["ReadWriteMany"] == CLAIM["spec"]["accessModes"]
    for objects in namespaces:
        assert "PersistentVolumeClaim" not in {one["kind"] for one in objects}
    readme = (K8S / "README.md").read_text(encoding="utf-8")
    assert "`kubectl -n NAMESPACE apply -f k8s/components/audit/claim.yaml`" in readme


def test_one_pod_of_the_nation_s_store_is_the_witness(namespaces):
    """Of the other services of its namespace, which may call it: by its own name, since each pod has a key of its own;
    and it does not witness itself."""
    for objects in namespaces:
        by_service = {service_of(one): one for one in workloads(objects)}
        if "gateway" not in by_service:
            assert not [one for one in workloads(objects) if "HUTONG_WITNESSES" in told(one, 0)]
            continue
        store = by_service.pop("records")
        assert told(store, 0)["HUTONG_WITNESS"] == "/audit/witness/records-0"
        assert "HUTONG_WITNESSES" not in told(store, 0)
        for service, workload in by_service.items():
            witness = WITNESS.fullmatch(told(workload, 0)["HUTONG_WITNESSES"])
            assert witness is not None, title(workload)
            assert witness["service"] == store["spec"]["serviceName"]
            assert witness["pod"] == f"{store['metadata']['name']}-0"
            assert selects(by_name(objects, "Service")[witness["service"]]["spec"]["selector"], store)
            calls = read_table().explain(principal(f"mesh/{service}"))
            assert any(line.startswith("hutong.audit.v1.WitnessService") for line in calls)


def test_templates_of_claims_are_as_they_were(namespaces):
    """They cannot be changed where a set runs already."""
    for objects in namespaces:
        for one in of_kind(objects, "StatefulSet"):
            assert "audit" not in {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])}


@pytest.mark.parametrize("name", ["base", "overlays/dev"])
def test_the_smallest_mesh_keeps_none(name):
    """As k8s/README.md says."""
    objects = [one for one in yaml.safe_load_all(rendered(name)) if one]
    assert not [one for one in workloads(objects) if "HUTONG_AUDIT" in environment(objects, one)]
