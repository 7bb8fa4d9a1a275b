"""Certificates over both transports and by the command line: issued, drawn, verified, refused with a reason."""

import asyncio
import shutil
import subprocess
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hutong.common.v1.subject_pb2 import DocumentType, Purpose
from hutong.gateway.v1 import certificate_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hutong.records.v1.laboratory_pb2 import Interval, Laboratory, Suspension
from hutong.records.v1.record_pb2 import RevisionAction, TestResult

from cli.certificates.signers import write_signer
from cli.main import main
from gateway.certificates.certificates import VALID_FOR
from gateway.settings import GatewaySettings
from services.certificates.trust import trust_of
from services.certificates.verification import verify
from services.common.errors import Unavailable
from tests.testkit.builders.tokens import Keys, issuers_file, jwks
from tests.testkit.fakes.mesh import DOCUMENT, NUMBER, PERSON, Mesh, key, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import PEOPLE, document_message

SIGNER = Keys()
HUNAN = "430000"
LABORATORY = {"role": "laboratory", "region": HUNAN, "sub": "xiangya"}
VENUE = {"role": "venue", "region": "110000", "sub": "south-station"}
NAME = {"surname": "WANG", "givenName": "XIAOMING", "writtenName": "王小明"}
OTHER = {"type": "PASSPORT", "number": "E12345678"}


@dataclass
class Gateway:
    """A gateway with Hunan's signer, and its two doors."""

    mesh: Mesh
    http: httpx.AsyncClient
    stub: Any
    folder: Path

    async def ask(
        self, what: str, body: dict[str, Any], claims: dict[str, Any] | None = None, purpose: str = ""
    ) -> httpx.Response:
        """Asks for something about certificates."""
        headers = {"authorization": f"Bearer {SIGNER.sign(claims or {})}"}
        if purpose:
            headers["hutong-purpose"] = purpose
        return await self.http.post(f"/v1/certificates:{what}", json=body, headers=headers)

    async def issue(self, **body: Any) -> httpx.Response:
        """Asks for a certificate of the tests' document, as its holder."""
        return await self.ask("issue", {"document": DOCUMENT, "region": HUNAN, **body})

    async def text(self) -> str:
        """Returns a certificate of the tests' document."""
        issued: str = (await self.issue()).json()["text"]
        return issued


def settings_in(folder: Path, **others: Any) -> GatewaySettings:
    """Returns the settings of a gateway that believes the tests' tokens."""
    (folder / "keys.json").write_bytes(jwks(SIGNER))
    return GatewaySettings(
        mesh_secret=SECRET,
        http_listen="127.0.0.1:0",
        issuers=str(issuers_file(folder, roles=["holder", "guardian", "venue", "laboratory"])),
        audit=str(folder / "audit"),
        **others,
    )


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway with Hunan's signer, and one person of whom Hunan has a result."""
    signers = tmp_path / "signers"
    write_signer(signers, HUNAN, datetime.now(UTC))
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    settings = settings_in(tmp_path, certificate_signers=str(signers), certificate_trust=str(signers))
    async with (
        serving(mesh, settings, sample_people=PEOPLE) as (http_port, grpc_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", timeout=30) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        yield Gateway(mesh, http, HealthCodeServiceStub(channel), signers)


async def test_a_holder_has_a_certificate_that_any_verifier_reads(gateway: Gateway) -> None:
    """The name is the gateway's own knowledge, the birthday the document's, and the number is nowhere."""
    reply = await gateway.issue(formats=["QR_SVG", "QR_PNG", "PDF"])
    answer = reply.json()
    verified = verify(answer["text"], trust_of(gateway.folder), datetime.now(UTC))
    born = f"{NUMBER[6:10]}-{NUMBER[10:12]}-{NUMBER[12:14]}"
    assert ("张三", "ZHANG", "SAN", born) == (
        verified.contents.nam.fn,
        verified.contents.nam.fnt,
        verified.contents.nam.gnt,
        verified.contents.dob,
    )
    assert verified.contents.t is not None
    assert (False, True, answer["identifier"]) == (
        verified.contents.t[0].positive,
        verified.contents.t[0].nucleic_acid,
        verified.identifier,
    )
    assert VALID_FOR == verified.claims.expires_at - verified.claims.issued_at
    assert answer["qrSvg"].startswith("<svg")
    assert (b"\x89PNG", b"%PDF") == (b64decode(answer["qrPng"])[:4], b64decode(answer["pdf"])[:4])
    assert NUMBER not in reply.text
    assert "no-store" == reply.headers["cache-control"]
    again = (await gateway.issue()).json()
    assert (answer["identifier"], None, None) == (again["identifier"], again["qrSvg"], again["pdf"])


async def test_a_certificate_has_the_name_of_the_token(gateway: Gateway) -> None:
    """A token names who is no sample person, over both transports; the birth date is the token's where the document
    tells none. A token without a name that will do gets no certificate, and learns which claim lacks."""
    gateway.mesh.records[key(DocumentType.DOCUMENT_TYPE_PASSPORT, OTHER["number"])].append(record())
    named = {"name": "林晓岚", "family_name": "Lin", "given_name": "Xiǎolán", "birthdate": "1990-06-15"}
    body = {"document": OTHER, "region": HUNAN}
    request = pb.IssueCertificateRequest(
        document=document_message(DocumentType.DOCUMENT_TYPE_PASSPORT, OTHER["number"]), region=HUNAN
    )
    holder: dict[str, Any] = {"document": OTHER, **named}
    for claims in (holder, {"role": "guardian", "dependants": [{**OTHER, **named}]}):
        token = f"Bearer {SIGNER.sign(claims)}"
        texts = [(await gateway.ask("issue", body, claims)).json()["text"]]
        reply = await gateway.stub.IssueCertificate(request, metadata=[("authorization", token)], timeout=30)
        texts.append(reply.text)
        for text in texts:
            contents = verify(text, trust_of(gateway.folder), datetime.now(UTC)).contents
            names = contents.nam.fn, contents.nam.fnt, contents.nam.gnt, contents.dob
            assert ("林晓岚", "LIN", "XIAOLAN", "1990-06-15") == names
    for lacking, claim in (
        ({"document": OTHER}, "family_name"),
        ({**holder, "family_name": "林"}, "family_name#zh-Latn"),
        ({**holder, "family_name": "Lin\u202e"}, "family_name"),
    ):
        refused = await gateway.ask("issue", body, lacking)
        assert (400, "HOLDER_NAME_UNKNOWN") == (refused.status_code, refused.json()["reason"])
        assert f"claim {claim})" in refused.text


async def test_who_may_have_which_certificate(gateway: Gateway) -> None:
    """A holder its own, under no name of its own choice; a laboratory those of its own results, under a name."""
    cases: list[tuple[dict[str, Any], dict[str, Any] | None, str, str]] = [
        ({"name": NAME}, None, "", "NAME_NOT_TAKEN"),
        ({"document": OTHER}, None, "", "PERSON_DENIED"),
        ({}, LABORATORY, "RECORD_KEEPING", "NAME_REQUIRED"),
        ({"name": {"surname": "Wang"}}, LABORATORY, "RECORD_KEEPING", "NAME_FORMAT"),
        ({"name": NAME | {"writtenName": NUMBER}}, LABORATORY, "RECORD_KEEPING", "DOCUMENT_NUMBER_NOT_ALLOWED"),
        ({"name": NAME}, LABORATORY | {"sub": "another"}, "RECORD_KEEPING", "RESULT_NOT_FOUND"),
        ({"name": NAME, "region": "440000"}, LABORATORY, "RECORD_KEEPING", "REGION_DENIED"),
        ({"formats": ["GIF"]}, None, "", "FORMAT_UNKNOWN"),
        ({"region": "110000"}, None, "", "CERTIFICATES_NOT_ISSUED"),
        ({"name": NAME}, VENUE, "VENUE_CHECK", "ACCESS_DENIED"),
    ]
    for changes, claims, purpose, reason in cases:
        body = {"document": DOCUMENT, "region": HUNAN, **changes}
        problem = (await gateway.ask("issue", body, claims, purpose)).json()
        given = problem["violations"][0]["reason"] if problem["reason"] == "INVALID_ARGUMENT" else problem["reason"]
        assert reason == given, (changes, problem)
    reply = await gateway.ask(
        "issue", {"document": DOCUMENT, "region": HUNAN, "name": NAME}, LABORATORY, "RECORD_KEEPING"
    )
    verified = verify(reply.json()["text"], trust_of(gateway.folder), datetime.now(UTC))
    assert "王小明" == verified.contents.nam.fn


async def test_what_no_certificate_can_state_has_none(gateway: Gateway) -> None:
    """A sample that waits, a result that nobody could read, one that was withdrawn, a copy; and an outage is told."""
    records = gateway.mesh.records[PERSON]
    withdrawn = record(source_id="S4")
    withdrawn.action = RevisionAction.REVISION_ACTION_RETRACTED
    copy = record(source_id="S5")
    copy.content.origin.region = "110000"
    waiting = record(source_id="S2", kind=1, result=0)
    waiting.content.ClearField("reported_at")
    records[:] = [waiting, record(source_id="S3", result=3), withdrawn, copy]
    for source_id in ("S2", "S3", "S4"):
        assert "RESULT_NOT_CERTIFIABLE" == (await gateway.issue(sourceId=source_id)).json()["reason"]
    assert "RESULT_NOT_FOUND" == (await gateway.issue(sourceId="S5")).json()["reason"]
    assert "RESULT_NOT_FOUND" == (await gateway.issue()).json()["reason"]
    gateway.mesh.unreachable |= {HUNAN, "nation"}
    assert "SOURCES_UNREACHABLE" == (await gateway.issue()).json()["reason"]


async def test_a_verifier_sees_what_can_be_compared_with_a_person(gateway: Gateway) -> None:
    """Over both transports: initials, birth day and month, result; and the holder is told who looked."""
    text = await gateway.text()
    reply = await gateway.ask("verify", {"text": text}, VENUE, "VENUE_CHECK")
    seen = reply.json()["certificate"]
    assert ("Z* S*", f"{NUMBER[10:12]}-{NUMBER[12:14]}", "NEGATIVE", HUNAN, True) == (
        seen["maskedName"],
        seen["born"],
        seen["result"],
        seen["region"],
        seen["standingChecked"],
    )
    assert not {"ZHANG", "张三", NUMBER[6:10] + "-"} & set(reply.text.split('"'))
    request = pb.VerifyCertificateRequest(text=text, purpose=Purpose.PURPOSE_VENUE_CHECK)
    metadata = [("authorization", f"Bearer {SIGNER.sign(VENUE)}")]
    over_grpc = await gateway.stub.VerifyCertificate(request, metadata=metadata, timeout=15)
    assert (True, "Z* S*", True) == (
        over_grpc.verified,
        over_grpc.certificate.masked_name,
        over_grpc.certificate.standing_checked,
    )
    looks = (await gateway.http.get("/v1/accesses", headers={"authorization": f"Bearer {SIGNER.sign({})}"})).json()
    assert "region/110000/venue/south-station" in {
        one["caller"] for one in looks["accesses"] if one["method"].endswith("VerifyCertificate")
    }


async def test_each_failure_has_its_own_reason(gateway: Gateway) -> None:
    """Validity at the clock that is given, a signature, a revocation, the record's and the laboratory's standing."""
    text = await gateway.text()

    async def reason(shown: str = text, **more: Any) -> str | None:
        answer = (await gateway.ask("verify", {"text": shown, **more}, VENUE, "VENUE_CHECK")).json()
        assert answer["verified"] == (answer["reason"] is None) == (answer["certificate"] is not None)
        given: str | None = answer["reason"]
        return given

    now = datetime.now(UTC)
    assert await reason() is None
    assert "EXPIRED" == await reason(at=(now + VALID_FOR + timedelta(minutes=1)).isoformat())
    assert "NOT_YET_VALID" == await reason(at=(now - timedelta(days=1)).isoformat())
    assert "PREFIX_UNKNOWN" == await reason("hello")
    assert "BASE45_MALFORMED" == await reason(text[:-1] + "a")
    (kept,) = gateway.mesh.records[PERSON]
    kept.content.result = TestResult.TEST_RESULT_POSITIVE
    assert "REVOKED" == await reason()
    kept.content.result = TestResult.TEST_RESULT_NEGATIVE
    suspension = Suspension(suspension_id="one", sampled=Interval())
    gateway.mesh.laboratories.append(Laboratory(laboratory="430000-xiangya", suspensions=[suspension]))
    assert "REVOKED" == await reason()
    gateway.mesh.laboratories.clear()
    kept.action = RevisionAction.REVISION_ACTION_RETRACTED
    assert "REVOKED" == await reason()
    kept.action = RevisionAction.REVISION_ACTION_SUBMITTED
    gateway.mesh.failing = Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")
    assert await reason() is None
    gateway.mesh.failing = None
    assert (
        "CERTIFICATE_REQUIRED"
        == (await gateway.ask("verify", {"text": " "}, VENUE, "VENUE_CHECK")).json()["violations"][0]["reason"]
    )


async def test_without_signers_and_trust_it_is_said(tmp_path: Path) -> None:
    """Clearly, and as a state of this gateway."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    async with (
        serving(mesh, settings_in(tmp_path), sample_people=PEOPLE) as (http_port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http,
    ):
        headers = {"authorization": f"Bearer {SIGNER.sign({})}"}
        for what, body, reason in (
            ("issue", {"document": DOCUMENT, "region": HUNAN}, "CERTIFICATES_NOT_ISSUED"),
            ("verify", {"text": "HC1:NCFOXN"}, "CERTIFICATES_NOT_VERIFIED"),
        ):
            reply = await http.post(f"/v1/certificates:{what}", json=body, headers=headers)
            assert (400, reason) == (reply.status_code, reply.json()["reason"])


async def test_the_command_line_asks_a_gateway_or_nobody(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue and verify through the mesh; verify again from a folder, with no network; what was revoked is refused."""
    at = ["--gateway", str(gateway.http.base_url), "--token", SIGNER.sign({})]

    async def run(*arguments: str | Path) -> tuple[int, str, str]:
        status = await asyncio.to_thread(main, ["certificate", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out.strip(), said.err

    page, picture = tmp_path / "page.pdf", tmp_path / "code.png"
    status, text, _ = await run("issue", "--region", HUNAN, "--document", NUMBER, "--pdf", page, "--qr", picture, *at)
    assert (0, "HC1:") == (status, text[:4])
    assert (b"%PDF", b"\x89PNG") == (page.read_bytes()[:4], picture.read_bytes()[:4])
    status, said, _ = await run("verify", text, *at)
    assert status == 0
    assert "NEGATIVE" in said
    assert 0 == (await run("verify", text, "--trust", gateway.folder))[0]
    status, said, _ = await run("present", text, "--region", "110000", "--document", NUMBER, *at)
    assert (0, True) == (status, "110000/cert-S1" in said)
    verified = verify(text, trust_of(gateway.folder), datetime.now(UTC))
    (tmp_path / "list.txt").write_text(verified.identifier)
    status, _, error = await run("verify", text, "--trust", gateway.folder, "--revoked", tmp_path / "list.txt")
    assert (6, True) == (status, "REVOKED" in error)
    status, _, error = await run("issue", "--region", "110000", "--document", NUMBER, *at)
    assert (6, True) == (status, "CERTIFICATES_NOT_ISSUED" in error)
    assert 4 == (await run("verify", text, "--gateway", "http://127.0.0.1:1"))[0]
    assert 2 == (await run("verify", text, "--data", tmp_path))[0]


async def test_the_page_is_whole_and_shows_both_languages(gateway: Gateway, tmp_path: Path) -> None:
    """Both fonts are in the file, it refers to nothing outside, and a viewer finds the words in it."""
    page = b64decode((await gateway.issue(formats=["PDF"])).json()["pdf"])
    assert 2 == page.count(b"/FontFile2 ")
    assert 120_000 > len(page)
    assert not any(word in page for word in (b"/URI", b"/JavaScript", b"/Launch", b"Helvetica"))
    if shutil.which("pdftotext") is None:
        pytest.skip("there is no pdftotext on this machine")
    (tmp_path / "page.pdf").write_bytes(page)
    done = await asyncio.to_thread(
        subprocess.run, ["pdftotext", str(tmp_path / "page.pdf"), "-"], capture_output=True, text=True, check=True
    )
    for word in (
        "核酸检测证明",
        "Nucleic-acid test certificate",
        "张三",
        "ZHANG SAN",
        "阴性",
        "Not detected",
        "URN:UVCI",
    ):
        assert word in done.stdout
    assert NUMBER not in done.stdout


async def test_a_wrong_document_is_named_over_both_transports(gateway: Gateway) -> None:
    """As everywhere: the field and its reason."""
    metadata = [("authorization", f"Bearer {SIGNER.sign({})}")]
    request = pb.IssueCertificateRequest(document=document_message(1, NUMBER), region="999999")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.stub.IssueCertificate(request, metadata=metadata, timeout=15)
    assert grpc.StatusCode.INVALID_ARGUMENT == refused.value.code()
    assert "REGION_UNKNOWN" == (await gateway.issue(region="999999")).json()["violations"][0]["reason"]
