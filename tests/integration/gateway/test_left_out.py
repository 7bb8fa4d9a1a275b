"""A busy gateway leaves out what costs more than all the rest of an answer, names it, and has it again afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hutong.gateway.v1 import certificate_pb2, left_out_pb2
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub

from cli.certificates.signers import write_signer
from cli.main import main
from gateway.load.optional_parts import RETRY_SECONDS, OptionalParts
from gateway.metrics import LEFT_OUT
from gateway.passes.keys import KEY, kept_pass_keys
from gateway.settings import GatewaySettings
from services.certificates.trust import trust_of
from services.certificates.verification import verify
from services.runtime.metrics import CALLS_IN_FLIGHT
from services.runtime.resilience.overload import Overload, Weight
from tests.testkit.builders.tokens import Keys, issuers_file, jwks
from tests.testkit.fakes.mesh import DOCUMENT, NUMBER, PERSON, Mesh, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import PEOPLE, document_message
from tests.testkit.waiting import until

SIGNER = Keys()
HERE, HUNAN = "110000", "430000"
CONCURRENCY = 8
FORMAT = certificate_pb2.CertificateFormat
PART = left_out_pb2.OptionalPart
QR_SVG = PART.OPTIONAL_PART_QR_SVG
FORMATS = ["QR_SVG", "QR_PNG", "PDF"]
DRAWN = "qrSvg", "qrPng", "pdf"


@dataclass
class Gateway:
    """A gateway that issues passes, and certificates of Hunan, and takes few calls at once."""

    mesh: Mesh
    http: httpx.AsyncClient
    stub: Any
    folder: Path
    url: str

    async def ask(self, path: str, **body: Any) -> httpx.Response:
        """Asks as the holder of the tests' document."""
        headers = {"authorization": f"Bearer {SIGNER.sign()}"}
        return await self.http.post(path, json={"document": DOCUMENT, **body}, headers=headers)

    async def issue_pass(self) -> httpx.Response:
        """Asks for a pass."""
        return await self.ask("/v1/passes:issue", region=HERE)

    async def issue_certificate(self) -> Any:
        """Asks for a certificate in every form."""
        return (await self.ask("/v1/certificates:issue", region=HUNAN, formats=FORMATS)).json()

    @asynccontextmanager
    async def pressed(self) -> AsyncIterator[None]:
        """Has half as many codes under way as the gateway takes at once; none of them can be computed meanwhile."""
        self.mesh.gate = asyncio.Event()
        before = CALLS_IN_FLIGHT.value
        regions = ("120000", "130000", "140000", "150000")
        codes = [asyncio.create_task(self.ask("/v1/healthCode:show", region=region)) for region in regions]

        async def under_way() -> bool:
            return CALLS_IN_FLIGHT.value - before >= CONCURRENCY // 2

        try:
            await until(under_way, 60)
            yield
        finally:
            self.mesh.gate.set()
            self.mesh.gate = None
            assert [200] * len(codes) == [one.status_code for one in await asyncio.gather(*codes)]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """One person is known there, whose code is in the cache."""
    (tmp_path / "keys.json").write_bytes(jwks(SIGNER))
    kept_pass_keys(tmp_path)
    signers = tmp_path / "signers"
    write_signer(signers, HUNAN, datetime.now(UTC))
    settings = GatewaySettings(
        mesh_secret=SECRET,
        http_listen="127.0.0.1:0",
        issuers=str(issuers_file(tmp_path)),
        pass_key=str(tmp_path / KEY),
        certificate_signers=str(signers),
        audit=str(tmp_path / "audit"),
        concurrency=CONCURRENCY,
        compute_seconds=120.0,
        request_seconds=120.0,
    )
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    async with (
        serving(mesh, settings, sample_people=PEOPLE) as (http_port, grpc_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", timeout=120) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        stub = HealthCodeServiceStub(channel)
        gateway = Gateway(mesh, http, stub, signers, f"http://127.0.0.1:{http_port}")

        async def cached() -> bool:
            shown = await gateway.ask("/v1/healthCode:show", region=HERE)
            return shown.status_code == 200 and "CACHED" == shown.json()["freshness"]

        await until(cached, 60)
        yield gateway


async def test_a_pass_comes_without_its_picture_under_pressure_and_with_it_afterwards(gateway: Gateway) -> None:
    """What it says is whole: the pass, its time, the code. It names what is missing, in both languages, and when to ask
    again; nobody may keep it; and the next one, with nothing in the way, has its picture."""
    whole = (await gateway.issue_pass()).json()
    assert whole["qrSvg"].startswith("<svg")
    assert whole["leftOut"] is None
    counted = LEFT_OUT.counts.get(("QR_SVG",), 0)
    async with gateway.pressed():
        reply = await gateway.issue_pass()
        shown = await gateway.ask("/v1/healthCode:show", region=HERE)
    issued = reply.json()
    assert (200, None) == (reply.status_code, issued["qrSvg"])
    assert (["QR_SVG"], RETRY_SECONDS) == (issued["leftOut"]["parts"], issued["leftOut"]["retryAfter"])
    assert issued["leftOut"]["text"]["zh"].startswith("服务繁忙")
    assert "busy" in issued["leftOut"]["text"]["en"]
    assert issued["text"].startswith("HC1:")
    assert {**whole["code"], "freshness": "CACHED"} == {**issued["code"], "freshness": "CACHED"}
    assert "no-store" == reply.headers["cache-control"]
    assert counted + 1 == LEFT_OUT.counts["QR_SVG",]
    # A code has no such parts: it is shown whole.
    assert {**whole["code"], "freshness": "CACHED"} == shown.json()
    again = (await gateway.issue_pass()).json()
    assert again["qrSvg"].startswith("<svg")
    assert again["leftOut"] is None


async def test_the_same_over_grpc(gateway: Gateway) -> None:
    """Each field that is empty has its part named, of a pass as of a certificate."""
    metadata = [("authorization", f"Bearer {SIGNER.sign()}")]
    wanted = certificate_pb2.IssueCertificateRequest(
        document=document_message(), region=HUNAN, formats=FORMAT.values()[1:]
    )
    request = pb.IssuePassRequest(document=document_message(), region=HERE)
    async with gateway.pressed():
        issued = await gateway.stub.IssuePass(request, timeout=120, metadata=metadata)
        certificate = await gateway.stub.IssueCertificate(wanted, timeout=120, metadata=metadata)
    assert ("", [QR_SVG], RETRY_SECONDS) == (
        issued.qr_svg,
        list(issued.left_out.parts),
        issued.left_out.retry_after.seconds,
    )
    assert ("", b"", b"") == (certificate.qr_svg, certificate.qr_png, certificate.pdf)
    assert [1, 2, 3] == list(certificate.left_out.parts)
    issued = await gateway.stub.IssuePass(request, timeout=120, metadata=metadata)
    assert (True, False) == (bool(issued.qr_svg), issued.HasField("left_out"))


async def test_a_certificate_is_whole_without_its_pictures(gateway: Gateway) -> None:
    """Its text is what any verifier reads; what nobody asked for is not said to be left out."""
    async with gateway.pressed():
        issued = await gateway.issue_certificate()
        plain = (await gateway.ask("/v1/certificates:issue", region=HUNAN)).json()
    assert (None, None, None) == tuple(issued[form] for form in DRAWN)
    assert FORMATS == issued["leftOut"]["parts"]
    assert verify(issued["text"], trust_of(gateway.folder), datetime.now(UTC)).contents.t is not None
    assert plain["leftOut"] is None
    again = await gateway.issue_certificate()
    assert all(again[form] for form in DRAWN)
    assert again["leftOut"] is None


async def test_the_command_waits_for_the_page(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why, waits as long as it is told to, and writes the page that comes then; or says that none came."""
    waited: list[float] = []
    monkeypatch.setattr("cli.commands.certificate.time.sleep", waited.append)
    page = tmp_path / "page.pdf"
    arguments = ["certificate", "issue", "--gateway", gateway.url, "--token", SIGNER.sign(), "--region", HUNAN]
    arguments += ["--type", "RESIDENT_ID", "--document", NUMBER, "--pdf", str(page)]
    async with gateway.pressed():
        status = await asyncio.to_thread(main, arguments)
    said = capsys.readouterr()
    assert (4, False, [RETRY_SECONDS] * 5) == (status, page.exists(), waited)
    assert said.out.startswith("HC1:")
    assert "was not written" in said.err
    assert 0 == await asyncio.to_thread(main, arguments)
    assert page.read_bytes().startswith(b"%PDF")


async def test_so_many_wait_and_no_more() -> None:
    """One is made at a time; who finds as many waiting as may goes without, and the next after them does not."""
    optional = OptionalParts(Overload(), most_waiting=2)
    made: list[int] = []

    def draw(at: int) -> int:
        made.append(at)
        return at

    parts = [asyncio.create_task(optional.make(QR_SVG, partial(draw, at))) for at in range(5)]
    answers = await asyncio.gather(*parts)
    assert [0, 1, 2, None, None] == answers
    assert [0, 1, 2] == made
    assert "again" == await optional.make(QR_SVG, lambda: "again")


async def test_a_part_that_fails_holds_up_nobody() -> None:
    """Its error is its caller's alone."""
    optional = OptionalParts(Overload(), most_waiting=0)

    def fail() -> str:
        raise ValueError("no picture")

    for _ in range(2):
        with pytest.raises(ValueError, match="no picture"):
            await optional.make(QR_SVG, fail)
    assert "made" == await optional.make(QR_SVG, lambda: "made")


def test_parts_go_before_any_call_is_refused() -> None:
    """Pressed at half, while heavy and light calls are still let in; whole again when it is less."""
    overload = Overload(8)
    for _ in range(3):
        overload.begin(Weight.LIGHT)
    assert not overload.pressed
    overload.begin(Weight.LIGHT)
    assert overload.pressed
    assert not overload.full(Weight.LIGHT)
    assert not overload.full(Weight.HEAVY)
    overload.end(Weight.LIGHT)
    assert not overload.pressed
