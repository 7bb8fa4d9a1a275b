"""A mesh in operation keeps what supervision counts, has its signing keys, and is copied by night: files and trails."""

import re
import subprocess
import sys
from pathlib import PurePosixPath

import pytest
import yaml

from tests.testkit.checks.manifests import (
    K8S,
    Object,
    by_name,
    container,
    containers,
    environment,
    rendered,
    secret_files,
    service_of,
    templates,
    title,
    workloads,
)
from tests.testkit.checks.schemas import validate

README = (K8S / "README.md").read_text(encoding="utf-8")
RUNBOOK = (K8S.parent / "docs/runbook/supervision-and-signing-keys-in-kubernetes.md").read_text(encoding="utf-8")
IN_DATABASES = ("overlays/postgres", "overlays/two-regions", "overlays/nation")
ON_FILES = ("base", "overlays/two-regions")
CLAIM = yaml.safe_load((K8S / "components/backup/claim.yaml").read_text(encoding="utf-8"))


def objects_of(name: str) -> list[Object]:
    """Returns everything that a kustomization makes."""
    return [one for one in yaml.safe_load_all(rendered(name)) if one]


def gateway_of(objects: list[Object]) -> Object:
    """Returns the gateway's Deployment."""
    (gateway,) = (one for one in workloads(objects) if service_of(one) == "gateway")
    return gateway


# Supervision


@pytest.mark.parametrize("name", IN_DATABASES)
def test_every_mesh_in_a_database_keeps_what_supervision_sees(name):
    """In one of its own, by a Secret that is none of the stores'; what is committed is no URL."""
    objects = objects_of(name)
    gateway = gateway_of(objects)
    path = environment(objects, gateway)["HUTONG_SUPERVISION_STORE_FILE"]
    assert "replace-me" == secret_files(objects, gateway, container(gateway))[path]
    (volume,) = (one for one in gateway["spec"]["template"]["spec"]["volumes"] if one["name"] == "supervision-store")
    assert re.fullmatch(r"supervision-store-[a-z0-9]{10}", volume["secret"]["secretName"])
    data = by_name(objects, "Secret")[volume["secret"]["secretName"]]["data"]
    assert {"store-url", "migrate-url"} == data.keys()


@pytest.mark.parametrize("name", IN_DATABASES)
def test_its_tables_are_migrated_by_the_owner_before_a_gateway_starts(name):
    """By the image of the pod itself; the gateway has not got the owner's URL, nor the migration the gateway's."""
    objects = objects_of(name)
    gateway = gateway_of(objects)
    (migrate,) = gateway["spec"]["template"]["spec"]["initContainers"]
    assert container(gateway)["image"] == migrate["image"]
    assert ["/app/bin/python", "-m", "gateway.supervision.migrate"] == migrate["command"]
    (only,) = migrate["env"]
    assert [only["value"]] == list(secret_files(objects, gateway, migrate))
    assert "HUTONG_SUPERVISION_STORE_FILE" == only["name"]
    assert only["value"] not in secret_files(objects, gateway, container(gateway))


@pytest.mark.parametrize("name", ["base", "overlays/dev"])
def test_the_smallest_mesh_shares_no_file_among_gateways(name):
    """Two gateways have no file together: the base keeps nothing for supervision; the one pod of a developer does."""
    objects = objects_of(name)
    gateway = gateway_of(objects)
    url = environment(objects, gateway).get("HUTONG_SUPERVISION_STORE", "")
    assert (gateway["spec"]["replicas"] == 1) == url.startswith("sqlite:///")
    if url:
        folder = str(PurePosixPath(url.removeprefix("sqlite:///")).parent)
        assert folder in {one["mountPath"] for one in container(gateway)["volumeMounts"]}


# Signing keys


def told_folders(objects: list[Object], variable: str) -> dict[str, tuple[str, Object]]:
    """Returns, by service, the path that a setting names in its pods and the volume that is mounted there."""
    told = {}
    for pod in workloads(objects):
        path = environment(objects, pod).get(variable)
        if path is None:
            continue
        here = PurePosixPath(path)
        mounts = {one["mountPath"]: one for one in container(pod)["volumeMounts"]}
        mount = mounts[str(here if str(here) in mounts else here.parent)]
        assert mount["readOnly"], title(pod)
        assert "subPath" not in mount, "a single file would never change"
        volumes = {one["name"]: one for one in pod["spec"]["template"]["spec"]["volumes"]}
        told[service_of(pod)] = (path, volumes[mount["name"]])
    return told


def test_the_nation_s_mesh_signs_certificates_and_passes():
    """The gateway alone has private keys, of Secrets that the runbook says how to make; it and lookup believe the same
    signers; nothing of it has a hash in its name, so a next key needs no restart."""
    objects = objects_of("overlays/nation")
    signers = told_folders(objects, "HUTONG_CERTIFICATE_SIGNERS")
    trust = told_folders(objects, "HUTONG_CERTIFICATE_TRUST")
    keys = told_folders(objects, "HUTONG_PASS_KEY")
    assert (["gateway"], ["gateway"]) == (list(signers), list(keys))
    assert {"gateway", "lookup"} == trust.keys()
    assert trust["gateway"] == trust["lookup"]
    secrets = {volume["secret"]["secretName"] for _, volume in (signers["gateway"], keys["gateway"])}
    assert {"certificate-signers", "pass-key"} == secrets
    assert all(volume["secret"]["defaultMode"] == 0o440 for _, volume in (signers["gateway"], keys["gateway"]))
    for name in secrets:
        assert f"kubectl -n hutong create secret generic {name} --from-file=" in RUNBOOK
    assert f"create configmap {trust['gateway'][1]['configMap']['name']} --from-file=" in RUNBOOK
    (made,) = re.findall(r"create secret generic pass-key --from-file=(\S+)", RUNBOOK)
    assert PurePosixPath(keys["gateway"][0]).name == made


# Backups


def jobs_of(objects: list[Object]) -> dict[str, Object]:
    """Returns the jobs that back something up, by name."""
    return {
        one["metadata"]["name"]: one
        for one, template in templates(objects)
        if one["kind"] == "CronJob" and containers(template)[0]["name"] == "backup"
    }


def claims_of(job: Object) -> dict[str, str]:
    """Returns the claims that a job mounts, by their place in its container."""
    spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    volumes = {one["name"]: one.get("persistentVolumeClaim", {}).get("claimName") for one in spec["volumes"]}
    return {one["mountPath"]: volumes[one["name"]] for one in spec["containers"][0]["volumeMounts"]}


@pytest.mark.parametrize("name", ON_FILES)
def test_every_file_is_copied_by_night(name):
    """Of each store on a volume one job has that volume, and no job another; it runs on the node of the store's pod,
    and writes where no other job does."""
    objects = objects_of(name)
    on_files = {
        f"data-{one['metadata']['name']}-0": one
        for one in workloads(objects)
        if environment(objects, one).get("HUTONG_STORE_URL", "").startswith("sqlite:")
    }
    jobs = jobs_of(objects)
    assert on_files.keys() == {claims_of(job)["/data"] for job in jobs.values()}
    assert len(on_files) == len(jobs)
    folders = set()
    for job in jobs.values():
        template = job["spec"]["jobTemplate"]["spec"]["template"]
        store = on_files[claims_of(job)["/data"]]
        (backup,) = template["spec"]["containers"]
        (url,) = (one["value"] for one in backup["env"] if one["name"] == "HUTONG_STORE_URL")
        assert environment(objects, store)["HUTONG_STORE_URL"] == url
        assert container(store)["image"] == backup["image"]
        (near,) = template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert near["labelSelector"]["matchLabels"] == store["spec"]["selector"]["matchLabels"]
        region = template["metadata"]["labels"].get("hutong/region", "")
        folders.add(backup["command"][backup["command"].index("--into") + 1].replace("$(STORE)", region))
        assert ("Forbid", "Asia/Shanghai") == (job["spec"]["concurrencyPolicy"], job["spec"]["timeZone"])
        helped = subprocess.run([sys.executable, *backup["command"][1:], "--help"], cwd=K8S.parent, check=False)
        assert 0 == helped.returncode
    assert len(folders) == len(jobs)
    assert not [one for one in folders if "$" in one or not one.startswith("/backups/")]


@pytest.mark.parametrize("name", [*ON_FILES, "overlays/nation", "overlays/region"])
def test_copies_are_on_a_claim_that_no_overlay_takes_away(name):
    """The claim is applied by itself, and the readme says how."""
    objects = objects_of(name)
    validate(CLAIM)
    assert "PersistentVolumeClaim" not in {one["kind"] for one in objects}
    jobs = jobs_of(objects)
    assert jobs
    assert {CLAIM["metadata"]["name"]} == {claims_of(job)["/backups"] for job in jobs.values()}
    assert "apply -f k8s/components/backup/claim.yaml" in README


@pytest.mark.parametrize("name", ["overlays/nation", "overlays/region"])
def test_every_trail_is_copied_by_night(name):
    """Where there are trails: of all services, from the claim that they are on, which the job cannot write to."""
    objects = objects_of(name)
    (job,) = jobs_of(objects).values()
    spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (backup,) = spec["containers"]
    *_, module, trails, backups = backup["command"]
    assert "services.runtime.audit.backup" == module
    kept = {PurePosixPath(environment(objects, one)["HUTONG_AUDIT"]) for one in workloads(objects)}
    assert all(one.is_relative_to(trails) for one in kept)
    assert PurePosixPath(backups).is_relative_to("/backups")
    (mount,) = (one for one in backup["volumeMounts"] if one["mountPath"] == trails)
    assert mount["readOnly"]
    audit = {
        volume["persistentVolumeClaim"]["claimName"]
        for one in workloads(objects)
        for volume in one["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "audit"
    }
    assert audit == {claims_of(job)[trails]}
