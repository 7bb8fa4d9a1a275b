"""Every route and method of the gateway as every role, about own and other people and regions, against the table."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hutong.common.v1.subject_pb2 import DocumentType, Purpose
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub

from gateway.settings import GatewaySettings
from services.common.documents import PersonKeys
from services.runtime.tls.identity import ANONYMOUS, principal
from tests.testkit.builders.tokens import NAME, Keys, issuers_file, jwks
from tests.testkit.fakes.mesh import DOCUMENT, PERSON, Mesh, compose, record, serving
from tests.testkit.gateway_calls import (
    CONTRACT,
    HERE,
    NAMELESS,
    OPEN,
    SUPERVISION,
    Case,
    Person,
    cases,
    expected,
    expected_of_push,
    expected_of_supervision,
    expected_over_http,
    outcome_of_status,
    over_grpc,
    over_http,
    push_calls,
)
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import BODY, SHOW

SIGNER = Keys()
OTHER = {"type": "PASSPORT", "number": "E12345678"}
OTHER_KEY = PersonKeys(SECRET.encode()).of_number(DocumentType.DOCUMENT_TYPE_PASSPORT, OTHER["number"])
PEOPLE = (Person(DOCUMENT, PERSON), Person(OTHER, OTHER_KEY))
OWN = Case("ShowHealthCode", 0, PEOPLE[0], HERE)  # type: ignore[arg-type]  # no purpose
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


@pytest.mark.parametrize("role", list(ROLES))
async def test_every_call_as_every_role_is_as_the_table_says(gateway: Gateway, role: str) -> None:
    """Over both transports; an error of another kind says that the call was admitted."""
    caller, claims, own = ROLES[role]
    token = None if claims is None else SIGNER.sign(claims)
    wrong = []
    for case in cases(*PEOPLE):
        code = await gateway.over_grpc(case.method, over_grpc(case), token)
        rpc = {"PERMISSION_DENIED": "denied", "UNAUTHENTICATED": "unauthenticated"}.get(code.name, "answered")
        reply = await gateway.over_http(*over_http(case), token, case.word)
        outcomes = (rpc, outcome_of_status(reply.status_code))
        if outcomes != (expected(caller, own, case), expected_over_http(caller, own, case)):
            wrong.append((case.method, case.word, case.person.document["type"], case.region, *outcomes))
        assert code is not grpc.StatusCode.INTERNAL
        assert reply.status_code != 500
    assert [] == wrong


@pytest.mark.parametrize("role", list(ROLES))
async def test_every_call_of_supervision_as_every_role_is_as_the_table_says(gateway: Gateway, role: str) -> None:
    """For every purpose, also none."""
    caller, claims, _ = ROLES[role]
    token = None if claims is None else SIGNER.sign(claims)
    wrong = []
    for name, (method, path, body) in SUPERVISION.items():
        for purpose in Purpose.values():
            word = Purpose.Name(purpose).removeprefix("PURPOSE_") if purpose else ""
            reply = await gateway.over_http(method, path, body, token, word)
            assert reply.status_code != 500
            said = outcome_of_status(reply.status_code)
            if said != expected_of_supervision(caller, name, purpose):
                wrong.append((name, word, said))
    assert [] == wrong


@pytest.mark.parametrize("role", list(ROLES))
async def test_every_call_about_messages_as_every_role_is_as_the_table_says(gateway: Gateway, role: str) -> None:
    """For every purpose, about oneself, a dependant and anybody else: nobody has a device told about another."""
    caller, claims, own = ROLES[role]
    token = None if claims is None else SIGNER.sign(claims)
    wrong = []
    for person in PEOPLE:
        for name, (method, path, body) in push_calls(person).items():
            for purpose in Purpose.values():
                word = Purpose.Name(purpose).removeprefix("PURPOSE_") if purpose else ""
                reply = await gateway.over_http(method, path, body, token, word)
                assert reply.status_code != 500
                said = outcome_of_status(reply.status_code)
                if said != expected_of_push(caller, own, name, person, purpose):
                    wrong.append((name, word, person.document["type"], said))
    assert [] == wrong


def test_people_alone_have_devices_told() -> None:
    """The table itself."""
    allowed = {
        (role, person.key)
        for role, (caller, _, own) in ROLES.items()
        for person in PEOPLE
        for name in push_calls(person)
        if "Put" in name and expected_of_push(caller, own, name, person, Purpose.PURPOSE_HOLDER_DECISION) == "answered"
    }
    assert {("holder", PERSON), ("guardian", OTHER_KEY), ("guardian", PERSON)} == allowed


def test_supervisors_alone_are_told_of_figures_and_refusals() -> None:
    """The table itself."""
    about = {
        role
        for role, (caller, _, _) in ROLES.items()
        for name in SUPERVISION
        if "SupervisionService" in name
        and expected_of_supervision(caller, name, Purpose.PURPOSE_SUPERVISION) == "answered"
    }
    assert {"supervisor"} == about


NOW = int(time.time())
BAD_TOKENS: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": NOW - 600}, "TOKEN_EXPIRED"),
    "not yet valid": ({"nbf": NOW + 6000}, "TOKEN_NOT_YET_VALID"),
    "of another audience": ({"aud": "another-gateway"}, "TOKEN_AUDIENCE"),
    "of another issuer": ({"iss": "https://id.other.example"}, "TOKEN_ISSUER"),
    "without an end": ({"exp": None}, "TOKEN_CLAIMS"),
    "with a role that there is not": ({"role": "administrator"}, "TOKEN_ROLE"),
}


@pytest.mark.parametrize("kind", list(BAD_TOKENS))
async def test_every_call_with_a_bad_token_is_refused(gateway: Gateway, kind: str) -> None:
    """Also what anybody may ask without one: whoever shows a token means to be somebody. Whatever the role was."""
    claims, reason = BAD_TOKENS[kind]
    wrong = []
    for case in cases(*PEOPLE):
        if case.purpose not in (0, Purpose.PURPOSE_SUPERVISION) or case.region != HERE:
            continue
        role = {"role": "supervisor"} if case.purpose else {}
        token = SIGNER.sign({**role, **claims})
        code = await gateway.over_grpc(case.method, over_grpc(case), token)
        reply = await gateway.over_http(*over_http(case), token, case.word)
        if (code, reply.status_code, reply.json().get("reason")) != (grpc.StatusCode.UNAUTHENTICATED, 401, reason):
            wrong.append((case.method, case.word, code, reply.text))
    assert [] == wrong


async def test_every_route_is_a_call_that_is_tried_or_open_to_all() -> None:
    """A route that is added stands in the matrix, or says that it is about nobody."""
    routes = compose(Mesh(), GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0")).app.routes
    tried = {
        path for _, path, _ in (*map(over_http, cases(*PEOPLE)), *SUPERVISION.values(), *push_calls(PEOPLE[0]).values())
    }
    assert tried == {path for path, route in routes.items() if not route.open}
    pages = {"/", "/check", "/docs", "/openapi.json", "/supervision", "/v1/supervision/openDataDictionary"}
    installation = {"/worker.js", "/manifest.webmanifest", "/check.webmanifest"}
    icons = {"/icon.svg", "/icon-192.png", "/icon-512.png"}
    assert pages | installation | icons == {path for path, route in routes.items() if route.open}


def test_the_table_gives_roles_what_they_are_for() -> None:
    """The table itself, so that the test above compares with something."""
    seen = {
        role: {
            (case.method, case.purpose, case.person.key, case.region)
            for case in cases(*PEOPLE)
            if expected(caller, own, case) == "answered"
        }
        for role, (caller, _, own) in ROLES.items()
    }
    about = {role: {name for name, *_ in given} for role, given in seen.items()}
    assert set(CONTRACT.methods_by_name) == about["holder"] == about["guardian"]
    assert {"ShowHealthCode", "BatchShowHealthCodes", *NAMELESS} == about["venue"]
    assert {"IssueCertificate", *NAMELESS} == about["laboratory"]
    assert OPEN == about["operator"] == about["nobody"]
    assert {"ClaimResult", "SwitchScope"}.isdisjoint(about["supervisor"])
    answered = {(person, name) for name, _, person, _ in seen["holder"] if name not in NAMELESS}
    assert {PERSON} == {person for person, _ in answered}
    assert {HERE} == {region for name, _, _, region in seen["venue"] if name not in NAMELESS}
    reading = Purpose.PURPOSE_SHOW_CODE
    assert not [case for given in seen.values() for case in given if case[0] == "ClaimResult" and case[1] == reading]


async def test_one_foreign_person_denies_the_batch(gateway: Gateway) -> None:
    """Over both transports; and it is not said which of them."""
    token = SIGNER.sign()
    queries = [{"document": one, "region": HERE} for one in (DOCUMENT, OTHER)]
    reply = await gateway.over_http("POST", "/v1/healthCode:batchShow", {"queries": queries}, token, "")
    assert (403, "PERSON_DENIED", []) == (reply.status_code, reply.json()["reason"], reply.json()["violations"])
    many = pb.BatchListResultsRequest(documents=[over_grpc(OWN._replace(person=one)).query.document for one in PEOPLE])
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
            over_grpc(OWN),
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
            code = await gateway.over_grpc("ShowHealthCode", over_grpc(OWN), token)
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
