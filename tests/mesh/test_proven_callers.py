"""A mesh whose services prove their names: on whose behalf, tokens beside certificates, and renewal under load."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.gateway.v1.health_code_service_pb2 import HealthCodeQuery, ShowHealthCodeRequest
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hutong.verdict.v1.verdict_service_pb2 import ComputeVerdictRequest, VerdictQuery
from hutong.verdict.v1.verdict_service_pb2_grpc import VerdictServiceStub

from cli.certificates.authority import utc_now
from cli.certificates.development import TRUST, certificate_folder, write_certificates
from cli.diagnosis.asking import Addresses, ask_all
from cli.diagnosis.judgement import findings
from cli.mesh import processes
from cli.mesh.per_process import ProcessMesh
from cli.mesh.plan import PRINCIPALS, system_of
from cli.samples.people import PEOPLE
from gateway.identity.development import DevelopmentIssuer
from services.common.documents import PersonKeys
from services.common.regions import NATION
from services.runtime.audit.entry import Entry
from services.runtime.audit.opening import keeper_of
from services.runtime.audit.trail import search
from services.runtime.settings.directory import read_directory
from services.runtime.tls.credentials import channel_credentials
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import ANONYMOUS, Principal, principal
from tests.testkit.faults.recording import Measured
from tests.testkit.servers.second_gateway import SecondGateway

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(300)]

BEIJING = "110000"
STRANGER = principal("mesh/stranger")
OTHER = {"type": "PASSPORT", "number": "E12345678"}


def material(folder: Path, name: Principal) -> TlsFiles:
    """Returns the certificate of a name."""
    own = certificate_folder(folder, name)
    return TlsFiles(own / "tls.crt", own / "tls.key", folder / TRUST)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A mesh whose services prove their names, with its sample people."""
    data = tmp_path_factory.mktemp("proven")
    async with processes(data, samples=True, tls=True) as mesh:
        write_certificates(data / "certificates", [STRANGER], now=utc_now())
        yield mesh


def trail(mesh: ProcessMesh, service: str) -> list[Entry]:
    """Returns what a service has written down."""
    folder = mesh.plan.data / "audit" / service
    return [entry for _, entry in search(folder, keeper_of(folder).name)]


@pytest.mark.asyncio(loop_scope="module")
async def test_on_whose_behalf_stands_in_every_trail(mesh: ProcessMesh) -> None:
    """A holder asks the gateway; verdict, lookup and the stores write down the holder beside the service that called.
    What a region's system says of others is not believed."""
    person = PEOPLE[0]
    document = {"type": "RESIDENT_ID", "number": person.number}
    issuer = DevelopmentIssuer(mesh.plan.data / "development")
    headers = {"authorization": f"Bearer {issuer.token({'role': 'holder', 'document': document})}"}
    async with httpx.AsyncClient(base_url=mesh.http, timeout=10) as client:
        asked: dict[str, Any] = {"document": document, "region": BEIJING, "refresh": True}
        assert 200 == (await client.post("/v1/healthCode:show", json=asked, headers=headers)).status_code
        assert 401 == (await client.post("/v1/healthCode:show", json=asked)).status_code
        assert 403 == (await client.post("/v1/results:list", json={"document": OTHER}, headers=headers)).status_code
    key = PersonKeys(mesh.plan.secret.encode()).of(person.document)
    holder = principal(f"holder/{key.hex()}")
    told = {(one.caller, one.outcome) for one in trail(mesh, "gateway") if key.hex() in one.persons}
    assert {(holder, "OK"), (ANONYMOUS, "TOKEN_MISSING")} == told
    for service, caller in (("verdict", "mesh/gateway"), ("lookup", "mesh/verdict"), (NATION, "mesh/lookup")):
        said = {(one.caller, one.users) for one in trail(mesh, service) if key.hex() in one.persons}
        assert (principal(caller), (holder,)) in said, service
    system = system_of(BEIJING)
    credentials, override = channel_credentials(
        material(mesh.plan.data / "certificates", system).current(), PRINCIPALS["verdict"]
    )
    async with grpc.aio.secure_channel(mesh.grpc["verdict"], credentials, options=[override]) as channel:
        query = VerdictQuery(subject=Subject(document=person.document), region=BEIJING)
        request = ComputeVerdictRequest(query=query, purpose=Purpose.PURPOSE_REGIONAL_SERVICE)
        call: Any = VerdictServiceStub(channel)
        await call.ComputeVerdict(request, metadata=[("hutong-users", holder)], timeout=10)
    assert (system, ()) in {(one.caller, one.users) for one in trail(mesh, "verdict")}
    assert (principal("mesh/verdict"), (system,)) in {(one.caller, one.users) for one in trail(mesh, "lookup")}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_token_counts_beside_a_certificate(mesh: ProcessMesh) -> None:
    """Over gRPC the token's name is judged, whoever's certificate carries it; without it, the certificate's."""
    person = PEOPLE[0]
    issuer = DevelopmentIssuer(mesh.plan.data / "development")
    query = HealthCodeQuery(document=person.document, region=BEIJING)
    credentials, override = channel_credentials(
        material(mesh.plan.data / "certificates", STRANGER).current(), PRINCIPALS["gateway"]
    )
    own = {"type": "RESIDENT_ID", "number": person.number}
    codes = []
    async with grpc.aio.secure_channel(mesh.grpc["gateway"], credentials, options=[override]) as channel:
        stub: Any = HealthCodeServiceStub(channel)
        for document in (own, OTHER, None):
            token = document and issuer.token({"role": "holder", "document": document})
            metadata = [("authorization", f"Bearer {token}")] if token else []
            codes.append(await stub.ShowHealthCode(ShowHealthCodeRequest(query=query), metadata=metadata).code())
    denied = grpc.StatusCode.PERMISSION_DENIED
    assert [grpc.StatusCode.OK, denied, denied] == codes


@pytest.mark.asyncio(loop_scope="module")
async def test_certificates_are_renewed_under_load(mesh: ProcessMesh) -> None:
    """Every certificate is replaced, three times, while codes are computed past the cache by two gateways, of which the
    second takes each new certificate later: no call fails. So it is with the key of tokens: each gateway signs and
    believes by the file that it has."""
    from cli.mesh.certificates import write_mesh_certificates

    document = {"type": "RESIDENT_ID", "number": PEOPLE[0].document.number}
    issuer = DevelopmentIssuer(mesh.plan.data / "development")
    headers = {"authorization": f"Bearer {issuer.token({'role': 'holder', 'document': document})}"}
    statuses: list[int] = []
    ended = asyncio.Event()

    async def ask(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30, headers=headers) as client:
            while not ended.is_set():
                body = {"document": document, "region": BEIJING, "refresh": True}
                statuses.append((await client.post("/v1/healthCode:show", json=body)).status_code)

    async with SecondGateway(mesh).running() as second:
        asking = [asyncio.create_task(ask(url)) for url in (mesh.http, second.http) * 2]
        for _ in range(3):
            await asyncio.sleep(1.0)
            issuer.rotate()
            write_mesh_certificates(mesh.plan.data)
            await asyncio.sleep(1.0)
            second.take()
        await asyncio.sleep(2.5)
        ended.set()
        await asyncio.gather(*asking)
        newest = {"authorization": f"Bearer {issuer.token({'role': 'holder', 'document': document})}"}
        for url in (mesh.http, second.http):
            async with httpx.AsyncClient(base_url=url, timeout=30, headers=newest) as client:
                asked = {"document": document, "region": BEIJING}
                assert 200 == (await client.post("/v1/healthCode:show", json=asked)).status_code
    assert {200} == set(statuses)
    assert 100 < len(statuses)


@pytest.mark.asyncio(loop_scope="module")
async def test_certificates_that_have_ended_name_their_services_and_a_renewal_heals(
    mesh: ProcessMesh, measured: Measured
) -> None:
    """A region's and verdict's: no code is false meanwhile, doctor says whose ended, and nobody is restarted."""
    folder = mesh.plan.data / "certificates"
    ended = {BEIJING: PRINCIPALS[BEIJING], "verdict": PRINCIPALS["verdict"]}
    person = PEOPLE[0]
    document = {"type": "RESIDENT_ID", "number": person.document.number}
    issuer = DevelopmentIssuer(mesh.plan.data / "development")
    headers = {"authorization": f"Bearer {issuer.token({'role': 'holder', 'document': document})}"}

    async def code() -> tuple[str, str, str]:
        """Its status, its freshness, and what coverage says of the region."""
        body = {"document": document, "region": BEIJING, "refresh": True}
        async with httpx.AsyncClient(base_url=mesh.http, timeout=30, headers=headers) as client:
            reply = (await client.post("/v1/healthCode:show", json=body)).json()
        covered = {one["source"]: one["status"] for one in reply.get("coverage", [])}
        return reply.get("status", ""), reply.get("freshness", ""), covered.get(BEIJING, "")

    async def until(what: Callable[[tuple[str, str, str]], bool]) -> tuple[str, str, str]:
        async with asyncio.timeout(120):
            while not what(shown := await code()):
                assert shown[0] in (right[0], "UNDETERMINED", ""), shown
                measured.of().saw(f"{shown[0] or 'an error'}, {shown[1] or 'none'}")
                await asyncio.sleep(0.5)
        return shown

    async def doctor() -> set[tuple[str, str]]:
        members = read_directory(str(mesh.plan.directory))
        addresses = Addresses(
            mesh.endpoints.lookup,
            mesh.endpoints.verdict,
            of_lookup=material(folder, PRINCIPALS["lookup"]),
            of_gateway=material(folder, PRINCIPALS["gateway"]),
        )
        found = findings(members, await ask_all(members, addresses), None)
        return {(one.subject, one.reason) for one in found if one.reason.startswith("CERTIFICATE")}

    async with asyncio.timeout(120):
        while ("COMPUTED", "OK") != (right := await code())[1:]:
            await asyncio.sleep(0.5)
    assert set() == await doctor()
    write_certificates(folder, ended.values(), now=utc_now() - timedelta(days=1), days=0.5)
    # Connections that are open live on for half a minute.
    await until(lambda shown: shown[1] != "COMPUTED")
    async with asyncio.timeout(30):
        while {(name, "CERTIFICATE_ENDED") for name in ended} != await doctor():
            await asyncio.sleep(0.5)
    write_certificates(folder, [ended["verdict"]], now=utc_now())
    shown = await until(lambda shown: "UNREACHABLE" == shown[2])
    assert "UNDETERMINED" == shown[0] or right[0] == shown[0]
    write_certificates(folder, [ended[BEIJING]], now=utc_now())
    renewed = time.monotonic()
    assert right == await until(lambda shown: shown == right)
    measured.of().took(time.monotonic() - renewed)
    assert set() == await doctor()
