"""Upgrades, restarts, deaths, scaling, drains and wrong versions on real nodes, under sixty kept connections that ask
for codes that are not cached: none of them fails, and no connection ends without a word."""

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple

import asyncpg
import pytest

from tests.testkit.builders.tokens import Keys, issuers_file, jwks
from tests.testkit.checks.manifests import K8S
from tests.testkit.kubernetes.kubectl import Kubectl
from tests.testkit.kubernetes.load import NAMESPACE as OF_LOAD
from tests.testkit.kubernetes.load import LoadPod
from tests.testkit.kubernetes.overlays import OwnOverlay
from tests.testkit.kubernetes.pods import Pods
from tests.testkit.secret import SECRET

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
WORKLOADS = [
    *("deployment/gateway", "deployment/verdict"),
    *("statefulset/lookup", "statefulset/records-nation", "statefulset/records-110000"),
]
UNLIMITED = {"gateway": ["HUTONG_LIMITS=none=true"]}
"""Nobody limits the load, which is one caller's. All else is as the manifests say, waits too."""
SHARE_SECONDS = 60.0
"""How long after a replica is Ready it has its share."""


class Mesh(NamedTuple):
    """A mesh in PostgreSQL, and what asks it for codes."""

    kubectl: Kubectl
    overlay: OwnOverlay
    load: LoadPod
    nodes: list[str]
    pods: Pods
    first: str
    """The tag of a test's begin."""

    def apply(self) -> None:
        """Applies the overlay as it is now, and returns when every workload is rolled out."""
        self.kubectl("apply", "-k", self.overlay.write())
        self.kubectl.rolled_out("hutong", WORKLOADS)

    def right(self) -> None:
        """Applies what every test begins with, whatever another left."""
        self.overlay.tag, self.overlay.mesh_secret = self.first, SECRET
        self.overlay.settings.pop("mesh", None)
        self.apply()


@pytest.fixture(scope="module")
def databases(superuser_url: str) -> dict[str, list[str]]:
    """Empty databases by the Secret that names them, of an owner and a service of their own."""
    return asyncio.run(_databases(superuser_url))


async def _databases(superuser_url: str) -> dict[str, list[str]]:
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


@pytest.fixture(scope="module")
def lasting_mesh(
    kubectl: Kubectl,
    nodes: list[str],
    image: str,
    tags: tuple[str, str],
    databases: dict[str, list[str]],
    lasting_namespaces: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Mesh:
    """Two replicas of everything, not applied yet."""
    lasting_namespaces += kubectl.make_namespaces(K8S / "namespace.yaml")
    lasting_namespaces.append(OF_LOAD)
    folder = tmp_path_factory.mktemp("overlay")
    keys = Keys()
    (folder / "keys.json").write_bytes(jwks(keys))
    issuers_file(folder)
    overlay = OwnOverlay(folder, "overlays/postgres", image, tags[0])
    overlay.settings |= UNLIMITED
    overlay.secrets |= databases
    overlay.components = ["issuers"]
    overlay.config_files["issuers"] = ["issuers.yaml", "keys.json"]
    claims = {"role": "supervisor", "sub": "load", "document": None, "exp": 2_000_000_000}
    load = LoadPod(kubectl, f"{image.format(service='gateway')}:{tags[0]}", keys.sign(claims), nodes[0])
    return Mesh(kubectl, overlay, load, nodes, Pods(kubectl, "hutong"), tags[0])


@pytest.fixture
def mesh(lasting_mesh: Mesh) -> Iterator[Mesh]:
    """Two replicas of everything on the first tag, rolled out, under load, whose counts begin at nothing."""
    lasting_mesh.right()
    lasting_mesh.load.start()
    yield lasting_mesh
    lasting_mesh.load.stop()


def test_everything_is_upgraded_at_once_twice_in_a_row(mesh, tags, record_property):
    """And again until 10,000 codes were asked for; each connection is told which answer is its last."""
    rounds = 0
    while rounds < 2 or mesh.load.counts().answers < 10_000:
        rounds += 1
        mesh.overlay.tag = tags[rounds % 2]
        mesh.apply()
    counts = mesh.load.answers(1_000)
    record_property("upgrades", f"{rounds} of everything: {counts}")
    assert ({}, 0) == counts.harm
    assert counts.last >= 60


def test_one_then_several_then_all_services_are_restarted(mesh, record_property):
    """The next as soon as the pods of the former are Ready."""
    for some in (WORKLOADS[2:3], WORKLOADS[1:4], WORKLOADS):
        mesh.kubectl("-n", "hutong", "rollout", "restart", *some)
        mesh.kubectl.rolled_out("hutong", some)
    counts = mesh.load.answers(1_000)
    record_property("restarts", str(counts))
    assert ({}, 0) == counts.harm


def test_pods_die_without_a_word(mesh, record_property):
    """One of verdict, of lookup and of a store; the next when the former has a successor."""
    kubectl = mesh.kubectl
    verdicts = sorted(mesh.pods.of("verdict"))
    for name, workload in ((verdicts[0], 1), ("lookup-0", 2), ("records-110000-0", 4)):
        kubectl("-n", "hutong", "delete", "pod", name, "--force", "--grace-period=0")
        mesh.load.answers(500)
        kubectl.rolled_out("hutong", [WORKLOADS[workload]])
    counts = mesh.load.answers(1_000)
    record_property("deaths", str(counts))
    assert ({}, 0) == counts.harm


def test_replicas_come_and_go_and_have_their_shares(mesh, record_property):
    """Twice as many verdicts, each of the new ones with half of an even share at least within a minute of its being
    Ready; then as before."""
    kubectl, former = mesh.kubectl, mesh.pods.of("verdict")
    kubectl("-n", "hutong", "scale", "deployment/verdict", "--replicas=4")
    kubectl.rolled_out("hutong", ["deployment/verdict"])
    new = mesh.pods.of("verdict").keys() - former.keys()
    assert 2 == len(new)
    ready = max(mesh.pods.ready_since(name) for name in new)
    while True:
        shares = _shares(mesh)
        seconds = time.time() - ready
        if min(shares[name] for name in new) >= sum(shares.values()) / len(shares) / 2:
            break
        assert seconds < SHARE_SECONDS, shares
    record_property("shares", f"{seconds:.0f} s after the last was Ready: {shares}")
    kubectl("-n", "hutong", "scale", "deployment/verdict", "--replicas=2")
    kubectl.rolled_out("hutong", ["deployment/verdict"])
    # Those that go serve on for a while, and end.
    mesh.pods.gone("verdict", 2)
    counts = mesh.load.answers(1_000)
    record_property("scaling", str(counts))
    assert ({}, 0) == counts.harm


def _shares(mesh: Mesh) -> dict[str, float]:
    """Returns the verdicts of each replica in some seconds."""
    before = {name: mesh.pods.metric(name, "hutong_verdict_verdicts_total") for name in mesh.pods.of("verdict")}
    mesh.load.answers(400)
    return {name: mesh.pods.metric(name, "hutong_verdict_verdicts_total") - count for name, count in before.items()}


def test_a_node_is_drained(mesh, record_property):
    """Whatever runs there moves; the load is on another."""
    if len(mesh.nodes) < 2:
        pytest.skip("one node: there is nowhere to move to")
    drained = mesh.nodes[1]
    try:
        mesh.kubectl("drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=550s")
        mesh.kubectl.rolled_out("hutong", WORKLOADS)
        counts = mesh.load.answers(1_000)
    finally:
        mesh.kubectl("uncordon", drained)
    record_property("drain", str(counts))
    assert ({}, 0) == counts.harm


@pytest.mark.parametrize("wrong", ["image", "setting", "secret"])
def test_a_wrong_version_stops_and_the_right_one_applied_heals_it(mesh, wrong: str, record_property):
    """Its pods are never Ready, so that it goes no further and costs no code; it takes nothing but `kubectl apply`."""
    former = mesh.pods.revisions()
    if wrong == "image":
        mesh.overlay.tag = "there-is-none"
    elif wrong == "setting":
        mesh.overlay.settings["mesh"] = ["HUTONG_DRAIN_WAIT=soon"]
    else:
        mesh.overlay.mesh_secret = "the secret of quite another mesh"
    mesh.kubectl("apply", "-k", mesh.overlay.write())
    # One new pod of each of the five; a StatefulSet's begins when the one before it has ended.
    mesh.pods.wait_for_others(former, len(WORKLOADS))
    for _ in range(3):
        mesh.load.answers(500)
        others = mesh.pods.others(former)
        assert dict.fromkeys(others, False) == others
        assert len(WORKLOADS) == len(others)
    mesh.right()
    counts = mesh.load.answers(500)
    record_property(wrong, str(counts))
    assert ({}, 0) == counts.harm
