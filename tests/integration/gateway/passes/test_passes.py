"""Passes and trust bundles, over both transports, checked by the gate that knows nothing but its bundle."""

import asyncio
import os
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
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

from cli.main import main
from gateway.passes.keys import KEY, PassKeyFile, kept_pass_keys, new_pass_keys, read_pass_keys
from gateway.passes.passes import LIVES
from gateway.settings import GatewaySettings
from services.certificates.keys import KeyRing, usable
from services.certificates.passes.bundle import Bundle, PassKey, read_bundle, root_key
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
    audit: str

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
        gateway = Gateway(mesh, http, HealthCodeServiceStub(channel), settings.audit)

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
    (first,) = read_pass_keys(kept_pass_keys(tmp_path / "development"))
    (again,) = read_pass_keys(kept_pass_keys(tmp_path / "development"))
    assert first.root.public_bytes == again.root.public_bytes
    assert first.regions["110000"].public_bytes == again.regions["110000"].public_bytes
    assert 0o600 == os.stat(tmp_path / "development" / KEY).st_mode & 0o777


def run_pass_key(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Runs `hutong pass-key`; returns the names of the keys, the one that signs first."""
    assert 0 == main(["pass-key", *words])
    return [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]


def test_the_first_key_makes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command that the runbook gives to who begins; the next one is beside it and signs nothing. Every other
    command without a file says so, and makes none."""
    file = ("--file", str(tmp_path / KEY))
    assert 2 == main(["pass-key", "list", *file])
    assert not (tmp_path / KEY).exists()
    (first,) = run_pass_key(capsys, "add", *file)
    assert 0o600 == os.stat(tmp_path / KEY).st_mode & 0o777
    assert [first] == run_pass_key(capsys, "add", *file)[:1]
    assert 2 == len(read_pass_keys(tmp_path / KEY))


async def test_the_key_changes_while_passes_are_shown(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the route of the runbook: each pass is believed by the gate that has no bundle but those of each step, and the
    gate, which began with the first root, takes every bundle; then the first root signs nothing that it takes."""
    file = ("--file", str(tmp_path / KEY))
    (first,) = run_pass_key(capsys, "list", *file)
    reply = (await gateway.http.get(BUNDLE)).json()
    gate = Gate(GateRules("110000", 0), roots=[b64decode(reply["root"])])
    gate.take_signed(b64decode(reply["bundle"]))
    signed_by_first = b64decode(reply["bundle"])
    shown: list[str] = []

    async def show() -> None:
        while True:
            text = (await gateway.issue()).json()["text"]
            gate.check(text, datetime.now(UTC))
            shown.append(text)
            await asyncio.sleep(0.01)

    async def published(count: int, root: str) -> None:
        async def there() -> bool:
            reply = (await gateway.http.get(BUNDLE)).json()
            bundle = read_bundle(b64decode(reply["bundle"]), KeyRing([root_key(b64decode(reply["root"]))]))
            name = sha256(b64decode(reply["root"])).hexdigest()[: len(root)]
            return (len(bundle.roots), name) == (count, root)

        await until(there)

    showing = asyncio.create_task(show())
    _, second = run_pass_key(capsys, "add", *file)
    await published(2, first)
    gate.take_signed(b64decode((await gateway.http.get(BUNDLE)).json()["bundle"]))
    assert [second, first] == run_pass_key(capsys, "use", second, *file)
    # The gate has no bundle of the second root yet, and believes its passes.
    await published(2, second)
    await until_more(shown)
    gate.take_signed(b64decode((await gateway.http.get(BUNDLE)).json()["bundle"]))
    assert [second] == run_pass_key(capsys, "drop", first, *file)
    await published(1, second)
    await until_more(shown)
    showing.cancel()
    await asyncio.wait([showing])
    assert showing.cancelled(), showing.exception()
    gate.take_signed(b64decode((await gateway.http.get(BUNDLE)).json()["bundle"]))
    for refused in (lambda: gate.take_signed(signed_by_first), lambda: gate.check(shown[0], datetime.now(UTC))):
        with pytest.raises(CertificateRefused) as caught:
            refused()
        assert Reason.SIGNER_UNKNOWN is caught.value.reason


async def until_more(shown: list[str]) -> None:
    """Returns once some more passes were shown."""
    before = len(shown)

    async def more() -> bool:
        return len(shown) > before + 3

    await until(more)


async def test_a_file_of_keys_that_will_not_do_changes_nothing(tmp_path: Path) -> None:
    """What was read last goes on signing, until the file is right again."""
    path = kept_pass_keys(tmp_path)
    now = [0.0]
    keys = PassKeyFile(path, lambda: now[0])
    (first,) = keys.current
    right = path.read_text()
    for wrong in ("", right * 2, right.replace("A", "B", 5), "no key"):
        path.write_text(wrong)
        now[0] += 10
        assert first.root.public_bytes == keys.current[0].root.public_bytes
    path.write_text(right + new_pass_keys().root.pem.decode())
    now[0] += 10
    assert 2 == len(keys.current)


def written_in(folder: Path) -> str:
    """Returns everything that is written in a folder's files."""
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


async def test_a_pass_shows_the_name_and_birthday_of_the_token(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """A token names who is no sample person, and its entries name dependants; another
    token of the same person is another name at once, and nothing of a name is logged or written down."""
    caplog.set_level(0)
    child = {**OTHER, "name": "买买提·艾力", "family_name": "Mamat", "birthdate": "2015-02-03"}
    parent = {"type": "PASSPORT", "number": "E87654321"}
    claims = {
        "role": "guardian",
        "document": parent,
        "name": "欧阳娜娜",
        "birthdate": "1990-06-15",
        "dependants": [child],
    }
    gate = await gateway.gate()
    expected = [(parent, claims, "欧阳*", "06-15"), (OTHER, claims, "买* 艾*", "02-03")]
    expected += [(parent, {**claims, "name": "\u202e", "birthdate": "1990"}, "", "")]
    for document, shown, initials, born in expected:
        reply = (await gateway.issue(shown, document=document)).json()
        presented = gate.check(reply["text"], datetime.now(UTC))
        assert (initials, born, initials) == (presented.initials, presented.born, reply["maskedName"] or "")
    trails = await asyncio.to_thread(written_in, Path(gateway.audit))
    assert "IssuePass" in trails
    for text in (trails, caplog.text):
        assert not [name for name in ("娜娜", "艾力", "Mamat", "1990-06-15") if name in text]
