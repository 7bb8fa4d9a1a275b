"""Passes and trust bundles, over both transports, checked by the gate that knows nothing but its bundle."""

import os
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hutong.records.v1.laboratory_pb2 import Interval, Laboratory, Suspension
from hutong.records.v1.record_pb2 import RevisionAction, TestResult
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway.passes.keys import KEY, kept_pass_keys, read_pass_keys
from gateway.passes.passes import LIVES, masked
from gateway.settings import GatewaySettings
from services.certificates.keys import KeyRing, usable
from services.certificates.passes.bundle import Bundle, PassKey, read_bundle
from services.certificates.passes.gate import Gate, GateRules
from services.certificates.refusals import CertificateRefused, Reason
from services.common.errors import Unavailable
from tests.testkit.builders.tokens import Keys, issuers_file, jwks
from tests.testkit.fakes.mesh import DOCUMENT, NUMBER, PERSON, Mesh, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import BODY, PEOPLE, SHOW, document_message
from tests.testkit.waiting import until

SIGNER = Keys()
ISSUE, BUNDLE = "/v1/passes:issue", "/v1/trustBundle"
OTHER = {"type": "PASSPORT", "number": "E12345678"}


@dataclass
class Gateway:
    """A gateway with a pass key of its own, and its two doors."""

    mesh: Mesh
    http: httpx.AsyncClient
    stub: Any

    async def issue(self, claims: dict[str, Any] | None = None, **body: Any) -> httpx.Response:
        """Asks for a pass of the tests' document."""
        headers = {"authorization": f"Bearer {SIGNER.sign(claims or {})}"}
        return await self.http.post(ISSUE, json={**BODY, **body}, headers=headers)

    async def bundle(self) -> Bundle:
        """Asks for the bundle, without a token, and reads it by the root that came with it."""
        reply = (await self.http.get(BUNDLE)).json()
        at = datetime.fromisoformat(reply["madeAt"])
        root = PassKey("000000", usable(load_der_public_key(b64decode(reply["root"]))), at, at)
        return read_bundle(b64decode(reply["bundle"]), KeyRing([root]))

    async def gate(self, region: str = "110000", scene: int = 0) -> Gate:
        """Returns a gate with the bundle of now."""
        return Gate(GateRules(region, scene), await self.bundle())


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway that trusts an issuer and has a pass key, with one person who is known."""
    (tmp_path / "keys.json").write_bytes(jwks(SIGNER))
    kept_pass_keys(tmp_path)
    settings = GatewaySettings(
        mesh_secret=SECRET,
        http_listen="127.0.0.1:0",
        issuers=str(issuers_file(tmp_path)),
        pass_key=str(tmp_path / KEY),
        audit=str(tmp_path / "audit"),
    )
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    async with (
        serving(mesh, settings, sample_people=PEOPLE) as (http_port, grpc_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        gateway = Gateway(mesh, http, HealthCodeServiceStub(channel))

        async def heard() -> bool:
            return (await http.get(BUNDLE)).status_code == 200

        await until(heard)
        yield gateway


async def test_a_gate_believes_a_pass_and_sees_no_number(gateway: Gateway) -> None:
    """What the pass says is what the code says; it lives for minutes, and is of one region and scene."""
    reply = await gateway.issue(scene="METRO")
    issued = reply.json()
    gate = await gateway.gate(scene=9)
    now = datetime.now(UTC)
    presented = gate.check(issued["text"], now)
    assert ("110000", 9, 1, 1) == (presented.region, presented.scene, presented.word, presented.colour)
    assert ("张*", f"{NUMBER[10:12]}-{NUMBER[12:14]}") == (presented.initials, presented.born)
    assert presented.expires_at - presented.issued_at <= LIVES
    assert presented.until is not None
    assert "RECOGNISED" == issued["code"]["status"]
    assert issued["qrSvg"].startswith("<svg")
    assert NUMBER not in reply.text
    assert "no-store" == reply.headers["cache-control"]
    for other, reason in (
        (await gateway.gate("430000", 9), Reason.OTHER_REGION),
        (await gateway.gate(scene=1), Reason.OTHER_SCENE),
    ):
        with pytest.raises(CertificateRefused) as refused:
            other.check(issued["text"], now)
        assert reason is refused.value.reason
    with pytest.raises(CertificateRefused) as refused:
        gate.check(issued["text"], now + LIVES + timedelta(seconds=1))
    assert Reason.EXPIRED is refused.value.reason


async def test_a_pass_is_of_the_region_that_it_names(gateway: Gateway) -> None:
    """Each region's passes have a key of their own, which comes from the one key alike in every process."""
    issued = (await gateway.issue(region="430000")).json()
    assert "430000" == (await gateway.gate("430000")).check(issued["text"], datetime.now(UTC)).region
    assert len({key.key_id for key in (await gateway.bundle()).keys}) == len((await gateway.bundle()).keys) > 30


async def test_both_doors_are_one(gateway: Gateway) -> None:
    """Over gRPC the same pass and the same bundle."""
    token = [("authorization", f"Bearer {SIGNER.sign()}")]
    request = pb.IssuePassRequest(document=document_message(), region="110000")
    issued = await gateway.stub.IssuePass(request, metadata=token)
    gate = await gateway.gate()
    assert "张*" == gate.check(issued.text, datetime.now(UTC)).initials == issued.masked_name
    bundle = await gateway.stub.GetTrustBundle(pb.GetTrustBundleRequest(), metadata=token)
    assert bundle.root == b64decode((await gateway.http.get(BUNDLE)).json()["root"])


async def test_a_pass_is_ones_own_or_a_dependants_and_is_audited(gateway: Gateway) -> None:
    """A stranger, a venue and nobody have none; who asked is told to the person."""
    guardian = {"role": "guardian", "document": OTHER, "dependants": [DOCUMENT]}
    venue = {"role": "venue", "region": "110000", "sub": "south-station"}
    asked: list[tuple[dict[str, Any], int]] = [({}, 200), (guardian, 200), ({"document": OTHER}, 403), (venue, 403)]
    for claims, status in asked:
        assert status == (await gateway.issue(claims)).status_code
    assert 401 == (await gateway.http.post(ISSUE, json=BODY)).status_code
    headers = {"authorization": f"Bearer {SIGNER.sign({})}"}
    accesses = (await gateway.http.get("/v1/accesses", headers=headers)).json()["accesses"]
    issued = [one["caller"] for one in accesses if (one["method"], one["outcome"]) == ("IssuePass", "OK")]
    assert ["guardian", "holder"] == issued


@pytest.mark.parametrize("what", ["record", "laboratory"])
async def test_what_became_void_is_red_with_the_next_bundle(gateway: Gateway, what: str) -> None:
    """A withdrawn record, or a suspended laboratory: the pass that rests on it is refused."""
    (tested,) = gateway.mesh.records[PERSON]
    issued = (await gateway.issue()).json()
    assert (await gateway.gate()).check(issued["text"], datetime.now(UTC)).colour == 1
    if what == "record":
        retracted = type(tested)()
        retracted.CopyFrom(tested)
        retracted.action = RevisionAction.REVISION_ACTION_RETRACTED
        await gateway.mesh.tell(retracted)
    else:
        suspension = Suspension(suspension_id="s", sampled=Interval())
        await gateway.mesh.tell(Laboratory(laboratory=tested.content.laboratory, suspensions=[suspension]))

    async def refused() -> bool:
        try:
            (await gateway.gate()).check(issued["text"], datetime.now(UTC))
        except CertificateRefused as error:
            return error.reason is Reason.REVOKED
        return False

    await until(refused)


async def test_an_amended_record_that_stays_negative_voids_nothing(gateway: Gateway) -> None:
    """New passes rest on it."""
    (tested,) = gateway.mesh.records[PERSON]
    for result in (TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE):
        amended = type(tested)()
        amended.CopyFrom(tested)
        amended.action = RevisionAction.REVISION_ACTION_AMENDED
        amended.content.result = result
        amended.source_id = f"R{result}"
        await gateway.mesh.tell(amended)

    async def told() -> bool:
        return len((await gateway.bundle()).void_records) == 1

    await until(told)


async def test_of_a_stale_verdict_there_is_no_pass(gateway: Gateway) -> None:
    """The code itself is shown, and says how old it is."""

    def ended(verdict: Verdict) -> None:
        verdict.fresh_until.FromDatetime(datetime.now(UTC) + timedelta(seconds=1))

    gateway.mesh.shape = ended
    issued = (await gateway.issue()).json()
    assert timedelta(seconds=1) >= datetime.fromisoformat(issued["expiresAt"]) - datetime.now(UTC)
    gateway.mesh.failing = Unavailable("DOWN", "不在", "Down")
    headers = {"authorization": f"Bearer {SIGNER.sign()}"}

    async def stale() -> bool:
        return bool("STALE" == (await gateway.http.post(SHOW, json=BODY, headers=headers)).json()["freshness"])

    await until(stale)
    refused = await gateway.issue()
    assert (503, "VERDICT_STALE") == (refused.status_code, refused.json()["reason"])


async def test_without_a_key_it_is_said(tmp_path: Path) -> None:
    """Neither passes nor a bundle."""
    (tmp_path / "keys.json").write_bytes(jwks(SIGNER))
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", issuers=str(issuers_file(tmp_path)))
    async with (
        serving(Mesh(), settings) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        headers = {"authorization": f"Bearer {SIGNER.sign()}"}
        replies = [await http.post(ISSUE, json=BODY, headers=headers), await http.get(BUNDLE)]
    assert [(400, "PASSES_NOT_ISSUED")] * 2 == [(one.status_code, one.json()["reason"]) for one in replies]


def test_the_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    """The same file gives the same keys."""
    first = kept_pass_keys(tmp_path / "development")
    again = read_pass_keys(tmp_path / "development" / KEY)
    assert first.root.public_bytes == again.root.public_bytes
    assert first.regions["110000"].public_bytes == again.regions["110000"].public_bytes
    assert 0o600 == os.stat(tmp_path / "development" / KEY).st_mode & 0o777


@pytest.mark.parametrize(("name", "seen"), [("张三", "张*"), ("Li Wei", "L* W*"), ("", "")])
def test_a_name_is_masked(name: str, seen: str) -> None:
    """The first letter of each word stays."""
    assert seen == masked(name)
