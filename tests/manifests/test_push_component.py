"""Web Push on Kubernetes: a component that fits every mesh, with a database, a backup and a way out of its own."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

import pytest
import yaml

from gateway.push.endpoints import HTTPS_PORT, Endpoints
from gateway.settings import GatewaySettings
from services.runtime.settings.environment import load
from tests.testkit.checks.manifests import (
    K8S,
    KUSTOMIZATIONS,
    Object,
    by_name,
    container,
    containers,
    environment,
    of_kind,
    rendered,
    secret_files,
    service_of,
    title,
    workloads,
)
from tests.testkit.checks.schemas import validate
from tests.testkit.secret import SECRET

RUNBOOK = (K8S.parent / "docs/runbook/web-push.md").read_text(encoding="utf-8")
COMPONENT = (K8S / "components/push/kustomization.yaml").read_text(encoding="utf-8")
URLS = (
    "store-url=postgresql://service:word@push-db-rw:5432/push",
    "migrate-url=postgresql://owner:word@push-db-rw/push",
)
WHOLE = ("push", "cloudnative-pg/push", "backup/push", "network-policies/push")
"""Each after what it stands on: the overlay of a nation has the rest."""


def built(folder: Path, on: str, components: Sequence[str], *, key: str = "a key") -> list[Object]:
    """Returns the objects of a mesh that tells devices, as the component says that an overlay makes it."""
    # What was made of a folder is remembered.
    folder = Path(tempfile.mkdtemp(dir=folder))
    (folder / "push.pem").write_text(key, encoding="utf-8")
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "hutong",
        "labels": [{"pairs": {"app.kubernetes.io/part-of": "hutong"}, "includeTemplates": True}],
        "resources": [os.path.relpath(K8S / on, folder)],
        "components": [os.path.relpath(K8S / "components" / name, folder) for name in components],
        "configMapGenerator": [
            {"name": "gateway", "behavior": "merge", "literals": ["HUTONG_PUSH_CONTACT=mailto:push@example.cn"]}
        ],
        "secretGenerator": [{"name": "push-key", "files": ["push.pem"]}, {"name": "push-store", "literals": [*URLS]}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    return [one for one in yaml.safe_load_all(rendered(str(folder))) if one]


def gateway_of(objects: list[Object]) -> Object:
    """Returns the gateway's Deployment."""
    (gateway,) = (one for one in workloads(objects) if service_of(one) == "gateway")
    return gateway


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """Everything of the mesh in PostgreSQL that tells devices."""
    return built(tmp_path_factory.mktemp("mesh"), "overlays/postgres", ("push",))


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """Everything of a nation's mesh that tells devices."""
    return built(tmp_path_factory.mktemp("nation"), "overlays/nation", WHOLE)


@pytest.mark.parametrize("on", [*KUSTOMIZATIONS, "overlays/nation"])
def test_it_fits_every_mesh(on, tmp_path):
    """Whatever else the gateway has, its own variables, files and containers are there, and nothing of the others is
    gone; the settings are such as start a gateway."""
    before = gateway_of([one for one in yaml.safe_load_all(rendered(on)) if one])
    objects = built(tmp_path, on, ("push",))
    gateway = gateway_of(objects)
    validate(gateway)
    names = {each["name"] for each in containers(gateway["spec"]["template"])}
    assert {each["name"] for each in containers(before["spec"]["template"])} | {"migrate-push"} == names
    had, has = ({one["name"] for one in each["spec"]["template"]["spec"]["volumes"]} for each in (before, gateway))
    assert had | {"push-store", "push-owner", "push-key"} == has
    told = environment(objects, gateway)
    files = secret_files(objects, gateway, container(gateway))
    assert ("a key", URLS[0].partition("=")[2]) == (
        files[told["HUTONG_PUSH_KEY"]],
        files[told["HUTONG_PUSH_STORE_FILE"]],
    )
    here = {name: value for name, value in told.items() if name.startswith("HUTONG_PUSH")}
    for name in ("HUTONG_PUSH_KEY", "HUTONG_PUSH_STORE_FILE"):
        here[name] = str(tmp_path / name)
        (tmp_path / name).write_text(files[told[name]], encoding="utf-8")
    settings = load(GatewaySettings, here | {"HUTONG_MESH_SECRET": SECRET})
    assert settings.push_store in URLS[0]


def test_tables_are_migrated_by_the_owner_before_a_gateway_starts(mesh):
    """By the image of the pod itself, beside the migration of supervision; the gateway has not got the owner's URL, nor
    the migration the gateway's or the key; and no environment has any of them."""
    gateway = gateway_of(mesh)
    first = {one["name"]: one for one in gateway["spec"]["template"]["spec"]["initContainers"]}
    assert {"migrate", "migrate-push"} == first.keys()
    migrate = first["migrate-push"]
    assert container(gateway)["image"] == migrate["image"]
    (only,) = migrate["env"]
    assert "HUTONG_PUSH_STORE_FILE" == only["name"]
    assert {only["value"]: URLS[1].partition("=")[2]} == secret_files(mesh, gateway, migrate)
    assert only["value"] not in secret_files(mesh, gateway, container(gateway))
    for name in ("push-store", "push-owner", "push-key"):
        (volume,) = (one for one in gateway["spec"]["template"]["spec"]["volumes"] if one["name"] == name)
        assert 0o440 == volume["secret"]["defaultMode"]
    assert not [value for value in environment(mesh, gateway).values() if "word" in value]
    python, *arguments = migrate["command"]
    assert "/app/bin/python" == python
    assert 0 == subprocess.run([sys.executable, *arguments, "--help"], cwd=K8S.parent, check=False).returncode


def test_another_key_is_another_version_of_the_gateway(mesh, tmp_path):
    """It is read once, at start: the pods are replaced, and of one version all have the same."""
    other = built(tmp_path, "overlays/postgres", ("push",), key="another key")
    assert gateway_of(mesh)["spec"]["template"] != gateway_of(other)["spec"]["template"]
    names = [{name for name in by_name(each, "Secret") if name.startswith("push-key-")} for each in (mesh, other)]
    assert 2 == len(set.union(*names))


def test_a_mesh_that_did_not_say_its_contact_does_not_start(tmp_path):
    """The component has none of its own, and says where the overlay says it; without it a gateway refuses in a
    sentence."""
    here = {"HUTONG_MESH_SECRET": SECRET, "HUTONG_PUSH_STORE": "postgresql://host/push"}
    (tmp_path / "key").touch()
    with pytest.raises(Exception, match="HUTONG_PUSH_CONTACT: is needed"):
        load(GatewaySettings, here | {"HUTONG_PUSH_KEY": str(tmp_path / "key")})
    assert "HUTONG_PUSH_CONTACT=" in COMPONENT


# The database


def test_a_nation_keeps_and_copies_its_subscriptions(nation):
    """In a database of their own, whose addresses and copies are no other's, on the network that is closed."""
    objects = nation
    for one in objects:
        validate(one)
    assert len({(one["apiVersion"], title(one)) for one in objects}) == len(objects)
    clusters = by_name(objects, "Cluster")
    cluster = clusters["push-db"]["spec"]
    assert "push" == cluster["bootstrap"]["initdb"]["database"]
    secrets = by_name(objects, "Secret")
    roles = [cluster["bootstrap"]["initdb"]["secret"]["name"], cluster["managed"]["roles"][0]["passwordSecret"]["name"]]
    assert [True, True] == [name in secrets and name.startswith("push-db-") for name in roles]
    schedules = {one["spec"]["cluster"]["name"] for one in of_kind(objects, "ScheduledBackup")}
    assert clusters.keys() == schedules
    places = {one["spec"]["backup"]["barmanObjectStore"]["destinationPath"] for one in clusters.values()}
    assert len(clusters) == len(places)


def test_the_database_is_made_of_its_backup(nation, tmp_path):
    """The component of a restore, in place of that of backups, names what was copied."""
    objects = built(tmp_path, "overlays/nation", ("push", "cloudnative-pg/push", "restore/push"))
    cluster = by_name(objects, "Cluster")["push-db"]
    validate(cluster)
    (source,) = cluster["spec"]["externalClusters"]
    assert "initdb" not in cluster["spec"]["bootstrap"]
    assert source["name"] == cluster["spec"]["bootstrap"]["recovery"]["source"]
    assert "push-db" == source["barmanObjectStore"]["serverName"]
    kept = by_name(nation, "Cluster")["push-db"]["spec"]["backup"]["barmanObjectStore"]
    assert kept["destinationPath"] == source["barmanObjectStore"]["destinationPath"]


# The way out


def networks(text: str) -> tuple[list[IPv4Network | IPv6Network], list[IPv4Network | IPv6Network]]:
    """Returns the networks that the policy opens, and those that it leaves out of them."""
    (policy,) = (one for one in yaml.safe_load_all(text) if one["metadata"]["name"] == "push-services")
    (rule,) = policy["spec"]["egress"]
    assert [{"port": HTTPS_PORT, "protocol": "TCP"}] == rule["ports"]
    assert {"app.kubernetes.io/name": "gateway"} == policy["spec"]["podSelector"]["matchLabels"]
    assert ["Egress"] == policy["spec"]["policyTypes"]
    blocks = [peer["ipBlock"] for peer in rule["to"]]
    return [ip_network(one["cidr"]) for one in blocks], [ip_network(cidr) for one in blocks for cidr in one["except"]]


POLICY = (K8S / "components/network-policies/push/push-services.yaml").read_text(encoding="utf-8")
PRIVATE = (
    *("0.0.0.0", "10.96.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.31.255.255", "192.168.0.1"),
    *("192.0.0.8", "198.19.0.1", "203.0.113.1", "224.0.0.1", "255.255.255.255", "::", "::1", "::ffff:10.0.0.1"),
    *("64:ff9b::10.0.0.1", "64:ff9b::100.64.0.1", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254"),
    *("64:ff9b::172.16.0.1", "64:ff9b::192.168.0.1", "64:ff9b::0.0.0.1", "64:ff9b:1::1", "100::1", "2001::1"),
    *("2001:db8::1", "2002:a00:1::", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"),
)
PUBLIC = ("1.1.1.1", "172.32.0.1", "142.250.1.188", "2001:4860:4860::8888", "2606:4700:4700::1111", "64:ff9b::1.1.1.1")


def test_the_network_and_the_gateway_leave_out_the_same():
    """Whatever the policy leaves out the gateway does not call, and the other way round: neither is the only one to
    keep the mesh, the cluster and the cloud's own addresses from being called."""
    opened, left_out = networks(POLICY)
    assert {"0.0.0.0/0", "::/0"} == {str(one) for one in opened}
    for network in left_out:
        assert not Endpoints((), ()).may_call(str(network[1])), network
        assert not Endpoints((), ()).may_call(str(network[-2])), network
    for address in (*PRIVATE, *PUBLIC):
        within = [network for network in left_out if ip_address(address) in network]
        assert Endpoints((), ()).may_call(address) == (not within), address


def test_the_way_out_is_beside_a_closed_network_alone(mesh, nation):
    """A policy closes whatever it selects but for what it names: by itself this one would cut the gateway off, so it is
    a component of its own, after those that name the rest."""
    assert "NetworkPolicy" not in {one["kind"] for one in mesh}
    closed = {"deny-all", "gateway-calls", "databases-callers"}
    assert closed | {"push-services"} <= by_name(nation, "NetworkPolicy").keys()


# The runbook


def test_the_key_is_made_as_the_runbook_says(tmp_path):
    """By a tool that every operator has; the gateway takes what it makes."""
    from gateway.push.keys import read_push_key

    (command,) = re.findall(r"^openssl .*$", RUNBOOK, re.MULTILINE)
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    assert 65 == len(read_push_key(tmp_path / "push.pem", "mailto:push@example.cn").public_bytes)


def test_the_runbook_s_overlay_is_the_component_s(tmp_path):
    """Its lines, as they stand there, make a mesh that tells devices."""
    (lines,) = re.findall(r"```yaml\n(.*?)```", RUNBOOK, re.DOTALL)
    asked = yaml.safe_load(lines)
    assert [f"components/{name}" for name in WHOLE] == [
        one.removeprefix("../hutong/k8s/") for one in asked["components"]
    ]
    for generator in ("configMapGenerator", "secretGenerator"):
        for one in asked[generator]:
            assert f"name: {one['name']}, " in COMPONENT
    text = lines.replace("../hutong/k8s", os.path.relpath(K8S, tmp_path))
    for name in ("push.pem", "store-url", "migrate-url"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    objects = [one for one in yaml.safe_load_all(rendered(str(tmp_path))) if one]
    told = environment(objects, gateway_of(objects))
    assert told["HUTONG_PUSH_CONTACT"].startswith("mailto:")
    files = secret_files(objects, gateway_of(objects), container(gateway_of(objects)))
    assert {told["HUTONG_PUSH_KEY"], told["HUTONG_PUSH_STORE_FILE"]} <= files.keys()
