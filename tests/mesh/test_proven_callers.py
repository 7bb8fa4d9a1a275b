"""A mesh whose services prove their names: on whose behalf, tokens beside certificates, and renewal under load."""

import asyncio
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
from services.runtime.tls.credentials import channel_credentials
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import ANONYMOUS, Principal, principal

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
    """Every certificate is replaced, three times, while codes are computed past the cache: no call fails."""
    from cli.mesh.certificates import write_mesh_certificates

    document = {"type": "RESIDENT_ID", "number": PEOPLE[0].document.number}
    issuer = DevelopmentIssuer(mesh.plan.data / "development")
    headers = {"authorization": f"Bearer {issuer.token({'role': 'holder', 'document': document})}"}
    statuses: list[int] = []
    ended = asyncio.Event()

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=mesh.http, timeout=10, headers=headers) as client:
            while not ended.is_set():
                body = {"document": document, "region": BEIJING, "refresh": True}
                statuses.append((await client.post("/v1/healthCode:show", json=body)).status_code)

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    for _ in range(3):
        await asyncio.sleep(1.5)
        write_mesh_certificates(mesh.plan.data)
    await asyncio.sleep(2.5)
    ended.set()
    await asyncio.gather(*asking)
    assert {200} == set(statuses)
    assert 100 < len(statuses)
