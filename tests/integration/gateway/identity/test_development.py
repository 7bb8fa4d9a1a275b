"""The development issuer and principal of a mesh on one machine."""

import asyncio
import stat
import time
from pathlib import Path

import grpc
import httpx
import pytest
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub

from cli.main import main
from gateway.settings import GatewaySettings
from services.runtime.settings.environment import SettingsError
from tests.testkit.builders.tokens import Keys, development, issuers_file, jwks
from tests.testkit.fakes.mesh import DEVELOPMENT, DOCUMENT, PERSON, Mesh, compose, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import BODY, PEOPLE, SHOW, GatewayClients, document_message

SIGN_IN = "/v1/samplePeople:signIn"


async def test_a_call_without_a_token_is_the_development_principals(clients: GatewayClients):
    """Which the answer says, and an answer to who shows a token does not."""
    reply = await clients.post(SHOW, BODY)
    assert (200, "development") == (reply.status_code, reply.headers["hutong-principal"])
    reply = await clients.post(SHOW, BODY, **development())
    assert (200, None) == (reply.status_code, reply.headers.get("hutong-principal"))


async def test_a_sample_person_signs_in_with_one_click(clients: GatewayClients):
    """And sees its own data alone; who is no sample person does not sign in."""
    signed = (await clients.post(SIGN_IN, {"document": DOCUMENT})).json()
    headers = {"authorization": f"Bearer {signed['token']}"}
    assert 200 == (await clients.post(SHOW, BODY, **headers)).status_code
    other = {"type": "PASSPORT", "number": "E12345678"}
    reply = await clients.post(SHOW, {**BODY, "document": other}, **headers)
    assert (403, "PERSON_DENIED") == (reply.status_code, reply.json()["reason"])
    reply = await clients.post(SIGN_IN, {"document": other})
    assert (404, "SAMPLE_PERSON_UNKNOWN") == (reply.status_code, reply.json()["reason"])


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example"},
        {"host": "127.0.0.1.example:8080"},
        {"x-forwarded-for": "203.0.113.1"},
        {"forwarded": "for=203.0.113.1"},
        {"x-real-ip": "203.0.113.1"},
        {"via": "1.1 proxy"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_who_is_not_at_the_machine_needs_a_token(clients: GatewayClients, headers: dict[str, str]):
    """A page whose name means 127.0.0.1 today, and whoever comes through a proxy; nor is one issued to them."""
    reply = await clients.post(SHOW, BODY, **headers)
    assert (401, "TOKEN_MISSING") == (reply.status_code, reply.json()["reason"])
    assert 200 == (await clients.post(SHOW, BODY, **{**headers, **development()})).status_code
    for path, body in ((SIGN_IN, {"document": DOCUMENT}), ("/v1/sampleSupervisor:signIn", {})):
        reply = await clients.post(path, body, **headers)
        assert (403, "ACCESS_DENIED") == (reply.status_code, reply.json()["reason"])


async def test_over_grpc_the_development_principal_has_the_name_it_gives(clients: GatewayClients):
    """None is an error; a token names somebody else."""
    request = pb.ShowHealthCodeRequest(query=pb.HealthCodeQuery(document=document_message(), region="110000"))
    await clients.stub.ShowHealthCode(request, metadata=[("hutong-caller", "me / and me")], timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await clients.stub.ShowHealthCode(request, timeout=5)
    assert grpc.StatusCode.UNAUTHENTICATED == raised.value.code()
    stranger = development(role="holder", document={"type": "PASSPORT", "number": "E12345678"})
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await clients.stub.ShowHealthCode(request, metadata=[*stranger.items(), ("hutong-caller", "me")], timeout=5)
    assert grpc.StatusCode.PERMISSION_DENIED == raised.value.code()


def test_the_key_is_the_owners_alone(tmp_path: Path):
    """Made once, when the gateway starts."""
    folder = tmp_path / "development"
    header = development(folder, role="operator", sub="me")
    assert header != development(folder, role="operator", sub="you")
    key = folder / "issuer.pem"
    assert (0o600, 0o700) == (stat.S_IMODE(key.stat().st_mode), stat.S_IMODE(folder.stat().st_mode))


@pytest.mark.timeout(120)
async def test_the_key_changes_while_tokens_are_shown(
    clients: GatewayClients, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """`hutong token-key`: no token is refused, whichever key it is of, until the former keys are dropped; then those
    are refused alone."""
    folder = Path(DEVELOPMENT.name)
    (tmp_path / "development").symlink_to(folder)

    async def change(word: str) -> None:
        assert 0 == await asyncio.to_thread(main, ["token-key", word, "--data", str(tmp_path)])

    tokens = [development(folder)]
    kept = (folder / "issuer.pem").read_bytes()
    try:
        for _ in range(3):
            await change("rotate")
            tokens.append(development(folder))
            assert [200] * len(tokens) == [(await clients.post(SHOW, BODY, **one)).status_code for one in tokens]
        signed = (await clients.post(SIGN_IN, {"document": DOCUMENT})).json()["token"]
        await change("drop")
        end = time.monotonic() + 60
        while 200 in {(await clients.post(SHOW, BODY, **one)).status_code for one in tokens[:-1]}:
            assert time.monotonic() < end
            await asyncio.sleep(0.2)
        for one in (tokens[-1], {"authorization": f"Bearer {signed}"}, development(folder)):
            assert 200 == (await clients.post(SHOW, BODY, **one)).status_code
        reply = await clients.post(SHOW, BODY, **tokens[0])
        assert (401, "TOKEN_KEY_UNKNOWN") == (reply.status_code, reply.json()["reason"])
    finally:
        (folder / "issuer.pem").write_bytes(kept)
    assert 2 == await asyncio.to_thread(main, ["token-key", "rotate", "--data", str(tmp_path / "none")])
    capsys.readouterr()


@pytest.mark.parametrize(
    "more",
    [{"http_listen": "0.0.0.0:8080"}, {"listen": "0.0.0.0:7000", "plaintext": True}, {"issuers": "issuers.yaml"}],
)
def test_a_development_issuer_is_on_loopback_alone(tmp_path: Path, more: dict[str, object]):
    """Before anything is served."""
    (tmp_path / "keys.json").write_bytes(jwks(Keys()))
    if "issuers" in more:
        more = {"issuers": str(issuers_file(tmp_path))}
    settings = GatewaySettings(mesh_secret=SECRET, development=str(tmp_path / "development"), **more)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="HUTONG_DEVELOPMENT"):
        compose(Mesh(), settings)


async def test_without_a_development_issuer_nobody_is_its_principal(tmp_path: Path):
    """On loopback neither, over neither transport; its tokens are nothing, and nobody signs in."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    (tmp_path / "keys.json").write_bytes(jwks(Keys()))
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", issuers=str(issuers_file(tmp_path)))
    async with (
        serving(mesh, settings, sample_people=PEOPLE) as (http_port, grpc_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        assert 401 == (await http.post(SHOW, json=BODY)).status_code
        assert 401 == (await http.post(SHOW, json=BODY, headers=development())).status_code
        assert 404 == (await http.post(SIGN_IN, json={"document": DOCUMENT})).status_code
        stub: type = HealthCodeServiceStub
        request = pb.ShowHealthCodeRequest(query=pb.HealthCodeQuery(document=document_message(), region="110000"))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub(channel).ShowHealthCode(request, metadata=[("hutong-caller", "region-110000")], timeout=5)
        assert grpc.StatusCode.UNAUTHENTICATED == raised.value.code()
