"""The gateway answers over HTTP and gRPC alike, and over HTTP as the OpenAPI document has it."""

import json

import grpc
import pytest
from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Document
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub

from tests.testkit.fakes.mesh import DOCUMENT, PERSON, Mesh, serving
from tests.testkit.servers.gateway_clients import BODY, SHOW, GatewayClients, document_message, reasons
from tests.testkit.servers.proxy import Proxy

IDENTITY_ALONE = [("grpc.compression_enabled_algorithms_bitset", 1)]
QUERY = pb.HealthCodeQuery(document=document_message(), region="110000")
MANY = pb.BatchShowHealthCodesRequest(queries=[QUERY] * 100)
EVERYWHERE = pb.CheckDestinationsRequest(document=document_message())


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_json_however_it_is_written(clients: GatewayClients, kind: str) -> None:
    """Parameters and case of the content type do not matter."""
    reply = await clients.http.post(SHOW, content=json.dumps(BODY), headers={"content-type": kind})
    assert reply.status_code == 200


async def test_code_is_the_same_through_both_doors(clients: GatewayClients) -> None:
    """The first question computes, the second finds it cached, whichever door each came through."""
    reply = await clients.post(SHOW, BODY)
    code = reply.json()
    query = pb.HealthCodeQuery(document=document_message(), region="110000")
    request = pb.ShowHealthCodeRequest(query=query)
    over_grpc = await clients.stub.ShowHealthCode(request, timeout=5, metadata=[("hutong-caller", "test")])
    assert (code["freshness"], over_grpc.freshness) == ("COMPUTED", pb.FRESHNESS_CACHED)
    assert (await clients.post(SHOW, BODY)).json() == {**code, "freshness": "CACHED"}
    verdict = over_grpc.verdict
    assert [code["status"], code["colour"], code["scope"]] == ["RECOGNISED", "GREEN", "NATIONAL"]
    assert (verdict.status, verdict.colour, verdict.region, verdict.person_keys) == (1, 1, "110000", [])
    assert [ground["clause"] for ground in code["grounds"]] == [ground.clause for ground in verdict.grounds]
    assert code["policy"]["contentHash"] == verdict.policy.content_hash.hex()
    assert code["validUntil"].endswith("+08:00")
    assert PERSON.hex() not in reply.text
    assert clients.mesh.calls["verdict"] == 1


async def test_batch_answers_each_in_order(clients: GatewayClients) -> None:
    """One that cannot be asked does not sink the others."""
    wrong = {**BODY, "region": "1"}
    reply = await clients.post("/v1/healthCode:batchShow", {"queries": [BODY, wrong, {**BODY, "region": "310000"}]})
    first, second, third = reply.json()["outcomes"]
    assert [first["code"]["region"], third["code"]["region"]] == ["110000", "310000"]
    assert [(v["field"], v["reason"]) for v in second["error"]["violations"]] == [
        ("queries[1].region", "REGION_UNKNOWN")
    ]
    queries = [pb.HealthCodeQuery(document=document_message(), region=region) for region in ("110000", "1", "310000")]
    request = pb.BatchShowHealthCodesRequest(queries=queries)
    answer = await clients.stub.BatchShowHealthCodes(request, timeout=5, metadata=[("hutong-caller", "test")])
    assert [one.WhichOneof("outcome") for one in answer.outcomes] == ["code", "error", "code"]
    assert answer.outcomes[1].error.violations[0].field == "queries[1].region"


async def test_destinations_come_in_the_order_asked(clients: GatewayClients) -> None:
    """Each region with its code; all that have a policy when none is named."""
    body = {"document": DOCUMENT, "regions": ["310000", "110000"], "view": "FULL"}
    asked = (await clients.post("/v1/destinations:check", body)).json()["destinations"]
    assert [(one["region"]["region"], one["code"]["region"]) for one in asked] == [("310000",) * 2, ("110000",) * 2]
    everywhere = (await clients.post("/v1/destinations:check", {"document": DOCUMENT})).json()["destinations"]
    assert len(everywhere) == 34
    wrong = await clients.post("/v1/destinations:check", {"document": DOCUMENT, "regions": ["110000", "x"]})
    assert reasons(wrong)[1] == [("regions[1]", "REGION_UNKNOWN")]


async def test_claim_makes_a_copy_that_is_listed_once(clients: GatewayClients) -> None:
    """The days since test change at once, the test is one line, and twice is once."""
    assert (await clients.post(SHOW, BODY)).json()["daysSinceTest"] is None
    claimed = (await clients.post("/v1/results:claim", BODY)).json()
    assert (claimed["created"], claimed["result"]["originRegion"]) == (True, "430000")
    assert claimed["result"]["record"]["origin"]["sourceId"] == "S1"
    assert (await clients.post(SHOW, BODY)).json()["daysSinceTest"] == 0
    assert (await clients.post("/v1/results:claim", BODY)).json()["created"] is False
    listed = (await clients.post("/v1/results:list", {"document": DOCUMENT})).json()
    assert [(one["record"]["sourceId"], one["copiedTo"]) for one in listed["results"]] == [("S1", ["110000"])]
    assert {one["source"] for one in listed["coverage"]} == {"110000", "210000", "430000", "nation"}
    assert PERSON.hex() not in json.dumps(listed)

    wrong = {"type": "PASSPORT", "number": "?"}
    many = (await clients.post("/v1/results:batchList", {"documents": [DOCUMENT, wrong, DOCUMENT]})).json()["outcomes"]
    assert [many[0]["results"]["results"], many[2]["results"]["results"]] == [listed["results"]] * 2
    assert [one["field"] for one in many[1]["error"]["violations"]] == ["documents[1].number"]
    request = pb.BatchListResultsRequest(documents=[Document()] * 1001)
    assert (await clients.grpc_reason("BatchListResults", request))[1] == [("documents", "BATCH_SIZE")]


async def test_switch_lasts(clients: GatewayClients) -> None:
    """The holder's switch is what a code without a scope goes by, and a scope in the call goes before it."""
    body = {"document": DOCUMENT, "region": "210000"}
    assert (await clients.post(SHOW, body)).json()["scope"] == "NATIONAL"
    assert (await clients.post("/v1/healthCode:switchScope", {**body, "scope": "LOCAL"})).json() == {"scope": "LOCAL"}
    assert (await clients.post(SHOW, body)).json()["scope"] == "LOCAL"
    assert (await clients.post(SHOW, {**body, "scope": "NATIONAL"})).json()["scope"] == "NATIONAL"


async def test_regions_are_paged(clients: GatewayClients) -> None:
    """All 34, or as many as asked for at a time."""
    assert len((await clients.get("/v1/regions")).json()["regions"]) == 34
    page = (await clients.get("/v1/regions?pageSize=30")).json()
    rest = (await clients.get(f"/v1/regions?pageSize=30&pageToken={page['nextPageToken']}")).json()
    assert [len(page["regions"]), len(rest["regions"]), rest["nextPageToken"]] == [30, 4, None]
    for size in ("x", "", "1_0", "%EF%BC%91", "+1", "%201", "1.0"):
        assert reasons(await clients.get(f"/v1/regions?pageSize={size}"))[1] == [("pageSize", "WRONG_TYPE")], size
    twice = await clients.get("/v1/regions?pageSize=1&pageSize=2")
    assert reasons(twice)[1] == [("pageSize", "DUPLICATE_FIELD")]
    assert reasons(await clients.get("/v1/regions?size=3"))[1] == [("", "UNKNOWN_FIELD")]


async def test_purpose_is_a_header(clients: GatewayClients) -> None:
    """SHOW_CODE unless another is stated; what is not a purpose is refused."""
    assert (await clients.post(SHOW, BODY, **{"hutong-purpose": "VENUE_CHECK"})).status_code == 200
    reply = await clients.post(SHOW, BODY, **{"hutong-purpose": "CURIOSITY"})
    assert reasons(reply)[1] == [("hutong-purpose", "PURPOSE_UNKNOWN")]


@pytest.mark.parametrize("options", [[], IDENTITY_ALONE], ids=["takes gzip", "takes identity alone"])
@pytest.mark.parametrize(
    ("method", "asked"),
    [("BatchShowHealthCodes", MANY), ("CheckDestinations", EVERYWHERE)],
    ids=["batch", "destinations"],
)
async def test_a_large_answer_over_grpc_is_plain(
    mesh: Mesh, method: str, asked: Message, options: list[tuple[str, int]]
) -> None:
    """A server of grpc compresses whatever a client takes, and one that takes no gzip would get INTERNAL."""
    options = [*options, ("grpc.use_local_subchannel_pool", 1)]
    async with (
        serving(mesh) as (_, port),
        Proxy(f"127.0.0.1:{port}") as proxy,
        grpc.aio.insecure_channel(proxy.address, options=options) as channel,
    ):
        call = getattr(HealthCodeServiceStub(channel), method)
        answer = await call(asked, timeout=30, wait_for_ready=True, metadata=[("hutong-caller", "test")])
        assert answer.ByteSize() > 1024
        assert proxy.bytes_carried > asked.ByteSize() + answer.ByteSize()
