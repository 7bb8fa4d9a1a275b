"""Upgrades, deaths, scaling and wrong versions on real nodes, under sixty kept connections that ask for codes that are
not cached: none of them fails, and no connection ends without a word."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from tests.testkit.builders.tokens import Keys, issuers_file, jwks
from tests.testkit.checks.manifests import K8S
from tests.testkit.kubernetes.kubectl import Kubectl, KubectlError
from tests.testkit.kubernetes.load import NAMESPACE as OF_LOAD
from tests.testkit.kubernetes.load import LoadPod
from tests.testkit.kubernetes.overlays import OwnOverlay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
WORKLOADS = [
    *("deployment/gateway", "deployment/verdict"),
    *("statefulset/lookup", "statefulset/records-nation", "statefulset/records-110000"),
]
UNLIMITED = {"gateway": ["HUTONG_LIMITS=none=true"]}
"""Nobody limits the load, which is one caller's. All else is as the manifests say, waits too."""


class Mesh(NamedTuple):
    """A mesh in PostgreSQL, and what asks it for codes."""

    kubectl: Kubectl
    overlay: OwnOverlay
    load: LoadPod
    nodes: list[str]

    def apply(self) -> None:
        """Applies the overlay as it is now, and returns when every workload is rolled out."""
        self.kubectl("apply", "-k", self.overlay.write())
        self.kubectl.rolled_out("hutong", WORKLOADS)


@pytest.fixture
async def databases(superuser_url: str) -> dict[str, list[str]]:
    """Empty databases by the Secret that names them, of an owner and a service of their own."""
    made = {}
    connection = await asyncpg.connect(f"{superuser_url}/postgres")
    try:
        for role in ("hutong_owner", "hutong_service"):
            if not await connection.fetchval("select 1 from pg_roles where rolname = $1", role):
                await connection.execute(f"create role {role} login password 'password'")
        for secret in ("lookup-store", "supervision-store", "records-store-nation", "records-store-110000"):
            name = f"hutong_{secret.replace('-', '_')}"
            await connection.execute(f"drop database if exists {name} with (force)")
            await connection.execute(f"create database {name} owner hutong_owner")
            made[secret] = name
    finally:
        await connection.close()
    server = superuser_url.rpartition("@")[2]
    for name in made.values():
        connection = await asyncpg.connect(f"{superuser_url}/{name}")
        try:
            await connection.execute(
                "alter default privileges for role hutong_owner "
                "grant select, insert, update, delete on tables to hutong_service"
            )
        finally:
            await connection.close()
    return {
        secret: [
            f"store-url=postgresql://hutong_service:password@{server}/{name}",
            f"migrate-url=postgresql://hutong_owner:password@{server}/{name}",
            # No standby; a store's pods want the key all the same.
            "read-store-url=",
        ]
        for secret, name in made.items()
    }


@pytest.fixture
def mesh(
    kubectl: Kubectl,
    nodes: list[str],
    image: str,
    tags: tuple[str, str],
    databases: dict[str, list[str]],
    namespaces: list[str],
    tmp_path: Path,
) -> Iterator[Mesh]:
    """Two replicas of everything on the first tag, rolled out, under load."""
    namespaces += kubectl.make_namespaces(K8S / "namespace.yaml")
    namespaces.append(OF_LOAD)
    keys = Keys()
    (tmp_path / "keys.json").write_bytes(jwks(keys))
    issuers_file(tmp_path)
    overlay = OwnOverlay(tmp_path, "overlays/postgres", image, tags[0])
    overlay.settings |= UNLIMITED
    overlay.secrets |= databases
    overlay.components = ["issuers"]
    overlay.config_files["issuers"] = ["issuers.yaml", "keys.json"]
    claims = {"role": "supervisor", "sub": "load", "document": None, "exp": 2_000_000_000}
    load = LoadPod(kubectl, f"{image.format(service='gateway')}:{tags[0]}", keys.sign(claims), nodes[0])
    made = Mesh(kubectl, overlay, load, nodes)
    made.apply()
    load.start()
    yield made
    load.stop()


def test_everything_is_upgraded_at_once_twice_in_a_row(mesh, tags, record_property):
    """And again until 10,000 codes were asked for; each connection is told which answer is its last."""
    rounds = 0
    while rounds < 2 or mesh.load.counts().answers < 10_000:
        rounds += 1
        mesh.overlay.tag = tags[rounds % 2]
        mesh.apply()
    counts = mesh.load.answers(1_000)
    assert ({}, 0) == counts.harm
    assert counts.last >= 60
    record_property("upgrades", f"{rounds} of everything: {counts}")


def test_pods_die_and_replicas_come_and_go(mesh):
    """One of verdict, of lookup and of a store without a word; then twice as many verdicts, and as before."""
    kubectl = mesh.kubectl
    verdicts = kubectl.read("-n", "hutong", "pods", "-l", "app.kubernetes.io/name=verdict")["items"]
    for name in (verdicts[0]["metadata"]["name"], "lookup-0", "records-110000-0"):
        kubectl("-n", "hutong", "delete", "pod", name, "--force", "--grace-period=0")
        mesh.load.answers(500)
    kubectl.rolled_out("hutong", WORKLOADS)
    for replicas in (4, 2):
        kubectl("-n", "hutong", "scale", "deployment/verdict", f"--replicas={replicas}")
        kubectl.rolled_out("hutong", ["deployment/verdict"])
        mesh.load.answers(1_000)
    assert ({}, 0) == mesh.load.counts().harm


def test_a_node_is_drained(mesh):
    """Whatever runs there moves; the load is on another."""
    if len(mesh.nodes) < 2:
        pytest.skip("one node: there is nowhere to move to")
    drained = mesh.nodes[1]
    try:
        mesh.kubectl("drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=400s")
        mesh.kubectl.rolled_out("hutong", WORKLOADS)
        mesh.load.answers(1_000)
    finally:
        mesh.kubectl("uncordon", drained)
    assert ({}, 0) == mesh.load.counts().harm


@pytest.mark.parametrize("wrong", ["image", "setting", "secret"])
def test_a_wrong_version_stops_and_the_right_one_applied_heals_it(mesh, wrong: str):
    """It costs no code meanwhile, and takes nothing but `kubectl apply`."""
    right = mesh.overlay.tag, mesh.overlay.mesh_secret
    if wrong == "image":
        mesh.overlay.tag = "there-is-none"
    elif wrong == "setting":
        mesh.overlay.settings["mesh"] = ["HUTONG_DRAIN_WAIT=soon"]
    else:
        mesh.overlay.mesh_secret = "the secret of quite another mesh"
    mesh.kubectl("apply", "-k", mesh.overlay.write())
    for workload in WORKLOADS:
        with pytest.raises(KubectlError):
            mesh.kubectl("-n", "hutong", "rollout", "status", workload, "--timeout=20s")
    mesh.load.answers(500)
    mesh.overlay.tag, mesh.overlay.mesh_secret = right
    mesh.overlay.settings.pop("mesh", None)
    mesh.apply()
    mesh.load.answers(500)
    assert ({}, 0) == mesh.load.counts().harm
