"""The API server and its controllers admit, prune, heal and delete the overlays as k8s/README.md says, whether or not
there is a node."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.testkit.checks.manifests import FEDERATED, K8S, KUSTOMIZATIONS, Object, rendered, title
from tests.testkit.kubernetes.kubectl import OURS, PRUNE, Kubectl, KubectlError
from tests.testkit.kubernetes.overlays import OwnOverlay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NOBODYS = "registry.example.cn/hutong-{service}"


@pytest.fixture
def hutong(kubectl: Kubectl, namespaces: list[str]) -> str:
    """The namespace of k8s/namespace.yaml."""
    namespaces += kubectl.make_namespaces(K8S / "namespace.yaml")
    return "hutong"


def own(folder: Path, on: str = "base") -> OwnOverlay:
    """Returns an overlay of images that no node would find."""
    return OwnOverlay(folder, on, NOBODYS, "1")


@pytest.fixture
def definitions(kubectl: Kubectl) -> Iterator[None]:
    """The kinds of the operators that a federation is made with, where the cluster has them not: any content, for
    tests/manifests holds that against the projects' own definitions."""
    there = {one["metadata"]["name"] for one in kubectl.read("customresourcedefinitions")["items"]}
    kinds = {
        (one["apiVersion"], one["kind"])
        for name in FEDERATED
        for one in yaml.safe_load_all(rendered(name))
        if one and "." in one["apiVersion"].partition("/")[0] and not one["apiVersion"].startswith(BUILT_IN)
    }
    made = [one for one in map(_definition, sorted(kinds)) if one["metadata"]["name"] not in there]
    if made:
        kubectl("apply", "-f", "-", given=yaml.safe_dump_all(made))
        names = [one["metadata"]["name"] for one in made]
        kubectl("wait", "crd", *names, "--for=condition=Established", "--timeout=60s")
    yield
    if made:
        kubectl("delete", "crd", *names)


BUILT_IN = ("rbac.authorization.k8s.io/", "networking.k8s.io/")


def _definition(kind: tuple[str, str]) -> Object:
    (group, _, version), name = kind[0].partition("/"), kind[1]
    plural = name.lower().removesuffix("y") + ("ies" if name.endswith("y") else "s")
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "labels": {OURS: "true"}, "annotations": APPROVED},
        "spec": {
            "group": group,
            "names": {"plural": plural, "singular": name.lower(), "kind": name},
            "scope": "Namespaced",
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}},
            ],
        },
    }


APPROVED = {"api-approved.kubernetes.io": "unapproved, for tests"}


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_an_overlay_is_admitted_without_a_warning(kubectl, hutong, name):
    """Under the restricted profile, enforced; applied a second time it changes nothing."""
    folder = str(K8S / name)
    assert "Warning" not in kubectl("apply", "-k", folder)
    assert {"unchanged"} <= set(re.findall(r"\w+$", kubectl("apply", "-k", folder), re.MULTILINE)) <= SAME


SAME = {"unchanged", "configured"}
"""Where a name is built of a label, kubectl writes an object anew and the server keeps it as it was."""


def test_a_federation_is_admitted_without_a_warning(kubectl, definitions, namespaces):
    """A nation and two provinces, each in its namespace, all at once."""
    namespaces += kubectl.make_namespaces(K8S / "overlays/federation/namespaces.yaml")
    folder = str(K8S / "overlays/federation")
    assert "Warning" not in kubectl("apply", "-k", folder)
    for one in yaml.safe_load_all(rendered("overlays/federation")):
        assert one["metadata"]["namespace"] in namespaces, title(one)


def test_a_pod_that_may_more_is_warned_of_and_refused(kubectl, hutong):
    """The namespace enforces what it warns of: the tests above would see it."""
    pod = {"containers": [{"name": "x", "image": "x"}]}
    one = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": hutong}, "spec": pod}
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        kubectl("apply", "-f", "-", given=yaml.safe_dump(one))
    template = {"metadata": {"labels": {"x": "x"}}, "spec": pod}
    spec = {"selector": {"matchLabels": {"x": "x"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": one["metadata"], "spec": spec}
    assert "Warning: would violate PodSecurity" in kubectl("apply", "-f", "-", given=yaml.safe_dump(deployment))


def test_former_settings_and_secrets_are_pruned_and_nothing_else(kubectl, hutong, tmp_path):
    """By the command of k8s/README.md; what others made in the namespace stays."""
    assert " ".join(PRUNE) in (K8S / "README.md").read_text(encoding="utf-8")
    overlay = own(tmp_path)
    kubectl("apply", "-k", overlay.write())
    kubectl("-n", hutong, "create", "configmap", "region-authorities", "--from-literal=a=b")
    former = {kind: kubectl.names(hutong, kind) for kind in ("secrets", "configmaps")}
    overlay.mesh_secret = "quite another secret of this mesh"
    overlay.settings["mesh"] = ["HUTONG_LOG_LEVEL=DEBUG"]
    kubectl("apply", "-k", overlay.write())
    both = {kind: kubectl.names(hutong, kind) for kind in former}
    assert all(former[kind] < both[kind] for kind in former)
    kubectl("apply", "-k", overlay.write(), *PRUNE)
    now = {kind: kubectl.names(hutong, kind) for kind in former}
    assert [1, 1] == [len(both[kind] - now[kind]) for kind in former]
    assert all(both[kind] - former[kind] <= now[kind] for kind in former)
    assert "region-authorities" in now["configmaps"]


def test_a_deleted_overlay_leaves_its_claims(kubectl, hutong, tmp_path):
    """And applied again it takes them up: the mistake costs no data."""
    overlay = own(tmp_path)
    kubectl("apply", "-k", overlay.write())
    wanted = {"data-lookup-0", "data-records-110000-0", "data-records-nation-0"}
    claims = _claims(kubectl, hutong, wanted)
    kubectl("delete", "-k", overlay.write(), "--timeout=300s")
    assert "Active" == kubectl.read("namespace", hutong)["status"]["phase"]
    assert set() == kubectl.names(hutong, "statefulsets")
    assert claims == _claims(kubectl, hutong, wanted)
    kubectl("apply", "-k", overlay.write())
    assert claims == _claims(kubectl, hutong, wanted)


def _claims(kubectl: Kubectl, namespace: str, wanted: set[str]) -> dict[str, str]:
    """Returns the uids of the claims by name, once those that are wanted are there; none of them is on its way out."""
    bound = time.monotonic() + 60
    while True:
        items = kubectl.read("-n", namespace, "persistentvolumeclaims")["items"]
        found = {one["metadata"]["name"]: one["metadata"]["uid"] for one in items}
        if found.keys() == wanted:
            assert not [one for one in items if "deletionTimestamp" in one["metadata"]]
            return found
        assert time.monotonic() < bound, found
        time.sleep(0.5)


def test_a_stateful_set_whose_pods_never_got_ready_takes_the_right_version(kubectl, hutong, tmp_path):
    """It takes `kubectl apply` alone: with another management policy the pods of the wrong version would stay for ever.
    No image is found here, so that the pods of either version are never Ready."""
    overlay = own(tmp_path)
    for tag in ("wrong", "right"):
        overlay.tag = tag
        kubectl("apply", "-k", overlay.write())
        for name in ("lookup-0", "records-110000-0", "records-nation-0"):
            _pod_of(kubectl, hutong, name, tag)


def _pod_of(kubectl: Kubectl, namespace: str, name: str, tag: str) -> None:
    """Returns once a pod of that name has a tag's image. Fails when it does not come to that."""
    bound = time.monotonic() + 180
    images: set[str] = set()
    while not any(one.endswith(f":{tag}") for one in images):
        assert time.monotonic() < bound, images
        pods = kubectl.read("-n", namespace, "pods")["items"]
        images = {
            each["image"] for one in pods if one["metadata"]["name"] == name for each in one["spec"]["containers"]
        }
        time.sleep(0.5)


def test_a_server_side_apply_after_a_plain_one_takes_force_once(kubectl, hutong, tmp_path):
    """As tools do that apply so: the defaults within a claim's template are the server's, hence the conflict."""
    folder = own(tmp_path).write()
    kubectl("apply", "-k", folder)
    with pytest.raises(KubectlError, match="volumeClaimTemplates"):
        kubectl("apply", "--server-side", "-k", folder)
    kubectl("apply", "--server-side", "--force-conflicts", "-k", folder)
    kubectl("apply", "--server-side", "-k", folder)
