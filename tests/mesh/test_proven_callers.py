"""A mesh whose services prove their names: who may call what, and certificates renewed under load."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.gateway.v1.health_code_service_pb2 import HealthCodeQuery, ShowHealthCodeRequest
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hutong.verdict.v1.verdict_service_pb2 import ComputeVerdictRequest, VerdictQuery
from hutong.verdict.v1.verdict_service_pb2_grpc import VerdictServiceStub

from cli.certificates.authority import utc_now
from cli.certificates.development import TRUST, certificate_folder, write_certificates
from cli.mesh import processes
from cli.mesh.per_process import ProcessMesh
from cli.mesh.plan import OPERATOR, PRINCIPALS, SUPERVISOR, system_of
from cli.samples.people import PEOPLE
from gateway.identity.development import DevelopmentIssuer
from services.common.documents import PersonKeys
from services.common.regions import NATION
from services.runtime.access.contracts import methods
from services.runtime.access.table import read_table
from services.runtime.audit.entry import Entry
from services.runtime.audit.opening import keeper_of
from services.runtime.audit.trail import search
from services.runtime.rpc.port import request_class
from services.runtime.tls.credentials import channel_credentials
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import ANONYMOUS, Principal, principal

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(300)]

TABLE = read_table()
HUNAN, BEIJING = "430000", "110000"
LABORATORY = principal(f"region/{HUNAN}/laboratory/xiangya")
STRANGER = principal("mesh/stranger")
CALLERS = (*(PRINCIPALS[name] for name in ("gateway", "verdict", "lookup", NATION, HUNAN)), system_of(HUNAN))
CALLERS = (*CALLERS, system_of(BEIJING), LABORATORY, SUPERVISOR, OPERATOR, STRANGER)
OTHER = {"type": "PASSPORT", "number": "E12345678"}
SERVERS = {"gateway": ["gateway"], "verdict": ["verdict"], "lookup": ["lookup"], "records": [HUNAN, NATION]}


def material(folder: Path, name: Principal) -> TlsFiles:
    """Returns the certificate of a name."""
    own = certificate_folder(folder, name)
    return TlsFiles(own / "tls.crt", own / "tls.key", folder / TRUST)


def requests(name: str, message: type[Message]) -> Iterator[tuple[Message, int, list[tuple[str, str]]]]:
    """Yields requests for a method: for each purpose there is, about Hunan and about Beijing."""
    rule = TABLE.rules[name]
    purposes = [number for number in Purpose.values() if number] if rule.purposes else [0]
    for purpose in purposes:
        for region in (HUNAN, BEIJING) if rule.regions else ("",):
            request: Any = message()
            if purpose:
                request.purpose = purpose
            for path in rule.regions:
                fill(request, path.split("."), region)
            yield request, purpose, [(path, region) for path in rule.regions]


def fill(message: Any, path: list[str], region: str) -> None:
    """Puts a region where a path says."""
    field = message.DESCRIPTOR.fields_by_name[path[0]]
    value = getattr(message, path[0])
    if len(path) == 1 and field.is_repeated:
        value.append(region)
    elif len(path) == 1:
        setattr(message, path[0], region)
    else:
        fill(value.add() if field.is_repeated else value, path[1:], region)


async def is_denied(call: Any, name: str, request: Message, *, streams: bool) -> bool:
    """Returns whether a call is denied; any other answer, also an error, says that it was admitted."""
    try:
        if streams:
            async for _ in call(iter([request]) if name.endswith("StreamRecords") else request, timeout=0.5):
                break
        else:
            await call(request, timeout=5)
    except grpc.aio.AioRpcError as error:
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
            raise AssertionError(f"{name}: {error.details()}") from None
        return error.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
    return False


def stub(channel: grpc.aio.Channel, name: str, method: Any) -> Any:
    """Returns a function that calls a method."""
    make: Any = channel.unary_unary
    if method.server_streaming:
        make = channel.stream_stream if method.client_streaming else channel.unary_stream
    serialise = request_class(method).SerializeToString
    return make(f"/{name}", request_serializer=serialise, response_deserializer=bytes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A mesh whose services prove their names, with its sample people."""
    data = tmp_path_factory.mktemp("proven")
    async with processes(data, samples=True, tls=True) as mesh:
        write_certificates(data / "certificates", [LABORATORY, STRANGER], now=utc_now())
        yield mesh


@pytest.mark.asyncio(loop_scope="module")
async def test_every_method_as_every_caller_is_as_the_table_says(mesh: ProcessMesh) -> None:
    """For each purpose, about the caller's own region and another: denied where the table says so, and nowhere else."""
    folder = mesh.plan.data / "certificates"
    wrong, asked = [], 0
    for caller in CALLERS:
        for part, servers in SERVERS.items():
            for server in servers:
                here = {HUNAN: {HUNAN}, NATION: set(mesh.plan.keeps(NATION))}.get(server, set())
                credentials, override = channel_credentials(material(folder, caller).current(), PRINCIPALS[server])
                async with grpc.aio.secure_channel(mesh.grpc[server], credentials, options=[override]) as channel:
                    for name, method in methods():
                        if not name.startswith(f"hutong.{part}."):
                            continue
                        call = stub(channel, name, method)
                        for request, purpose, regions in requests(name, request_class(method)):
                            about = regions
                            if not about and here and caller.split("/")[4:5] != [] and caller.split("/")[4] not in here:
                                about = [("", "")]
                            expected = TABLE.check(caller, name, purpose, about) is not None
                            asked += 1
                            if await is_denied(call, name, request, streams=method.server_streaming) != expected:
                                wrong.append((caller, server, name, purpose, regions, expected))
    assert [] == wrong
    assert 2_000 < asked


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
