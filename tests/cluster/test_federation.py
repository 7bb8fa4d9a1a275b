"""A federation that was applied as k8s/README.md says: codes of one province's tests in the other, each way over the
one endpoint and with certificates; who proves nothing is refused; renewals cost no call.

It is the one test of a federation that the tests did not make: where CLUSTER_FEDERATION names a gateway's image, such
as registry.example.cn/hutong-gateway@sha256:…, a pod `system` with its certificates is put into both provinces, which
have none, and taken out again; certificates are renewed every minute for a while."""

import base64
import json
import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.testkit.kubernetes.kubectl import Kubectl
from tests.testkit.kubernetes.system import WRONG, Counts, System

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
BOUND_SECONDS = 600.0
MEMBERS = ("hutong", "hutong-110000", "hutong-430000")
AUTHORITY = "mesh-authority"


@pytest.fixture(scope="module")
def systems(kubectl: Kubectl) -> Iterator[list[System]]:
    """The provinces' systems, each of which has recognised a person whom the other tested."""
    image = os.environ.get("CLUSTER_FEDERATION", "")
    if not image:
        pytest.skip("CLUSTER_FEDERATION is not set: there is no federation to go into")
    run = f"{random.randrange(1_000_000):06}"
    both = [System(kubectl, *pair, image, run) for pair in (("110000", "430000"), ("430000", "110000"))]
    for one in both:
        if "system" in kubectl.names(one.namespace, "pods"):
            raise LookupError(f"{one.namespace} has a pod named system already, and the tests did not make it")
    try:
        for one in both:
            secret = kubectl.read("-n", f"hutong-{one.other}", "secret", AUTHORITY)
            one.start(base64.b64decode(secret["data"]["tls.crt"]).decode())
        for one in both:
            one.recognised(1)
        yield both
    finally:
        for one in both:
            one.stop()


def test_a_test_of_one_province_makes_a_code_in_the_other(systems, record_property):
    """Both provinces, each through its own store and the nation's gateway, a hundred times."""
    for one in systems:
        counts = one.recognised(100)
        record_property(one.region, str(counts))
        assert {} == counts.failed


def test_who_proves_nothing_is_refused(systems):
    """Another province's name by this one's authority, this one's name by nobody's, and this one's system at another's
    store."""
    for one in systems:
        tried = one.tried()
        assert {"STATUS_RECOGNISED", "STORED"} == {tried["own gateway"], tried["own store"]}
        assert "UNAVAILABLE" == tried["own others-store"]
        assert {"UNAUTHENTICATED", "UNAVAILABLE"} >= {
            tried[f"{wrong} {server}"] for wrong in WRONG for server in ("gateway", "store", "others-store")
        }


def test_renewed_certificates_cost_no_call(kubectl, systems, record_property):
    """Every service's, twice at least, while both provinces go on; each server is seen with its new ones."""
    before = {one.region: one.counts() for one in systems}
    former = {}
    for namespace in MEMBERS:
        for one in kubectl.read("-n", namespace, "certificates")["items"]:
            name, spec = one["metadata"]["name"], one["spec"]
            if not spec.get("isCA") and name not in WRONG:
                former[namespace, name] = {key: spec[key] for key in ("duration", "renewBefore")}
    try:
        for namespace, name in former:
            # The shortest that cert-manager takes, made new when a minute of it is over.
            _patch(kubectl, namespace, name, {"duration": "1h", "renewBefore": "59m"})
        bound = time.monotonic() + BOUND_SECONDS
        while not all(_renewals(one.counts(), before[one.region]) >= 2 for one in systems):
            assert time.monotonic() < bound, [one.counts() for one in systems]
            time.sleep(2)
    finally:
        for (namespace, name), spec in former.items():
            _patch(kubectl, namespace, name, spec)
    for one in systems:
        counts = one.recognised(20)
        record_property(one.region, str(counts))
        assert {} == counts.failed


def _patch(kubectl: Kubectl, namespace: str, name: str, spec: dict[str, str]) -> None:
    patch = json.dumps({"spec": spec})
    kubectl("-n", namespace, "patch", "certificate", name, "--type=merge", "-p", patch)


def _renewals(now: Counts, before: Counts) -> int:
    """Returns how many new certificates the server that has shown fewest has shown."""
    return min(
        len([one for one in now.serials[name] if not one.startswith("none") and one not in before.serials[name]])
        for name in now.serials
    )
