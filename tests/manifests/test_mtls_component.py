"""The components that give services certificates, on the smallest mesh and on every overlay."""

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from cli.certificates.authority import make_authority, utc_now
from services.runtime.access.table import read_table
from services.runtime.settings.environment import load
from services.runtime.tls.files import Material, TlsFiles
from services.runtime.tls.identity import Principal, dns_name, principal, store_of
from services.runtime.tls.process import process_files
from tests.testkit.checks.manifests import (
    K8S,
    KUSTOMIZATIONS,
    Object,
    by_name,
    container,
    directory_text,
    environment,
    of_kind,
    rendered,
    service_of,
    settings_of,
    title,
    workloads,
)
from tests.testkit.secret import SECRET
from tests.testkit.waiting import until

# `Certificate` and `Issuer` of cert-manager.io/v1, without what is for other kinds of issuer, of the project's CRDs of
# August 2026 (Apache-2.0); fields that are unknown are refused.
SCHEMAS = json.loads(Path(__file__).with_name("cert-manager.json").read_text(encoding="utf-8"))
TABLE = read_table()


def _list(kustomization: Path, component: Path) -> None:
    content = yaml.safe_load(kustomization.read_text(encoding="utf-8"))
    content.setdefault("components", []).append(os.path.relpath(component, kustomization.parent))
    kustomization.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="module", params=KUSTOMIZATIONS)
def text(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A kustomization of the tree, built with the component at its top, and in the folder of each store."""
    tree = tmp_path_factory.mktemp("tls") / "k8s"
    shutil.copytree(K8S, tree)
    mtls = tree / "components" / "mtls"
    for one in tree.rglob("kustomization.yaml"):
        content = yaml.safe_load(one.read_text(encoding="utf-8"))
        if any((one.parent / path).resolve() == tree / "records" for path in content.get("resources", ())):
            nation = "HUTONG_REGION=nation" in content["configMapGenerator"][0]["literals"]
            _list(one, mtls / ("nation" if nation else "region"))
    _list(tree / request.param / "kustomization.yaml", mtls)
    return rendered(str(tree / request.param))


@pytest.fixture
def objects(text: str) -> list[Object]:
    """Everything that it makes."""
    return [document for document in yaml.safe_load_all(text) if document]


def name_of(objects: list[Object], workload: Object) -> Principal:
    """Returns the name that a workload's service is to prove."""
    service = service_of(workload)
    if service == "records":
        return store_of(environment(objects, workload)["HUTONG_REGION"])
    return principal(f"mesh/{service}")


def mounted(workload: Object, path: str) -> list[dict[str, Any]]:
    """Returns the sources of the projected volume that is mounted at a path."""
    (mount,) = (one for one in container(workload)["volumeMounts"] if one["mountPath"] == path)
    volumes = {one["name"]: one for one in workload["spec"]["template"]["spec"]["volumes"]}
    sources: list[dict[str, Any]] = volumes[mount["name"]]["projected"]["sources"]
    assert mount["readOnly"]
    return sources


def certificate_of(objects: list[Object], workload: Object) -> Object:
    """Returns the Certificate whose Secret is mounted where a workload's settings look for certificate and key."""
    told = environment(objects, workload)
    folder, _, certificate = told["HUTONG_TLS_CERTIFICATE"].rpartition("/")
    key_folder, _, key = told["HUTONG_TLS_KEY"].rpartition("/")
    assert key_folder == folder
    (source,) = mounted(workload, folder)
    assert {"tls.crt": certificate, "tls.key": key} == {item["key"]: item["path"] for item in source["secret"]["items"]}
    (made,) = (one for one in of_kind(objects, "Certificate") if one["spec"]["secretName"] == source["secret"]["name"])
    return made


def test_every_service_has_the_certificate_of_its_own_name(objects):
    """The name that the service insists on, the table knows and clients expect; no two share one."""
    names = []
    for pod in workloads(objects):
        made, name = certificate_of(objects, pod), name_of(objects, pod)
        assert [name] == made["spec"]["uris"], title(pod)
        assert [dns_name(name)] == made["spec"]["dnsNames"], title(pod)
        assert dns_name(name)[:64] == made["spec"]["commonName"], title(pod)
        assert list(TABLE.explain(name)), f"the table gives {name} nothing"
        names.append(name)
    assert len(names) == len(set(names)) >= 5
    assert len(names) + 1 == len(of_kind(objects, "Certificate"))


def test_certificates_are_short_and_their_keys_new(objects):
    """A key lives as long as its certificate; renewal has hours; the authority outlives them all."""
    authority, *services = sorted(of_kind(objects, "Certificate"), key=lambda one: not one["spec"].get("isCA", False))
    for one in services:
        spec = one["spec"]
        assert "Always" == spec["privateKey"]["rotationPolicy"]
        assert {"digital signature", "server auth", "client auth"} == set(spec["usages"])
        assert hours(spec["renewBefore"]) * 2 < hours(spec["duration"]) <= 7 * 24
        assert {"group": "cert-manager.io", "kind": "Issuer", "name": "mesh"} == spec["issuerRef"]
    # Under a new key, certificates of before would be worth nothing at once.
    assert "Never" == authority["spec"]["privateKey"]["rotationPolicy"]
    issuers = by_name(objects, "Issuer")
    assert authority["spec"]["secretName"] == issuers["mesh"]["spec"]["ca"]["secretName"]
    assert {"selfSigned": {}} == issuers[authority["spec"]["issuerRef"]["name"]]["spec"]
    assert hours(authority["spec"]["renewBefore"]) > 100 * hours(services[0]["spec"]["duration"])


def hours(duration: str) -> int:
    """Returns the hours of a duration such as 24h."""
    assert duration.endswith("h")
    return int(duration[:-1])


def test_everybody_trusts_the_authority_and_those_of_regions(objects):
    """Where the settings look for them, under the names that are read there."""
    for pod in workloads(objects):
        own, regions = mounted(pod, environment(objects, pod)["HUTONG_TLS_TRUST"])
        assert certificate_of(objects, pod)["spec"]["secretName"] == own["secret"]["name"]
        assert [{"key": "ca.crt", "path": "mesh.pem"}] == own["secret"]["items"]
        assert {"name": "region-authorities", "optional": True} == regions["configMap"]


def test_nothing_is_plaintext(text, objects):
    """No setting says so, and without certificates no service would start; probes go to the operators' port."""
    assert "PLAINTEXT" not in text
    for pod in workloads(objects):
        probes = [container(pod)[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")]
        assert {"operations"} == {probe["httpGet"]["port"] for probe in probes}, title(pod)
        assert not [probe for probe in probes if "grpc" in probe]


def test_custom_resources_are_as_cert_manager_has_them(objects):
    """Against the schemas of its own definitions; what is misspelt there is dropped without a word."""
    custom = [one for one in objects if one["apiVersion"].startswith("cert-manager.io/")]
    assert {"Certificate", "Issuer"} == {one["kind"] for one in custom}
    assert ["cert-manager.io/v1"] == list({one["apiVersion"] for one in custom})
    for one in custom:
        Draft202012Validator(SCHEMAS[one["kind"]]).validate(one)
    misspelt = {**custom[-1], "spec": {**custom[-1]["spec"], "renewbefore": "8h"}}
    assert not Draft202012Validator(SCHEMAS[misspelt["kind"]]).is_valid(misspelt)


def write_volume(folder: Path, version: int, files: dict[str, bytes]) -> None:
    """Writes a volume as the kubelet does: all files of a version behind one link, which is then turned."""
    data = folder / f"..{version}"
    data.mkdir(parents=True)
    for name, content in files.items():
        (data / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)
    turned = folder / "..data_tmp"
    turned.symlink_to(data.name)
    turned.replace(folder / "..data")


async def test_pods_start_with_what_is_mounted_and_take_what_is_renewed(objects, tmp_path):
    """Every service's settings, with certificates made as its Certificate says, in volumes as the kubelet makes
    them."""
    authority = make_authority("hutong mesh", utc_now())

    def renew(pod: Object, version: int) -> None:
        here = tmp_path / pod["metadata"]["name"]
        (uri,) = certificate_of(objects, pod)["spec"]["uris"]
        authority.issue(Principal(uri), here / "issued", days=1, now=utc_now() + timedelta(hours=version))
        files = {each: (here / "issued" / each).read_bytes() for each in ("tls.crt", "tls.key")}
        write_volume(here / "tls", version, files)
        write_volume(here / "trust", version, {"mesh.pem": authority.pem})

    started: list[tuple[TlsFiles, Material]] = []
    for pod in workloads(objects):
        renew(pod, 0)
        settings = load(settings_of(service_of(pod)), told(objects, pod, tmp_path / pod["metadata"]["name"]))
        files = process_files(settings, name_of(objects, pod))
        assert files is not None
        started.append((files, files.current()))
    for pod in workloads(objects):
        renew(pod, 1)

    async def renewed() -> bool:
        return all(files.current().ends_at > first.ends_at for files, first in started)

    await until(renewed, seconds=30)


def told(objects: list[Object], pod: Object, here: Path) -> dict[str, str]:
    """Returns a pod's settings, with the paths of its volumes in a folder of this machine."""
    (here / "secret").write_text(SECRET)
    settings = environment(objects, pod) | {"HUTONG_MESH_SECRET_FILE": f"{here}/secret"}
    for variable in ("HUTONG_TLS_CERTIFICATE", "HUTONG_TLS_KEY", "HUTONG_TLS_TRUST"):
        settings[variable] = settings[variable].replace("/etc/hutong-", f"{here}/")
    if directory := directory_text(objects, pod):
        (here / "directory.yaml").write_text(directory)
        settings["HUTONG_DIRECTORY"] = f"{here}/directory.yaml"
    if "HUTONG_STORE_URL" in settings or "HUTONG_STORE_URL_FILE" in settings:
        settings["HUTONG_STORE_URL"] = f"sqlite:///{here}/store.db"
    files = ("STORE_URL", "READ_STORE_URL", "REDIS_URL", "SUPERVISION_STORE")
    for variable in files:
        settings.pop(f"HUTONG_{variable}_FILE", None)
    return settings
