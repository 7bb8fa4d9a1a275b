"""A gateway shows its operators: readiness, metrics, traces, ports."""

import asyncio
from typing import Any

import grpc
import httpx
import pytest
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub

from gateway.settings import GatewaySettings
from tests.testkit.fakes.mesh import DOWN, Mesh, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import BODY, SHOW, GatewayClients, document_message


async def test_trace_is_continued_and_answered(clients: GatewayClients) -> None:
    """A caller's trace goes on; without one, or with a malformed one, one begins that the answer names."""
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    reply = await clients.post(SHOW, BODY, traceparent=given)
    assert reply.headers["traceparent"] == given
    for headers in ({}, {"traceparent": "nonsense"}):
        begun = (await clients.post(SHOW, BODY, **headers)).headers["traceparent"].split("-")
        assert (len(begun[1]), int(begun[1], 16) > 0, int(begun[2], 16) > 0) == (32, True, True)
    wrong = await clients.post(SHOW, {}, traceparent=given)
    assert wrong.json()["traceId"] == given.split("-")[1]


async def test_readiness_names_its_components(clients: GatewayClients) -> None:
    """Ready with everything up, degraded without news or verdicts: the last verdicts can still be shown."""

    async def until(component: str, trouble: str) -> dict[str, Any]:
        async with asyncio.timeout(15):
            while (reply := (await clients.operators.get("/readyz")).json())["components"].get(component) != trouble:
                await asyncio.sleep(0.1)
        return dict(reply)

    well = await until("news", "")
    assert well == {
        "status": "READY",
        "components": {"verdict": "", "lookup": "", "directory": "", "cache": "", "news": ""},
    }
    clients.mesh.cut = True
    clients.mesh.failing = DOWN
    assert (await until("verdict", "SERVICE_UNREACHABLE"))["status"] == "DEGRADED"
    assert (await clients.operators.get("/healthz")).json()["status"] == "ALIVE"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_the_port_of_everybody_tells_nothing_of_operations(clients: GatewayClients, path: str) -> None:
    """What a process counts, and what is wrong with it, is for operators."""
    assert (await clients.http.get(path)).json()["reason"] == "PATH_UNKNOWN"
    assert (await clients.operators.get(path)).status_code == 200


async def test_metrics_count_requests_and_outcomes(clients: GatewayClients) -> None:
    """Requests by method and how they ended, codes by what the cache had to do with them, and the news' age."""
    for _ in range(2):
        await clients.post(SHOW, BODY)
    await clients.post(SHOW, {})
    text = (await clients.operators.get("/metrics")).text
    for line in (
        'hutong_gateway_requests_total{method="ShowHealthCode",outcome="OK",transport="http"}',
        'hutong_gateway_requests_total{method="ShowHealthCode",outcome="INVALID_ARGUMENT",transport="http"}',
        'hutong_gateway_codes_total{cache="HIT"}',
        'hutong_gateway_codes_total{cache="MISS"}',
        'hutong_gateway_news_age_seconds{feed="nation"}',
    ):
        assert line in text


async def test_taken_port_is_an_error_not_a_shared_one(clients: GatewayClients, mesh: Mesh) -> None:
    """Two gateways on one port would share its connections silently."""
    from gateway.http.app import HttpApplication
    from gateway.server import HttpServer
    from tests.testkit.fakes.mesh import compose

    app: HttpApplication = compose(mesh).app
    with pytest.raises(OSError, match="is the port taken"):
        await HttpServer(app).start(f"127.0.0.1:{clients.http.base_url.port}", 1)


async def test_a_caller_cannot_have_everything_traced(mesh: Mesh) -> None:
    """Over both clients together so many a second, here one for good; the trace itself goes on."""
    asked, unsampled = (f"00-{'1' * 32}-{'2' * 16}-{flags}" for flags in ("01", "00"))
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", trace_asked=1e-9)
    async with serving(mesh, settings) as (port, grpc_port), grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as to:
        stub: Any = HealthCodeServiceStub(to)
        request = pb.ShowHealthCodeRequest(query=pb.HealthCodeQuery(document=document_message(), region="110000"))
        await stub.ShowHealthCode(request, timeout=5, metadata=[("hutong-caller", "test"), ("traceparent", asked)])
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            reply = await http.post(SHOW, json=BODY, headers={"traceparent": asked})
    assert (200, unsampled) == (reply.status_code, reply.headers["traceparent"])
