"""Both transports tell a caller that it asks too much, and trying numbers grows dear."""

from collections.abc import Mapping
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status
from hutong.common.v1.subject_pb2 import Document, DocumentType
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from prometheus_client import REGISTRY

from gateway.settings import GatewaySettings
from services.runtime.rpc.errors import DETAILS_KEY
from tests.testkit.fakes.mesh import DOCUMENT, NUMBER, PERSON, Mesh, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.redis import RedisServer

SHOW = "/v1/healthCode:show"
BODY: Mapping[str, Any] = {"document": DOCUMENT, "region": "110000"}
QUERY = pb.HealthCodeQuery(
    document=Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number=NUMBER), region="110000"
)
TIGHT = {"code-per-address": "0.01/3"}


def settings(limits: Mapping[str, str], **more: Any) -> GatewaySettings:
    """Returns the settings of a gateway on ports of its own with these limits."""
    return GatewaySettings(
        mesh_secret=SECRET, http_listen="127.0.0.1:0", listen="127.0.0.1:0", limits=dict(limits), **more
    )


def known() -> Mesh:
    """Returns a mesh that knows one test of one person."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    return mesh


def passport(number: int) -> Mapping[str, Any]:
    """Returns a question about a passport that nobody has."""
    return {"document": {"type": "PASSPORT", "number": f"E{number:08}"}, "region": "110000"}


async def shown(http: httpx.AsyncClient, body: Mapping[str, Any] = BODY, forwarded: str = "") -> int:
    """Asks for a code, and returns the status of the answer."""
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    return (await http.post(SHOW, json=body, headers=headers)).status_code


async def test_both_transports_share_a_limit_and_name_it():
    """429 and RESOURCE_EXHAUSTED, with when to ask again."""
    async with (
        serving(known(), settings(TIGHT)) as (http_port, grpc_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        stub: Any = HealthCodeServiceStub(channel)
        metadata = [("hutong-caller", "test")]
        assert [200, 200] == [await shown(http), await shown(http)]
        await stub.ShowHealthCode(pb.ShowHealthCodeRequest(query=QUERY), metadata=metadata, timeout=5)
        reply = await http.post(SHOW, json=BODY)
        assert 429 == reply.status_code
        assert ("LIMIT_EXCEEDED", "code-per-address") == (reply.json()["reason"], reply.json()["metadata"]["limit"])
        assert 1 <= int(reply.headers["retry-after"]) <= 100
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.ShowHealthCode(pb.ShowHealthCodeRequest(query=QUERY), metadata=metadata, timeout=5)
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is raised.value.code()
        details = dict(raised.value.trailing_metadata() or ())
        info, quota, retry = ErrorInfo(), QuotaFailure(), RetryInfo()
        for packed in Status.FromString(details[DETAILS_KEY]).details:
            for message in (info, quota, retry):
                packed.Unpack(message)
        assert "LIMIT_EXCEEDED" == info.reason
        assert ["code-per-address"] == [violation.subject for violation in quota.violations]
        assert 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 100


async def test_a_name_that_is_not_proven_has_no_limit_of_its_own():
    """Who claims many names is one address, and who claims another's name takes nothing from it."""
    async with (
        serving(known(), settings(TIGHT)) as (_, port),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub: Any = HealthCodeServiceStub(channel)
        request = pb.ShowHealthCodeRequest(query=QUERY)
        for number in range(3):
            await stub.ShowHealthCode(request, metadata=[("hutong-caller", f"name {number}")], timeout=5)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ShowHealthCode(request, metadata=[("hutong-caller", "another")], timeout=5)


async def test_each_class_has_its_own_bucket_and_a_batch_costs_its_questions():
    """Who has no codes left still gets regions; a batch of four does not fit where three are left."""
    limits = {"code-per-address": "0.01/1", "batch-per-address": "0.01/7"}
    async with (
        serving(known(), settings(limits)) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        assert [200, 429] == [await shown(http), await shown(http)]
        assert 200 == (await http.get("/v1/regions")).status_code
        batch = {"queries": [BODY] * 4}
        first = await http.post("/v1/healthCode:batchShow", json=batch)
        second = await http.post("/v1/healthCode:batchShow", json=batch)
        assert [200, 429] == [first.status_code, second.status_code]
        assert 200 == (await http.get("/openapi.json")).status_code


async def test_behind_a_trusted_proxy_callers_are_told_apart():
    """And behind one that is not, what they say of themselves is not believed."""
    async with (
        serving(known(), settings({"code-per-address": "0.01/1"}, trusted_proxies=("127.0.0.0/8",))) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        one, other = "203.0.113.1", "203.0.113.2"
        # Through a proxy nobody is the development principal: what is not limited is asked for a token.
        assert [401, 429, 401] == [await shown(http, forwarded=forwarded) for forwarded in (one, one, other)]
    async with (
        serving(known(), settings({"code-per-address": "0.01/1"})) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        assert [401, 429] == [await shown(http, forwarded=forwarded) for forwarded in (one, other)]


async def test_numbers_that_nobody_has_grow_dearer_and_tell_nothing():
    """Whoever asks for twenty of them is refused soon after, about people who are known as well; the answers until then
    have the same fields, and one who asks for people who are known is not."""
    limits = {"code-per-address": "0.01/60", "unknown-per-address": "0.01/8"}
    async with (
        serving(known(), settings(limits)) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        assert [200] * 20 == [await shown(http) for _ in range(20)]
    async with (
        serving(known(), settings(limits)) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        unknown = [await http.post(SHOW, json=passport(number)) for number in range(20)]
        answered = [reply for reply in unknown if reply.status_code == 200]
        assert 8 <= len(answered) < 20
        assert 429 == await shown(http)
        fields = (await http.post("/v1/healthCode:batchShow", json={"queries": [BODY]})).json()["outcomes"][0]["code"]
        assert {frozenset(fields)} == {frozenset(reply.json()) for reply in answered}
        assert (REGISTRY.get_sample_value("hutong_unknown_persons_surcharge_total", {"asker": "address"}) or 0) > 0


async def test_an_outage_makes_nobody_unknown():
    """Who could not be asked about is not charged for."""
    mesh = known()
    mesh.unreachable.add("nation")
    limits = {"unknown-per-address": "0.01/1", "code-per-address": "0.01/40"}
    async with (
        serving(mesh, settings(limits)) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        assert [200] * 20 == [await shown(http, passport(number)) for number in range(20)]


@pytest.mark.redis
async def test_replicas_share_a_limit_in_redis_and_go_on_without_it(redis_server: RedisServer):
    """Three codes from two gateways, wherever they are asked; with Redis gone, each gateway has the limit by itself."""
    redis_server.flush()
    shared = {"redis_url": redis_server.url, "redis_timeout": 5.0}
    async with (
        serving(known(), settings(TIGHT, **shared)) as (first, _),
        serving(known(), settings(TIGHT, **shared)) as (second, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{first}") as one,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{second}") as other,
    ):
        assert [200, 200, 200] == [await shown(one), await shown(other), await shown(one)]
        assert 429 == await shown(other)
        redis_server.kill()
        assert [200, 429] == [await shown(other), await shown(other)]
        assert 1 == REGISTRY.get_sample_value("hutong_limits_local")
