"""Every route and method of the gateway as every role, about own and other people and regions, against the table."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub

from gateway.settings import GatewaySettings
from services.common.documents import PersonKeys
from services.runtime.access.table import read_table
from services.runtime.rpc.port import request_class
from services.runtime.tls.identity import ANONYMOUS, principal
from tests.testkit.builders.tokens import NAME, Keys, issuers_file, jwks
from tests.testkit.fakes.mesh import DOCUMENT, PERSON, Mesh, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import BODY, SHOW

CONTRACT = pb.DESCRIPTOR.services_by_name["HealthCodeService"]
TABLE = read_table()
SIGNER = Keys()
OTHER = {"type": "PASSPORT", "number": "E12345678"}
OTHER_KEY = PersonKeys(SECRET.encode()).of_number(DocumentType.DOCUMENT_TYPE_PASSPORT, OTHER["number"])
DOCUMENTS = {PERSON: Document(type=1, number=DOCUMENT["number"]), OTHER_KEY: Document(type=2, number=OTHER["number"])}  # type: ignore[arg-type]
JSON = {PERSON: DOCUMENT, OTHER_KEY: OTHER}
HERE, THERE = "110000", "430000"
DEFAULTS = {"ClaimResult": Purpose.PURPOSE_HOLDER_DECISION, "SwitchScope": Purpose.PURPOSE_HOLDER_DECISION}
ROLES: dict[str, tuple[str, dict[str, Any] | None, tuple[bytes, ...]]] = {
    "holder": (principal(f"holder/{PERSON.hex()}"), {}, (PERSON,)),
    "guardian": (
        principal(f"guardian/{OTHER_KEY.hex()}"),
        {"role": "guardian", "document": OTHER, "dependants": [DOCUMENT]},
        (OTHER_KEY, PERSON),
    ),
    "venue": (principal(f"region/{HERE}/venue/gate"), {"role": "venue", "region": HERE, "sub": "gate"}, ()),
    "laboratory": (
        principal(f"region/{HERE}/laboratory/lab"),
        {"role": "laboratory", "region": HERE, "sub": "lab"},
        (),
    ),
    "supervisor": (principal("supervisor/one"), {"role": "supervisor", "sub": "one"}, ()),
    "operator": (principal("operator/one"), {"role": "operator", "sub": "one"}, ()),
    "nobody": (ANONYMOUS, None, ()),
}
ALL_ROLES = ["holder", "guardian", "venue", "laboratory", "supervisor", "operator"]


class Gateway:
    """A gateway that trusts one issuer, over both transports."""

    def __init__(self, http: httpx.AsyncClient, stub: Any, folder: Path) -> None:
        self.http = http
        self.stub = stub
        self.folder = folder

    async def over_grpc(self, name: str, request: Any, token: str | None) -> grpc.StatusCode:
        """Returns the code that a call ends with."""
        metadata = [("hutong-caller", "test"), *([("authorization", f"Bearer {token}")] if token else [])]
        try:
            await getattr(self.stub, name)(request, metadata=metadata, timeout=10)
        except grpc.aio.AioRpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return grpc.StatusCode.OK

    async def over_http(self, method: str, path: str, body: Any, token: str | None, purpose: str) -> httpx.Response:
        """Returns the answer to a request."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if purpose:
            headers["hutong-purpose"] = purpose
        return await self.http.request(method, path, json=body, headers=headers)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway over a mesh in miniature that believes one issuer."""
    (tmp_path / "keys.json").write_bytes(jwks(SIGNER))
    settings = GatewaySettings(
        mesh_secret=SECRET, http_listen="127.0.0.1:0", issuers=str(issuers_file(tmp_path, roles=ALL_ROLES))
    )
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    async with (
        serving(mesh, settings) as (http_port, grpc_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        yield Gateway(http, HealthCodeServiceStub(channel), tmp_path)


OPEN = {"ListRegions", "GetTrustBundle"}
"""What is about nobody, and answered to anybody."""


def bodies(person: dict[str, str], region: str) -> dict[str, tuple[str, str, Any]]:
    """Returns the request of every method over HTTP."""
    query = {"document": person, "region": region}
    return {
        "ShowHealthCode": ("POST", SHOW, query),
        "BatchShowHealthCodes": ("POST", "/v1/healthCode:batchShow", {"queries": [query]}),
        "CheckDestinations": ("POST", "/v1/destinations:check", {"document": person, "regions": [region]}),
        "ListResults": ("POST", "/v1/results:list", {"document": person}),
        "BatchListResults": ("POST", "/v1/results:batchList", {"documents": [person]}),
        "ClaimResult": ("POST", "/v1/results:claim", query),
        "SwitchScope": ("POST", "/v1/healthCode:switchScope", {**query, "scope": "LOCAL"}),
        "ListAccesses": ("GET", "/v1/accesses", None),
        "IssuePass": ("POST", "/v1/passes:issue", query),
        "GetTrustBundle": ("GET", "/v1/trustBundle", None),
        "ListRegions": ("GET", "/v1/regions", None),
    }


def request(name: str, person: bytes, region: str, purpose: int) -> Any:
    """Returns the request of a method over gRPC."""
    message: Any = request_class(CONTRACT.methods_by_name[name])()
    if "purpose" in message.DESCRIPTOR.fields_by_name:
        message.purpose = purpose
    named = DOCUMENTS[person]
    if name == "ShowHealthCode":
        message.query.document.CopyFrom(named)
        message.query.region = region
    elif name == "BatchShowHealthCodes":
        message.queries.add(document=named, region=region)
    elif name == "BatchListResults":
        message.documents.append(named)
    elif name not in ("ListRegions", "GetTrustBundle"):
        message.document.CopyFrom(named)
        if name == "CheckDestinations":
            message.regions.append(region)
        elif name not in ("ListResults", "ListAccesses"):
            message.region = region
        if name == "SwitchScope":
            message.scope = 1
    return message


def cases() -> Iterator[tuple[str, Purpose.ValueType, bytes, str]]:
    """Yields every method with every purpose, also none, about two people and two regions."""
    for name in CONTRACT.methods_by_name:
        for purpose in Purpose.values():
            for person in (PERSON, OTHER_KEY):
                for region in (HERE, THERE):
                    yield name, purpose, person, region


def expected(role: str, name: str, purpose: int, person: bytes, region: str) -> str:
    """Returns what the table says of a call."""
    named, _, own = ROLES[role]
    asks = "purpose" in CONTRACT.methods_by_name[name].input_type.fields_by_name
    purpose = (purpose or DEFAULTS.get(name, Purpose.PURPOSE_SHOW_CODE)) if asks else 0
    rule = TABLE.rules[f"{CONTRACT.full_name}/{name}"]
    regions = [(path, region) for path in rule.regions]
    denial = TABLE.check(named, f"{CONTRACT.full_name}/{name}", purpose, regions, lambda: asks and person not in own)
    if denial is None:
        return "answered"
    return "unauthenticated" if named == ANONYMOUS else "denied"


@pytest.mark.parametrize("role", list(ROLES))
async def test_every_call_as_every_role_is_as_the_table_says(gateway: Gateway, role: str) -> None:
    """Over both transports; an error of another kind says that the call was admitted."""
    claims = ROLES[role][1]
    token = None if claims is None else SIGNER.sign(claims)
    wrong = []
    for name, purpose, person, region in cases():
        allowed = expected(role, name, purpose, person, region)
        code = await gateway.over_grpc(name, request(name, person, region, purpose), token)
        over_grpc = {"PERMISSION_DENIED": "denied", "UNAUTHENTICATED": "unauthenticated"}.get(code.name, "answered")
        method, path, body = bodies(JSON[person], region)[name]
        word = Purpose.Name(purpose).removeprefix("PURPOSE_") if purpose else ""
        reply = await gateway.over_http(method, path, body, token, word)
        over_http = {403: "denied", 401: "unauthenticated"}.get(reply.status_code, "answered")
        # Over HTTP nobody can ask who looked at another person.
        asked = person if name != "ListAccesses" else (*ROLES[role][2], person)[0]
        if (allowed, expected(role, name, purpose, asked, region)) != (over_grpc, over_http):
            wrong.append((name, word, JSON[person]["type"], region, allowed, over_grpc, over_http))
        assert code is not grpc.StatusCode.INTERNAL
        assert reply.status_code != 500
    assert [] == wrong


def test_the_table_gives_roles_what_they_are_for() -> None:
    """The table itself, so that the test above compares with something."""
    seen = {role: {case for case in cases() if expected(role, *case) == "answered"} for role in ROLES}
    about = {role: {name for name, *_ in given} for role, given in seen.items()}
    assert set(CONTRACT.methods_by_name) == about["holder"] == about["guardian"]
    assert {"ShowHealthCode", "BatchShowHealthCodes", *OPEN} == about["venue"]
    assert OPEN == about["laboratory"] == about["operator"] == about["nobody"]
    assert {"ClaimResult", "SwitchScope"}.isdisjoint(about["supervisor"])
    answered = {(person, name) for name, _, person, _ in seen["holder"] if name not in OPEN}
    assert {PERSON} == {person for person, _ in answered}
    assert {HERE} == {region for name, _, _, region in seen["venue"] if name not in OPEN}
    reading = Purpose.PURPOSE_SHOW_CODE
    assert not [case for given in seen.values() for case in given if case[0] == "ClaimResult" and case[1] == reading]


async def test_one_foreign_person_denies_the_batch(gateway: Gateway) -> None:
    """Over both transports; and it is not said which of them."""
    token = SIGNER.sign()
    queries = [{"document": one, "region": HERE} for one in (DOCUMENT, OTHER)]
    reply = await gateway.over_http("POST", "/v1/healthCode:batchShow", {"queries": queries}, token, "")
    assert (403, "PERSON_DENIED", []) == (reply.status_code, reply.json()["reason"], reply.json()["violations"])
    many = pb.BatchListResultsRequest(documents=DOCUMENTS.values())
    assert grpc.StatusCode.PERMISSION_DENIED == await gateway.over_grpc("BatchListResults", many, token)


async def test_a_refusal_is_the_same_whether_there_is_such_a_person_or_not(gateway: Gateway) -> None:
    """Word for word, but for the trace."""
    replies = []
    for document in (DOCUMENT, OTHER):
        reply = await gateway.over_http(
            "POST",
            SHOW,
            {"document": document, "region": HERE},
            SIGNER.sign({"document": {"type": "PASSPORT", "number": "G7654321"}}),
            "",
        )
        replies.append({name: value for name, value in reply.json().items() if name != "traceId"})
    assert replies[0] == replies[1]


async def test_without_a_token_nothing_about_a_person_is_answered(gateway: Gateway) -> None:
    """401, what to show, and no store; regions are about nobody."""
    reply = await gateway.http.post(SHOW, json=BODY)
    assert (401, "TOKEN_MISSING") == (reply.status_code, reply.json()["reason"])
    assert 'Bearer realm="hutong"' == reply.headers["www-authenticate"]
    assert "no-store" == reply.headers["cache-control"]
    assert "hutong-principal" not in reply.headers
    assert 200 == (await gateway.http.get("/v1/regions")).status_code
    expired = SIGNER.sign({"exp": int(time.time()) - 600})
    reply = await gateway.over_http("POST", SHOW, BODY, expired, "")
    assert (401, "TOKEN_EXPIRED") == (reply.status_code, reply.json()["reason"])
    challenge = 'Bearer realm="hutong", error="invalid_token", error_description="TOKEN_EXPIRED"'
    assert challenge == reply.headers["www-authenticate"]


async def test_a_token_is_there_once(gateway: Gateway) -> None:
    """Which of two was meant, no two servers agree on."""
    token = f"Bearer {SIGNER.sign()}"
    reply = await gateway.http.post(SHOW, json=BODY, headers=[("authorization", token), ("authorization", token)])
    assert (401, "TOKEN_MALFORMED") == (reply.status_code, reply.json()["reason"])
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await gateway.stub.ShowHealthCode(
            request("ShowHealthCode", PERSON, HERE, 0),
            metadata=[("authorization", token), ("authorization", token)],
            timeout=5,
        )
    assert grpc.StatusCode.UNAUTHENTICATED == raised.value.code()
    for value in ("Basic dXNlcjpwYXNz", "Bearer", f"Bearer {SIGNER.sign()} x", "bearer\ttoken"):
        reply = await gateway.http.post(SHOW, json=BODY, headers={"authorization": value})
        assert (401, "TOKEN_MALFORMED") == (reply.status_code, reply.json()["reason"])


async def test_what_is_about_a_person_is_not_stored_and_other_origins_read_nothing(gateway: Gateway) -> None:
    """Same origin by default."""
    headers = {"authorization": f"Bearer {SIGNER.sign()}", "origin": "https://elsewhere.example"}
    reply = await gateway.http.post(SHOW, json=BODY, headers=headers)
    assert (200, "no-store") == (reply.status_code, reply.headers["cache-control"])
    preflight = {**headers, "access-control-request-method": "POST"}
    asked = await gateway.http.options(SHOW, headers=preflight)
    assert not [name for one in (reply, asked) for name in one.headers if name.startswith("access-control")]


async def test_an_origin_that_is_named_may_read(tmp_path: Path) -> None:
    """And no other one."""
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", cors_origins=("https://code.example",))
    async with (
        serving(Mesh(), settings) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        for origin, allowed in (("https://code.example", "https://code.example"), ("https://code.example.evil", None)):
            reply = await http.post(SHOW, json=BODY, headers={"origin": origin})
            asked = await http.options(SHOW, headers={"origin": origin, "access-control-request-method": "POST"})
            assert [allowed] * 2 == [one.headers.get("access-control-allow-origin") for one in (reply, asked)]
            assert "origin" in reply.headers["vary"]
            assert (asked.headers.get("access-control-allow-methods") is not None) == (allowed is not None)


async def test_keys_rotate_under_load_without_a_failed_call(gateway: Gateway) -> None:
    """A new key each second, the former one withdrawn two later; tokens of each moment, over both transports."""
    signers = [SIGNER]
    codes: list[int] = []
    ended = asyncio.Event()

    async def ask(number: int) -> None:
        while not ended.is_set():
            token = signers[-1].sign({"n": number})
            codes.append((await gateway.over_http("POST", SHOW, BODY, token, "")).status_code)
            code = await gateway.over_grpc("ShowHealthCode", request("ShowHealthCode", PERSON, HERE, 0), token)
            codes.append(200 if code is grpc.StatusCode.OK else 500)

    asking = [asyncio.create_task(ask(number)) for number in range(4)]
    for number in range(3):
        await asyncio.sleep(0.8)
        following = Keys(key_id=f"key-{number}")
        beside = gateway.folder / "keys.new"
        beside.write_bytes(jwks(following, *signers[-1:]))
        beside.replace(gateway.folder / "keys.json")
        signers.append(following)
    await asyncio.sleep(0.8)
    ended.set()
    await asyncio.gather(*asking)
    assert {200} == set(codes)
    assert 40 < len(codes)


class _Jwks(BaseHTTPRequestHandler):
    published: bytes | None = None

    def do_GET(self) -> None:
        """Answers what is published, or redirects elsewhere."""
        if type(self).published is None:
            self.send_response(302)
            self.send_header("location", "http://127.0.0.1:1/")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(type(self).published or b"")

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


async def test_keys_come_over_http_and_no_redirect_is_followed(tmp_path: Path) -> None:
    """An issuer that is away at first is asked again; until then the error is not the token's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Jwks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _Jwks.published = None
    file = issuers_file(tmp_path, keys=f"http://127.0.0.1:{server.server_port}/jwks.json")
    assert NAME in json.loads(file.read_text())["issuers"]
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", issuers=str(file))
    try:
        async with (
            serving(Mesh(), settings) as (port, _),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=15) as http,
        ):
            headers = {"authorization": f"Bearer {SIGNER.sign()}"}
            reply = await http.post(SHOW, json=BODY, headers=headers)
            assert (503, "TOKEN_KEYS_UNAVAILABLE") == (reply.status_code, reply.json()["reason"])
            _Jwks.published = jwks(SIGNER)
            assert 200 == (await http.post(SHOW, json=BODY, headers=headers)).status_code
    finally:
        server.shutdown()
        server.server_close()
