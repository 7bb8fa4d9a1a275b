"""Every method of every service and every route of the gateway as every principal, on a mesh with mutual TLS and
tokens, in one process and in many: what the table allows is admitted, and nothing else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import DocumentType, Purpose

from cli.certificates.authority import kept_authority, make_authority, utc_now
from cli.certificates.development import TRUST, certificate_folder, write_certificates
from cli.mesh import embedded, processes
from cli.mesh.per_process import ProcessMesh
from cli.mesh.plan import OPERATOR, PRINCIPALS, SUPERVISOR, system_of
from cli.samples.people import PEOPLE
from gateway.identity.development import DevelopmentIssuer
from services.common.documents import PersonKeys
from services.common.regions import NATION
from services.runtime.access.contracts import methods
from services.runtime.access.table import read_table
from services.runtime.rpc.port import request_class
from services.runtime.tls.credentials import channel_credentials
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import ANONYMOUS, Principal, principal, region_of
from tests.testkit.gateway_calls import HERE, Person, cases, expected_over_http, outcome_of_status, over_http
from tests.testkit.gateway_calls import Case as GatewayCase
from tests.testkit.golden.scenario import RunningMesh

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(300)]

TABLE = read_table()
HUNAN, BEIJING, NOT_ON_THE_MESH = "430000", "110000", "420000"
LABORATORY = principal(f"region/{HUNAN}/laboratory/xiangya")
STRANGER = principal("mesh/stranger")
VENUE = principal(f"region/{HUNAN}/venue/gate")
GUARDIAN = principal("guardian/" + "0" * 32)
SYSTEMS = tuple(map(system_of, (HUNAN, BEIJING, NOT_ON_THE_MESH)))
CALLERS = (*(PRINCIPALS[name] for name in ("gateway", "verdict", "lookup", NATION, HUNAN)), *SYSTEMS)
CALLERS = (*CALLERS, LABORATORY, VENUE, GUARDIAN, SUPERVISOR, OPERATOR, STRANGER)
SECONDS, SILENT_SECONDS = 60.0, 5.0
SERVERS = ("gateway", "verdict", "lookup", HUNAN, NATION)


class Case(NamedTuple):
    """One call, and whether the table denies it."""

    caller: Principal
    server: str
    method: str
    purpose: int
    fields: tuple[tuple[str, str], ...]
    denied: bool


def methods_of(mesh: RunningMesh, server: str) -> Iterator[tuple[str, MethodDescriptor]]:
    """Yields the methods that a server serves; in a mesh of processes the nation's store is a witness as well."""
    parts = {"records"} if server in PRINCIPALS.keys() - {"gateway", "verdict", "lookup"} else {server}
    if server == NATION and isinstance(mesh, ProcessMesh):
        parts.add("audit")
    return ((name, method) for name, method in methods() if name.split(".")[1] in parts)


def material(folder: Path, name: Principal) -> TlsFiles:
    """Returns the certificate of a name."""
    own = certificate_folder(folder, name)
    return TlsFiles(own / "tls.crt", own / "tls.key", folder / TRUST)


Fields = list[tuple[str, str]]


def requests(name: str, message: type[Message]) -> Iterator[tuple[Message, int, Fields, Fields]]:
    """Yields requests for a method, with the regions and laboratories they name: for each purpose there is, about Hunan
    and about Beijing, as the laboratory that calls, as another and as none."""
    rule = TABLE.rules[name]
    purposes = [number for number in Purpose.values() if number] if rule.purposes else [0]
    for purpose in purposes:
        regions = (HUNAN, BEIJING) if rule.regions else ("",)
        laboratories = ("", "430000-xiangya", "430000-xiangya-2") if rule.laboratories else ("",)
        for region, laboratory in product(regions, laboratories):
            request: Any = message()
            if purpose:
                request.purpose = purpose
            for path in rule.regions:
                fill(request, path.split("."), region)
            for path in rule.laboratories:
                fill(request, path.split("."), laboratory)
            yield (
                request,
                purpose,
                [(path, region) for path in rule.regions],
                [(path, laboratory) for path in rule.laboratories],
            )


def fill(message: Any, path: list[str], region: str) -> None:
    """Puts a region, or a laboratory, where a path says; into the one row of a batch."""
    field = message.DESCRIPTOR.fields_by_name[path[0]]
    value = getattr(message, path[0])
    if len(path) == 1 and field.is_repeated:
        value.append(region)
    elif len(path) == 1:
        setattr(message, path[0], region)
    else:
        fill((value[0] if value else value.add()) if field.is_repeated else value, path[1:], region)


async def is_denied(call: Any, name: str, request: Message, *, streams: bool, seconds: float) -> bool:
    """Returns whether a call is denied; any other answer, also an error, says that it was admitted."""
    try:
        if streams:
            async for _ in call(iter([request]) if name.endswith("StreamRecords") else request, timeout=seconds):
                break
        else:
            await call(request, timeout=seconds)
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


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["one-process", "process-per-service"])
async def mesh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    """A mesh whose services prove their names, with its sample people."""
    data = tmp_path_factory.mktemp("principals")
    async with (embedded if request.param == "one-process" else processes)(data, samples=True, tls=True) as mesh:
        write_certificates(data / "certificates", [LABORATORY, VENUE, GUARDIAN, STRANGER], now=utc_now())
        yield mesh


@pytest.mark.asyncio(loop_scope="module")
async def test_every_method_as_every_caller_is_as_the_table_says(mesh: RunningMesh) -> None:
    """For each purpose, about the caller's own region and another: denied where the table says so, and nowhere else."""
    folder = mesh.plan.data / "certificates"
    at_once = asyncio.Semaphore(8)

    async def wrong_with(call: Any, about: Case, request: Message, *, streams: bool) -> Case | None:
        # A watch that is admitted has nothing to say: all of them wait for that together. A denial is waited for.
        silent = "/Watch" in about.method and not about.denied
        async with contextlib.nullcontext() if silent else at_once:
            seconds = SILENT_SECONDS if silent else SECONDS
            denied = await is_denied(call, about.method, request, streams=streams, seconds=seconds)
        return None if denied == about.denied else about

    async with AsyncExitStack() as stack:
        calls = []
        for caller, server in product(CALLERS, SERVERS):
            here = {HUNAN: {HUNAN}, NATION: set(mesh.plan.keeps(NATION))}.get(server, set())
            credentials, override = channel_credentials(material(folder, caller).current(), PRINCIPALS[server])
            channel = grpc.aio.secure_channel(mesh.grpc[server], credentials, options=[override])
            await stack.enter_async_context(channel)
            for name, method in methods_of(mesh, server):
                call = stub(channel, name, method)
                for request, purpose, regions, said in requests(name, request_class(method)):
                    about = regions
                    if not about and here and here != {region_of(caller)}:
                        about = [("", "")]
                    denied = TABLE.check(caller, name, purpose, about, laboratories=partial(iter, said)) is not None
                    case = Case(caller, server, name, purpose, (*regions, *said), denied)
                    calls.append(wrong_with(call, case, request, streams=method.server_streaming))
        answers = await asyncio.gather(*calls)
    assert [] == [case for case in answers if case is not None]
    assert 2_000 < len(answers)


ROLES: dict[str, Any] = {
    "guardian": {"role": "guardian", "dependants": [{"type": "PASSPORT", "number": "G7654321"}]},
    "holder": {"role": "holder"},
    "laboratory": {"role": "laboratory", "region": HERE, "sub": "lab"},
    "operator": {"role": "operator", "sub": "one"},
    "supervisor": {"role": "supervisor", "sub": "one"},
    "venue": {"role": "venue", "region": HERE, "sub": "gate"},
    "nobody": None,
    "expired": {"role": "supervisor", "sub": "one", "exp": int(time.time()) - 600},
    "of another audience": {"role": "supervisor", "sub": "one", "aud": "another-gateway"},
}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_route_as_every_token_is_as_the_table_says(mesh: RunningMesh) -> None:
    """About oneself and another, in two regions, for each purpose; an expired token and one for somebody else are
    nobody's, also where nobody would be answered."""
    keys = PersonKeys(mesh.plan.secret.encode())
    documents = [{"type": "RESIDENT_ID", "number": PEOPLE[0].number}, {"type": "PASSPORT", "number": "E12345678"}]
    people = [
        Person(one, keys.of_number(DocumentType.Value(f"DOCUMENT_TYPE_{one['type']}"), one["number"]))
        for one in documents
    ]
    issuer = DevelopmentIssuer(Path(mesh.plan.development))
    at_once = asyncio.Semaphore(8)

    async with httpx.AsyncClient(base_url=mesh.http, timeout=30) as client:

        async def wrong_with(role: str, headers: dict[str, str], allowed: str, case: GatewayCase) -> Any:
            method, path, body = over_http(case)
            stated = {**headers, "hutong-purpose": case.word} if case.word else headers
            async with at_once:
                reply = await client.request(method, path, json=body, headers=stated)
            assert reply.status_code != 500
            said = outcome_of_status(reply.status_code)
            return None if said == allowed else (role, case.method, case.word, case.region, allowed, said)

        calls = []
        for role, claims in ROLES.items():
            caller, own = ANONYMOUS, tuple[bytes, ...]()
            headers = {}
            if claims is not None:
                shown = {"document": documents[0]} if claims["role"] in ("holder", "guardian") else {}
                headers["authorization"] = f"Bearer {issuer.token({**claims, **shown})}"
                own = (people[0].key,) if shown else ()
                path = f"{claims['role']}/{own[0].hex() if own else claims['sub']}"
                caller = principal(f"region/{HERE}/{path}" if "region" in claims else path)
            for case in cases(*people):
                # Of the four pairs of person and region, the one that is neither's tells nothing more.
                if case.person.key != people[0].key and case.region != HERE:
                    continue
                bad = bool({"exp", "aud"} & set(claims or ()))
                allowed = "unauthenticated" if bad else expected_over_http(caller, own, case)
                calls.append(wrong_with(role, headers, allowed, case))
        answers = await asyncio.gather(*calls)
    assert [] == [answer for answer in answers if answer is not None]
    assert 2_000 < len(answers)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("shown", ["no certificate", "expired", "of another authority", "of a region's authority"])
async def test_every_method_of_whoever_proves_no_name_is_refused(mesh: RunningMesh, shown: str, tmp_path: Path) -> None:
    """None of them gets as far as a request; a token in the metadata changes nothing."""
    certificates, gateway = mesh.plan.data / "certificates", PRINCIPALS["gateway"]
    trust = certificates / TRUST
    own = tmp_path / "own"
    if shown == "expired":
        write_by(certificates / "authorities" / "mesh", gateway, own, timedelta(days=2))
    elif shown == "of another authority":
        make_authority("hutong mesh", utc_now()).issue(gateway, own, days=1, now=utc_now())
    elif shown == "of a region's authority":
        write_by(certificates / "authorities" / f"region-{HUNAN}", gateway, own)
    token = DevelopmentIssuer(Path(mesh.plan.development)).token({"role": "supervisor", "sub": "one"})
    wrong = []
    for server in SERVERS:
        if shown == "no certificate":
            roots = (trust / ("mesh.pem" if server != HUNAN else f"region-{HUNAN}.pem")).read_bytes()
            credentials = grpc.ssl_channel_credentials(roots)
            _, override = channel_credentials(material(certificates, gateway).current(), PRINCIPALS[server])
        else:
            files = TlsFiles(own / "tls.crt", own / "tls.key", trust)
            credentials, override = channel_credentials(files.current(), PRINCIPALS[server])
        async with grpc.aio.secure_channel(mesh.grpc[server], credentials, options=[override]) as channel:
            for name, method in methods_of(mesh, server):
                call = stub(channel, name, method)
                request = request_class(method)()
                code = await code_of(call, name, request, token, streams=method.server_streaming)
                if code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED):
                    wrong.append((server, name, code))
    assert [] == wrong


async def code_of(call: Any, name: str, request: Message, token: str, *, streams: bool) -> grpc.StatusCode:
    """Returns the code that a call with a token ends with."""
    metadata = [("authorization", f"Bearer {token}")]
    try:
        if streams:
            asked = iter([request]) if name.endswith("StreamRecords") else request
            async for _ in call(asked, metadata=metadata, timeout=30):
                break
        else:
            await call(request, metadata=metadata, timeout=30)
    except grpc.aio.AioRpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def write_by(authority: Path, name: Principal, folder: Path, ago: timedelta = timedelta(0)) -> None:
    """Writes a certificate of a name by an authority that is kept in a folder, made so long ago for a day."""
    kept_authority(authority, "hutong", utc_now()).issue(name, folder, days=1, now=utc_now() - ago)
