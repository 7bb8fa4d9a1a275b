"""The cluster that KUBECONFIG names. Without one these tests are skipped, in CI too: it has none.

Those that need an API server and its controllers alone run wherever one is; those that need nodes, where nodes are
Ready and these say what runs there: CLUSTER_IMAGE, such as registry.example.cn/hutong-{service}; CLUSTER_TAGS, two tags
of it; CLUSTER_POSTGRES, a URL of a superuser of a PostgreSQL that pods and this machine reach. Nothing is applied to a
namespace that the tests did not make. k8s/README.md says how to run them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.testkit.kubernetes.kubectl import Kubectl


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """The cluster's API server."""
    config, program = os.environ.get("KUBECONFIG", ""), shutil.which("kubectl")
    if not config:
        pytest.skip("no cluster: KUBECONFIG names none")
    if program is None:
        pytest.skip("no kubectl")
    return Kubectl(program, config)


@pytest.fixture(scope="session")
def nodes(kubectl: Kubectl) -> list[str]:
    """The nodes that take pods, one at least."""
    ready = kubectl.ready_nodes()
    if not ready:
        pytest.skip("an API server alone: the cluster has no node that is Ready")
    return ready


def _told(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        pytest.skip(f"{name} is not set: see tests/cluster/conftest.py")
    return value


@pytest.fixture(scope="session")
def image() -> str:
    """The services' images, with {service}."""
    return _told("CLUSTER_IMAGE")


@pytest.fixture(scope="session")
def tags() -> tuple[str, str]:
    """Two tags of them."""
    first, _, second = _told("CLUSTER_TAGS").partition(",")
    return first, second


@pytest.fixture(scope="session")
def superuser_url() -> str:
    """A PostgreSQL for the mesh, as its superuser."""
    return _told("CLUSTER_POSTGRES").rstrip("/")


@pytest.fixture
def namespaces(kubectl: Kubectl) -> Iterator[list[str]]:
    """The names of namespaces that are deleted when the test has ended: a test adds those that it made."""
    with _deleted(kubectl) as made:
        yield made


@pytest.fixture(scope="module")
def lasting_namespaces(kubectl: Kubectl) -> Iterator[list[str]]:
    """The same, when the module's last test has ended."""
    with _deleted(kubectl) as made:
        yield made


@contextmanager
def _deleted(kubectl: Kubectl) -> Iterator[list[str]]:
    made: list[str] = []
    yield made
    if made:
        kubectl("delete", "namespace", *made, "--ignore-not-found", "--wait=true", "--timeout=300s")
