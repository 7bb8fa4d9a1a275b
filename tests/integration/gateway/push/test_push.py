"""People's devices are told that a result has arrived, and that a code is about to end, through a push service."""

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway.push.client import PushClient
from gateway.push.delivery import Message, Sent
from gateway.push.endpoints import Endpoints
from gateway.push.keys import kept_push_key, read_push_key
from gateway.settings import PUSH_SERVICES, GatewaySettings
from services.common.instants import DAY, HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock
from tests.testkit.builders.tokens import development
from tests.testkit.fakes.mesh import DOCUMENT, NUMBER, PERSON, Mesh, record, serving
from tests.testkit.fakes.push_service import PushService, push_service
from tests.testkit.secret import SECRET

PUT, DELETE = "/v1/pushSubscriptions:put", "/v1/pushSubscriptions:delete"


class Site(NamedTuple):
    """A gateway that tells devices, the mesh behind it, and the push service."""

    mesh: Mesh
    http: httpx.AsyncClient
    service: PushService

    async def put(self, **changed: Any) -> httpx.Response:
        """Subscribes the device of the person."""
        subscription = self.service.device.subscription(self.service.endpoint)
        body = {"document": DOCUMENT, "subscription": subscription, "region": "110000", **changed}
        return await self.http.post(PUT, json=body)

    async def delete(self) -> httpx.Response:
        """Unsubscribes it."""
        return await self.http.post(DELETE, json={"document": DOCUMENT, "endpoint": self.service.endpoint})


async def counted(store: Path, table: str, rows: int) -> None:
    """Waits until a table of a store has so many rows."""
    async with asyncio.timeout(60):
        while True:
            with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as file:
                if file.execute(f"select count(*) from {table}").fetchone() == (rows,):
                    return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def site(folder: Path, mesh: Mesh, service: PushService, lead_seconds: float = 60.0) -> AsyncIterator[Site]:
    """A gateway that may call the machine's own addresses."""
    settings = GatewaySettings(
        mesh_secret=SECRET,
        http_listen="127.0.0.1:0",
        audit=str(folder / "audit"),
        push_store=f"sqlite:///{folder / 'push.db'}",
        push_migrate=True,
        push_services=(service.host,),
        push_networks=("127.0.0.0/8",),
        push_trust=str(folder / "ca.pem"),
        push_lead_seconds=lead_seconds,
    )
    async with (
        serving(mesh, settings) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=development(), timeout=30) as http,
    ):
        # The gateway follows the feed from now on: what came before is no news.
        await counted(folder / "push.db", "push_cursor", 1)
        yield Site(mesh, http, service)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[PushService]:
    """A push service."""
    async with push_service(tmp_path) as running:
        yield running


@pytest.fixture
async def running(tmp_path: Path, service: PushService) -> AsyncIterator[Site]:
    """A gateway, of a mesh in which nothing is known."""
    async with site(tmp_path, Mesh(), service) as opened:
        yield opened


def reasons(reply: httpx.Response) -> tuple[int, list[str]]:
    """Returns the status of a refusal, and what is said of its fields."""
    return reply.status_code, [one["reason"] for one in reply.json()["violations"]]


async def test_a_result_is_told_of_once_and_says_nothing_of_what_it_is(running: Site) -> None:
    """Encrypted for the device, signed by the gateway, in the device's language; and again for the next result. The
    person sees who sent it."""
    key = (await running.http.get("/v1/pushKey")).json()["applicationServerKey"]
    assert {"created": True} == (await running.put(language="ENGLISH")).json()
    assert {"created": False} == (await running.put(language="ENGLISH")).json()
    await running.mesh.tell(record(source_id="sampled", kind=1))
    await running.mesh.tell(record(source_id="history", reported_at=to_timestamp(Instant(system_clock() - 9 * DAY))))
    await running.mesh.tell(record(b"\x01" + b"x" * 15))
    await running.mesh.tell(record())
    await running.service.until(1)
    await running.mesh.tell(record(source_id="S2"))
    await running.service.until(2)
    (first, second) = running.service.received
    text = {"title": "Health code", "body": "A new test result has arrived."}
    assert {"kind": "RESULT", "lang": "en", **text} == first.said
    assert first.said == second.said
    assert f"k={key}" in first.headers["authorization"]
    assert "aes128gcm" == first.headers["content-encoding"]
    assert 86_300 < int(first.headers["ttl"]) <= 86_400
    assert first.headers["topic"] == second.headers["topic"]
    assert NUMBER not in str(first)
    assert PERSON.hex() not in str(first)
    looks = (await running.http.get("/v1/accesses")).json()["accesses"]
    sent = [(one["caller"], one["outcome"]) for one in looks if one["method"] == "SendPush"]
    assert [("mesh/gateway", "OK")] * 2 == sent


async def test_a_code_that_is_about_to_end_is_told_of_once_for_each_end(tmp_path: Path, service: PushService) -> None:
    """With when, in Chinese; opened again, the page tells of the same end no more, but of another."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    ends = Instant(system_clock() + HOUR)

    def until(verdict: Verdict) -> None:
        verdict.valid_until.CopyFrom(to_timestamp(ends))

    mesh.shape = until
    async with site(tmp_path, mesh, service, lead_seconds=7200) as opened:
        await opened.put()
        await service.until(1)
        await opened.put()
        ends = Instant(ends + HOUR // 2)
        await mesh.tell(person=PERSON)
        await service.until(2)
        first, second = service.received
    assert "ENDING" == first.said["kind"] == second.said["kind"]
    assert first.said["body"].startswith("健康码将于 ")
    assert first.said["body"] != second.said["body"]
    assert 0 < int(first.headers["ttl"]) <= 3600
    assert {first.size} == {second.size}


async def test_what_does_not_end_is_not_told_of(tmp_path: Path, service: PushService) -> None:
    """A code that is not recognised, or ends much later: the result that comes after is the first that is told."""
    mesh = Mesh()
    async with site(tmp_path, mesh, service) as opened:
        await opened.put()
        mesh.records[PERSON].append(record())
        await mesh.tell(record())
        await service.until(1)
    assert ["RESULT"] == [one.said["kind"] for one in service.received]


async def test_a_device_that_is_gone_is_forgotten(running: Site, tmp_path: Path) -> None:
    """The push service says so (410); put again, it is another."""
    await running.put()
    running.service.answers.append((410, {}))
    await running.mesh.tell(record())
    await running.service.until(0, refused=1)
    await counted(tmp_path / "push.db", "push_subscription", 0)
    assert (await running.put()).json()["created"]
    assert 0 == len(running.service.received)


async def test_who_unsubscribes_is_told_nothing(running: Site) -> None:
    """And it is no error when there was nothing."""
    await running.put()
    assert {"deleted": True} == (await running.delete()).json()
    assert {"deleted": False} == (await running.delete()).json()
    await running.mesh.tell(record(source_id="unheard"))
    await running.put(language="ENGLISH")
    await running.mesh.tell(record(source_id="heard"))
    await running.service.until(1)
    assert ["en"] == [one.said["lang"] for one in running.service.received]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://updates.push.services.mozilla.com/one",
        "https://localhost/one",
        "https://127.0.0.1/one",
        "https://10.0.0.1/one",
        "https://[::1]/one",
        "https://169.254.169.254/latest/meta-data",
        "https://push.example.cn/one",
        "https://updates.push.services.mozilla.com:8443/one",
        "https://updates.push.services.mozilla.com@10.0.0.1/one",
        "https://updates.push.services.mozilla.com.example.cn/one",
        "https://evilpush.apple.com/one",
        "https://updates.push.services.mozilla.com/" + "x" * 1024,
        "https://updates.push.services.mozilla.com/é",
        "file:///etc/passwd",
        "",
    ],
    ids=range(15),
)
def test_nothing_else_than_a_push_service_is_called(endpoint: str) -> None:
    """Whatever a subscription says: the gateway refuses it, with the name of the field."""
    assert not Endpoints(PUSH_SERVICES, ()).allows(endpoint)
    assert Endpoints(PUSH_SERVICES, ()).allows("https://updates.push.services.mozilla.com/wpush/v2/gAAA")
    assert Endpoints(PUSH_SERVICES, ()).allows("https://web.push.apple.com:443/QOo")


async def test_a_subscription_is_refused_for_each_of_its_fields(running: Site) -> None:
    """All at once."""
    keys = {"p256dh": base64.urlsafe_b64encode(b"\x04" + b"1" * 64).decode(), "auth": "c2hvcnQ"}
    wrong = {"endpoint": "https://10.0.0.1/", "keys": keys}
    reply = await running.put(subscription=wrong, region="999999", language="GERMAN")
    assert (400, ["PUSH_ENDPOINT", "PUSH_KEYS", "REGION_UNKNOWN", "LANGUAGE_UNKNOWN"]) == reasons(reply)
    for key in ("", "!!", "AAAA"):
        short = {"endpoint": running.service.endpoint, "keys": {"p256dh": key, "auth": key}}
        assert (400, ["PUSH_KEYS"]) == reasons(await running.put(subscription=short))


async def test_a_name_that_leads_to_a_private_address_is_not_called(tmp_path: Path, service: PushService) -> None:
    """Allowed by name, and resolved when it is called: the connection is never made."""
    key = read_push_key(kept_push_key(tmp_path), "mailto:push@localhost")
    endpoints = Endpoints((f"localhost:{service.port}",), ())
    client = PushClient(key, endpoints, system_clock, str(tmp_path / "ca.pem"))
    device = service.device
    message = Message(f"https://localhost:{service.port}/send/one", device.p256dh, device.auth, b"{}", 60, "topic")
    try:
        assert Sent.LATER is (await client.send(message)).sent
        allowed = message._replace(endpoint=f"https://127.0.0.1:{service.port}/send/one")
        assert Sent.REFUSED is (await client.send(allowed)).sent
    finally:
        await client.close()
    assert (0, 0) == (len(service.received), service.refused)


async def test_a_gateway_without_a_store_sends_nothing() -> None:
    """It says so: the page then shows no switch, and nobody can subscribe."""
    async with (
        serving(Mesh()) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=development(), timeout=30) as http,
    ):
        assert {"applicationServerKey": None} == (await http.get("/v1/pushKey")).json()
        reply = await http.post(DELETE, json={"document": DOCUMENT, "endpoint": "https://push.example.cn"})
        assert (400, "PUSH_OFF") == (reply.status_code, reply.json()["reason"])
