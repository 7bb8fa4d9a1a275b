"""The gateway's two doors: the same answers, the same reasons, and every HTTP answer as the OpenAPI document has it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import jsonschema
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Document
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub

from gateway.application.samples import SampleDocument, SamplePerson
from gateway.settings import GatewaySettings
from services.common.errors import Code, DeadlineExceeded, NotFound, ServiceError, Text
from services.runtime.rpc.errors import from_rpc_error
from tests.testkit.fakes.mesh import DOCUMENT, DOWN, NUMBER, PERSON, Mesh, record, serving
from tests.testkit.secret import SECRET

SHOW = "/v1/healthCode:show"
BODY: dict[str, Any] = {"document": DOCUMENT, "region": "110000"}
PEOPLE = [
    SamplePerson(
        Text("张三", "Zhang San"), SampleDocument("RESIDENT_ID", NUMBER), "110000", Text("湖南结果", "A Hunan result")
    )
]


@dataclass
class Doors:
    """Both, over one mesh. Every answer over HTTP is held against the document."""

    mesh: Mesh
    http: httpx.AsyncClient
    stub: Any  # typed for the synchronous channel
    document: dict[str, Any]

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Sends JSON."""
        return self.conforming(await self.http.post(path, json=body, headers=headers))

    async def get(self, path: str) -> httpx.Response:
        """Asks."""
        return self.conforming(await self.http.get(path))

    def conforming(self, reply: httpx.Response) -> httpx.Response:
        """The reply, after it was held against what the document promises for its path, method and status."""
        promised = self.document["paths"][reply.url.path][reply.request.method.lower()]["responses"]
        content = promised[str(reply.status_code)]["content"]
        kind = reply.headers["content-type"]
        schema = {**content[kind]["schema"], "components": self.document["components"]}
        jsonschema.Draft202012Validator(schema).validate(reply.json())
        return reply

    async def grpc_reason(self, method: str, request: Any) -> tuple[str, list[tuple[str, str]]]:
        """The reason a call fails with, and its violations."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await getattr(self.stub, method)(request, timeout=5, metadata=[("hutong-caller", "test")])
        error = from_rpc_error(raised.value, "gateway")
        return error.reason, [(v.field.removeprefix("query."), v.reason) for v in error.violations]


@pytest.fixture
def mesh() -> Mesh:
    """A mesh that knows one test of one person, kept in Hunan."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    return mesh


@pytest.fixture
async def doors(mesh: Mesh) -> AsyncIterator[Doors]:
    """A gateway on two ports of its own."""
    async with (
        serving(mesh, sample_people=PEOPLE) as (http_port, grpc_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        document = (await http.get("/openapi.json")).json()
        yield Doors(mesh, http, HealthCodeServiceStub(channel), document)


def reasons(reply: httpx.Response) -> tuple[str, list[tuple[str, str]]]:
    """The reason of a problem, and its violations."""
    problem = reply.json()
    return problem["reason"], [(v["field"], v["reason"]) for v in problem["violations"]]


WRONG_BODIES = [
    pytest.param({}, [("document.type", "DOCUMENT_TYPE_REQUIRED"), ("region", "REGION_REQUIRED")], id="nothing"),
    pytest.param({**BODY, "region": "999999"}, [("region", "REGION_UNKNOWN")], id="region"),
    pytest.param({**BODY, "scope": "GLOBAL"}, [("scope", "SCOPE_UNKNOWN")], id="scope"),
    pytest.param(
        {**BODY, "document": {"type": "RESIDENT_ID", "number": "110105194912310021"}},
        [("document.number", "DOCUMENT_NUMBER_CHECK")],
        id="check character",
    ),
    pytest.param(
        {**BODY, "document": {"type": "RESIDENT_ID"}},
        [("document.number", "DOCUMENT_NUMBER_REQUIRED")],
        id="number missing",
    ),
    pytest.param(
        {**BODY, "document": {"type": "LIBRARY_CARD", "number": "12345"}},
        [("document.type", "DOCUMENT_TYPE_UNKNOWN")],
        id="type",
    ),
    pytest.param(
        {"document": {"type": "PASSPORT", "number": "!"}, "region": "11", "scope": "?"},
        [
            ("document.number", "DOCUMENT_NUMBER_FORMAT"),
            ("region", "REGION_UNKNOWN"),
            ("scope", "SCOPE_UNKNOWN"),
        ],
        id="everything",
    ),
]

TYPES = {"RESIDENT_ID": 1, "PASSPORT": 2, "LIBRARY_CARD": 99}


@pytest.mark.parametrize(("body", "expected"), WRONG_BODIES)
async def test_both_doors_refuse_for_the_same_reasons(
    doors: Doors, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """Every wrong field is named at once, with the same reasons over HTTP and gRPC."""
    reply = await doors.post(SHOW, body)
    assert (reply.status_code, reasons(reply)) == (400, ("INVALID_ARGUMENT", expected))
    document = body.get("document", {})
    query = pb.HealthCodeQuery(
        document=_document(TYPES.get(document.get("type", ""), 0), document.get("number", "")),
        region=body.get("region", ""),
        scope=7 if "scope" in body else 0,  # type: ignore[arg-type]
    )
    over_grpc = await doors.grpc_reason("ShowHealthCode", pb.ShowHealthCodeRequest(query=query))
    assert over_grpc == ("INVALID_ARGUMENT", expected)


HTTP_ERRORS = [
    pytest.param("POST", SHOW, b"{", 400, "INVALID_ARGUMENT", [("", "JSON_MALFORMED")], id="cut short"),
    pytest.param("POST", SHOW, b"", 400, "INVALID_ARGUMENT", [("", "JSON_MALFORMED")], id="empty"),
    pytest.param("POST", SHOW, b"\xff{}", 400, "INVALID_ARGUMENT", [("", "JSON_MALFORMED")], id="not UTF-8"),
    pytest.param("POST", SHOW, b'{"region":"\xff"}', 400, "INVALID_ARGUMENT", [("", "JSON_MALFORMED")], id="text"),
    pytest.param("POST", SHOW, b"[" * 60000, 400, "INVALID_ARGUMENT", [("", "WRONG_TYPE")], id="deep"),
    pytest.param("POST", SHOW, b"[]", 400, "INVALID_ARGUMENT", [("", "WRONG_TYPE")], id="list"),
    pytest.param("POST", SHOW, b'{"x":1}', 400, "INVALID_ARGUMENT", [("x", "UNKNOWN_FIELD")], id="unknown field"),
    pytest.param(
        "POST",
        SHOW,
        b'{"document":{"sex":1}}',
        400,
        "INVALID_ARGUMENT",
        [("document.sex", "UNKNOWN_FIELD")],
        id="inner",
    ),
    pytest.param(
        "POST",
        SHOW,
        b'{"document":{"type":"PASSPORT","number":"E12345678","numbr":1},"region":"110000"}',
        400,
        "INVALID_ARGUMENT",
        [("document.numbr", "UNKNOWN_FIELD")],
        id="misspelt inner",
    ),
    pytest.param(
        "POST",
        SHOW,
        json.dumps({"document": {NUMBER: 1}}).encode(),
        400,
        "INVALID_ARGUMENT",
        [("document.?", "UNKNOWN_FIELD")],
        id="a number as a name",
    ),
    pytest.param("POST", SHOW, b'{"region":1}', 400, "INVALID_ARGUMENT", [("region", "WRONG_TYPE")], id="wrong type"),
    pytest.param("POST", SHOW, b'{"refresh":"yes"}', 400, "INVALID_ARGUMENT", [("refresh", "WRONG_TYPE")], id="bool"),
    pytest.param(
        "POST",
        "/v1/healthCode:batchShow",
        b'{"queries":[{},{"region":2}]}',
        400,
        "INVALID_ARGUMENT",
        [("queries[1].region", "WRONG_TYPE")],
        id="in a list",
    ),
    pytest.param(
        "POST",
        "/v1/healthCode:batchShow",
        b'{"queries":[]}',
        400,
        "INVALID_ARGUMENT",
        [("queries", "BATCH_SIZE")],
        id="nothing asked",
    ),
    pytest.param("GET", SHOW, b"", 405, "METHOD_NOT_ALLOWED", [], id="wrong method"),
    pytest.param("POST", "/v1/regions", b"{}", 405, "METHOD_NOT_ALLOWED", [], id="wrong method, too"),
    pytest.param("POST", SHOW, b" " * ((1 << 20) + 1), 413, "BODY_TOO_LARGE", [], id="too large"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "reason", "violations"), HTTP_ERRORS)
async def test_http_refuses_what_is_not_a_request(
    doors: Doors, method: str, path: str, body: bytes, status: int, reason: str, violations: list[tuple[str, str]]
) -> None:
    """What only HTTP can get wrong is a problem with a stable reason, too."""
    headers = {"content-type": "application/json"}
    reply = await doors.http.request(method, path, content=body, headers=headers)
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.status_code, reasons(reply)) == (status, (reason, violations))
    problem = {"$ref": "#/components/schemas/Problem", "components": doors.document["components"]}
    jsonschema.Draft202012Validator(problem).validate(reply.json())
    if status == 405:
        assert reply.headers["allow"] == ("POST, OPTIONS" if path == SHOW else "GET, HEAD, OPTIONS")


async def test_unknown_path_is_a_problem(doors: Doors) -> None:
    """Nothing is served where nothing is."""
    reply = await doors.http.get("/v2/healthCode")
    assert (reply.status_code, reply.json()["reason"]) == (404, "PATH_UNKNOWN")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_other_content_types_are_refused(doors: Doors, kind: str) -> None:
    """A form is not JSON."""
    reply = await doors.http.post(SHOW, content=json.dumps(BODY), headers={"content-type": kind})
    assert (reply.status_code, reply.json()["reason"]) == (415, "CONTENT_TYPE_UNSUPPORTED")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_json_however_it_is_written(doors: Doors, kind: str) -> None:
    """Parameters and case of the content type do not matter."""
    reply = await doors.http.post(SHOW, content=json.dumps(BODY), headers={"content-type": kind})
    assert reply.status_code == 200


async def test_body_too_large_in_pieces_is_refused(doors: Doors) -> None:
    """A body without a length is counted as it comes."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 32768

    reply = await doors.http.post(SHOW, content=pieces(), headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["reason"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("2022-08-05T13:20:00", "INSTANT_NEEDS_OFFSET"),
        ("2022-08-05", "INSTANT_FORMAT"),
        ("yesterday", "INSTANT_FORMAT"),
        ("", "INSTANT_FORMAT"),
        ("2022-08-05T25:00:00+08:00", "INSTANT_FORMAT"),
    ],
)
async def test_instant_is_never_guessed(doors: Doors, at: str, reason: str) -> None:
    """An instant without an offset is an error, never silently UTC; named with whatever else is wrong."""
    reply = await doors.post(SHOW, {**BODY, "region": "1", "at": at})
    assert reasons(reply)[1] == [("at", reason), ("region", "REGION_UNKNOWN")]
    reply = await doors.post("/v1/destinations:check", {"document": DOCUMENT, "at": at})
    assert reasons(reply)[1] == [("at", reason)]


async def test_instant_beyond_the_calendar_is_refused_over_grpc(doors: Doors) -> None:
    """A timestamp message can say more than a calendar can."""
    query = pb.HealthCodeQuery(document=_document(), region="110000", at=Timestamp(seconds=1 << 50))
    reason = await doors.grpc_reason("ShowHealthCode", pb.ShowHealthCodeRequest(query=query))
    assert reason == ("INVALID_ARGUMENT", [("at", "INSTANT_RANGE")])


SERVICE_ERRORS = [
    (DOWN, 503),
    (DeadlineExceeded(), 504),
    (NotFound("POLICY_NOT_FOUND", "没有规则", "There is no policy"), 404),
    (ServiceError(Code.FAILED_PRECONDITION, "REGION_NOT_ON_MESH", Text("未接入", "Not on the mesh")), 400),
    (ServiceError(Code.RESOURCE_EXHAUSTED, "TOO_MANY", Text("过多", "Too many")), 429),
    (ServiceError(Code.PERMISSION_DENIED, "CALLER_DENIED", Text("无权", "Denied")), 403),
    (ServiceError(Code.UNAUTHENTICATED, "CALLER_UNNAMED", Text("未认证", "Unauthenticated")), 401),
    (ServiceError(Code.ALREADY_EXISTS, "EXISTS", Text("已存在", "Exists")), 409),
    (ServiceError(Code.ABORTED, "ABORTED", Text("中止", "Aborted")), 409),
    (ServiceError(Code.UNIMPLEMENTED, "UNIMPLEMENTED", Text("未实现", "Not implemented")), 501),
    (ServiceError(Code.INTERNAL, "INTERNAL", Text("内部错误", "Internal")), 500),
]


@pytest.mark.parametrize(("error", "status"), SERVICE_ERRORS, ids=lambda value: getattr(value, "reason", None))
async def test_error_of_a_service_reaches_both_doors(doors: Doors, error: ServiceError, status: int) -> None:
    """The gRPC code becomes the HTTP status google.rpc documents; the reason stays what it was."""
    doors.mesh.item_error = error
    reply = await doors.http.post(SHOW, json=BODY)
    problem = reply.json()
    assert (reply.status_code, problem["status"], problem["reason"]) == (status, status, error.reason)
    assert problem["detail"] == str(error.text)
    assert ("retry-after" in reply.headers) == (status == 503)
    query = pb.HealthCodeQuery(document=_document(), region="110000")
    assert await doors.grpc_reason("ShowHealthCode", pb.ShowHealthCodeRequest(query=query)) == (error.reason, [])


async def test_unexpected_error_says_nothing_but_its_trace(doors: Doors) -> None:
    """What went wrong inside stays inside."""

    def shape(verdict: object) -> None:
        raise RuntimeError(f"the secret is {NUMBER}")

    doors.mesh.shape = shape
    reply = await doors.post(SHOW, BODY)
    assert (reply.status_code, reply.json()["reason"]) == (500, "INTERNAL")
    assert NUMBER not in reply.text
    assert reply.json()["traceId"] == reply.headers["traceparent"].split("-")[1]


async def test_code_is_the_same_through_both_doors(doors: Doors) -> None:
    """The first question computes, the second finds it cached, whichever door each came through."""
    reply = await doors.post(SHOW, BODY)
    code = reply.json()
    query = pb.HealthCodeQuery(document=_document(), region="110000")
    request = pb.ShowHealthCodeRequest(query=query)
    over_grpc = await doors.stub.ShowHealthCode(request, timeout=5, metadata=[("hutong-caller", "test")])
    assert (code["freshness"], over_grpc.freshness) == ("COMPUTED", pb.FRESHNESS_CACHED)
    assert (await doors.post(SHOW, BODY)).json() == {**code, "freshness": "CACHED"}
    verdict = over_grpc.verdict
    assert [code["status"], code["colour"], code["scope"]] == ["RECOGNISED", "GREEN", "NATIONAL"]
    assert (verdict.status, verdict.colour, verdict.region, verdict.person_keys) == (1, 1, "110000", [])
    assert [ground["clause"] for ground in code["grounds"]] == [ground.clause for ground in verdict.grounds]
    assert code["policy"]["contentHash"] == verdict.policy.content_hash.hex()
    assert code["validUntil"].endswith("+08:00")
    assert PERSON.hex() not in reply.text
    assert doors.mesh.calls["verdict"] == 1


async def test_batch_answers_each_in_order(doors: Doors) -> None:
    """One that cannot be asked does not sink the others."""
    wrong = {**BODY, "region": "1"}
    reply = await doors.post("/v1/healthCode:batchShow", {"queries": [BODY, wrong, {**BODY, "region": "310000"}]})
    first, second, third = reply.json()["outcomes"]
    assert [first["code"]["region"], third["code"]["region"]] == ["110000", "310000"]
    assert [(v["field"], v["reason"]) for v in second["error"]["violations"]] == [
        ("queries[1].region", "REGION_UNKNOWN")
    ]
    queries = [pb.HealthCodeQuery(document=_document(), region=region) for region in ("110000", "1", "310000")]
    request = pb.BatchShowHealthCodesRequest(queries=queries)
    answer = await doors.stub.BatchShowHealthCodes(request, timeout=5, metadata=[("hutong-caller", "test")])
    assert [one.WhichOneof("outcome") for one in answer.outcomes] == ["code", "error", "code"]
    assert answer.outcomes[1].error.violations[0].field == "queries[1].region"


async def test_batch_of_too_many_is_refused_by_both(doors: Doors) -> None:
    """A batch has 1 to 1,000 questions."""
    reply = await doors.post("/v1/healthCode:batchShow", {"queries": [BODY] * 1001})
    assert reasons(reply)[1] == [("queries", "BATCH_SIZE")]
    request = pb.BatchShowHealthCodesRequest(queries=[pb.HealthCodeQuery()] * 1001)
    assert (await doors.grpc_reason("BatchShowHealthCodes", request))[1] == [("queries", "BATCH_SIZE")]


async def test_destinations_come_in_the_order_asked(doors: Doors) -> None:
    """Each region with its code; all that have a policy when none is named."""
    body = {"document": DOCUMENT, "regions": ["310000", "110000"], "view": "FULL"}
    asked = (await doors.post("/v1/destinations:check", body)).json()["destinations"]
    assert [(one["region"]["region"], one["code"]["region"]) for one in asked] == [("310000",) * 2, ("110000",) * 2]
    everywhere = (await doors.post("/v1/destinations:check", {"document": DOCUMENT})).json()["destinations"]
    assert len(everywhere) == 34
    wrong = await doors.post("/v1/destinations:check", {"document": DOCUMENT, "regions": ["110000", "x"]})
    assert reasons(wrong)[1] == [("regions[1]", "REGION_UNKNOWN")]


async def test_claim_makes_a_copy_that_is_listed_once(doors: Doors) -> None:
    """The days since test change at once, the test is one line, and twice is once."""
    assert (await doors.post(SHOW, BODY)).json()["daysSinceTest"] is None
    claimed = (await doors.post("/v1/results:claim", BODY)).json()
    assert (claimed["created"], claimed["result"]["originRegion"]) == (True, "430000")
    assert claimed["result"]["record"]["origin"]["sourceId"] == "S1"
    assert (await doors.post(SHOW, BODY)).json()["daysSinceTest"] == 0
    assert (await doors.post("/v1/results:claim", BODY)).json()["created"] is False
    listed = (await doors.post("/v1/results:list", {"document": DOCUMENT})).json()
    assert [(one["record"]["sourceId"], one["copiedTo"]) for one in listed["results"]] == [("S1", ["110000"])]
    assert {one["source"] for one in listed["coverage"]} == {"110000", "210000", "430000", "nation"}
    assert PERSON.hex() not in json.dumps(listed)

    wrong = {"type": "PASSPORT", "number": "?"}
    many = (await doors.post("/v1/results:batchList", {"documents": [DOCUMENT, wrong, DOCUMENT]})).json()["outcomes"]
    assert [many[0]["results"]["results"], many[2]["results"]["results"]] == [listed["results"]] * 2
    assert [one["field"] for one in many[1]["error"]["violations"]] == ["documents[1].number"]
    request = pb.BatchListResultsRequest(documents=[Document()] * 1001)
    assert (await doors.grpc_reason("BatchListResults", request))[1] == [("documents", "BATCH_SIZE")]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/results:claim", {}, [("document.type", "DOCUMENT_TYPE_REQUIRED"), ("region", "REGION_REQUIRED")]),
        ("/v1/results:claim", {**BODY, "originRegion": "430000"}, [("originSourceId", "ORIGIN_INCOMPLETE")]),
        ("/v1/results:claim", {**BODY, "requestId": "again"}, [("requestId", "REQUEST_ID_FORMAT")]),
        ("/v1/healthCode:switchScope", BODY, [("scope", "SCOPE_REQUIRED")]),
        ("/v1/healthCode:switchScope", {**BODY, "scope": "HOME"}, [("scope", "SCOPE_UNKNOWN")]),
        ("/v1/results:list", {"document": DOCUMENT, "pageToken": "x"}, [("pageToken", "PAGE_TOKEN")]),
        ("/v1/results:list", {"document": DOCUMENT, "pageSize": -1}, [("pageSize", "PAGE_SIZE")]),
        ("/v1/results:list", {"document": DOCUMENT, "pageSize": 1 << 40}, [("pageSize", "PAGE_SIZE")]),
    ],
)
async def test_violations_are_named_as_in_json(
    doors: Doors, path: str, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """Over HTTP a field has the name it was sent under."""
    assert reasons(await doors.post(path, body)) == ("INVALID_ARGUMENT", expected)


async def test_nothing_to_claim_is_not_found(doors: Doors) -> None:
    """The reason of the service that refused is the gateway's."""
    doors.mesh.records.clear()
    reply = await doors.post("/v1/results:claim", BODY)
    assert (reply.status_code, reply.json()["reason"]) == (404, "RESULT_NOT_FOUND")
    request = pb.ClaimResultRequest(document=_document(), region="110000")
    assert await doors.grpc_reason("ClaimResult", request) == ("RESULT_NOT_FOUND", [])


async def test_switch_lasts(doors: Doors) -> None:
    """The holder's switch is what a code without a scope goes by, and a scope in the call goes before it."""
    body = {"document": DOCUMENT, "region": "210000"}
    assert (await doors.post(SHOW, body)).json()["scope"] == "NATIONAL"
    assert (await doors.post("/v1/healthCode:switchScope", {**body, "scope": "LOCAL"})).json() == {"scope": "LOCAL"}
    assert (await doors.post(SHOW, body)).json()["scope"] == "LOCAL"
    assert (await doors.post(SHOW, {**body, "scope": "NATIONAL"})).json()["scope"] == "NATIONAL"


async def test_regions_are_paged(doors: Doors) -> None:
    """All 34, or as many as asked for at a time."""
    assert len((await doors.get("/v1/regions")).json()["regions"]) == 34
    page = (await doors.get("/v1/regions?pageSize=30")).json()
    rest = (await doors.get(f"/v1/regions?pageSize=30&pageToken={page['nextPageToken']}")).json()
    assert [len(page["regions"]), len(rest["regions"]), rest["nextPageToken"]] == [30, 4, None]
    assert reasons(await doors.get("/v1/regions?pageSize=x"))[1] == [("pageSize", "WRONG_TYPE")]
    assert reasons(await doors.get("/v1/regions?size=3"))[1] == [("", "UNKNOWN_FIELD")]


async def test_purpose_is_a_header(doors: Doors) -> None:
    """SHOW_CODE unless another is stated; what is not a purpose is refused."""
    assert (await doors.post(SHOW, BODY, **{"hutong-purpose": "VENUE_CHECK"})).status_code == 200
    reply = await doors.post(SHOW, BODY, **{"hutong-purpose": "CURIOSITY"})
    assert reasons(reply)[1] == [("hutong-purpose", "PURPOSE_UNKNOWN")]


async def test_trace_is_continued_and_answered(doors: Doors) -> None:
    """A caller's trace goes on; without one, or with a malformed one, one begins that the answer names."""
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    reply = await doors.post(SHOW, BODY, traceparent=given)
    assert reply.headers["traceparent"] == given
    for headers in ({}, {"traceparent": "nonsense"}):
        begun = (await doors.post(SHOW, BODY, **headers)).headers["traceparent"].split("-")
        assert (len(begun[1]), int(begun[1], 16) > 0, int(begun[2], 16) > 0) == (32, True, True)
    wrong = await doors.post(SHOW, {}, traceparent=given)
    assert wrong.json()["traceId"] == given.split("-")[1]


async def test_readiness_names_its_components(doors: Doors) -> None:
    """Ready with everything up, degraded without news or verdicts: the last verdicts can still be shown."""
    assert (await doors.get("/readyz")).json() == {
        "status": "READY",
        "components": {"verdict": "", "lookup": "", "cache": "", "news": ""},
    }
    doors.mesh.cut = True
    doors.mesh.failing = DOWN
    async with asyncio.timeout(15):
        while (reply := (await doors.get("/readyz")).json())["components"]["verdict"] == "":
            await asyncio.sleep(0.1)
    assert (reply["status"], reply["components"]["verdict"]) == ("DEGRADED", "SERVICE_UNREACHABLE")
    assert (await doors.get("/healthz")).json() == {"status": "ALIVE"}


async def test_metrics_count_requests_and_outcomes(doors: Doors) -> None:
    """Requests by method and how they ended, codes by what the cache had to do with them, and the news' age."""
    for _ in range(2):
        await doors.post(SHOW, BODY)
    await doors.post(SHOW, {})
    text = (await doors.http.get("/metrics")).text
    for line in (
        'hutong_gateway_requests_total{method="ShowHealthCode",outcome="OK",transport="http"}',
        'hutong_gateway_requests_total{method="ShowHealthCode",outcome="INVALID_ARGUMENT",transport="http"}',
        'hutong_gateway_codes_total{cache="HIT"}',
        'hutong_gateway_codes_total{cache="MISS"}',
        'hutong_gateway_news_age_seconds{feed="nation"}',
    ):
        assert line in text


async def test_sample_people_are_shown_where_there_are_any(doors: Doors, mesh: Mesh) -> None:
    """Their documents are shown only where people are invented; elsewhere there is no such path."""
    (person,) = (await doors.get("/v1/samplePeople")).json()["people"]
    assert (person["document"], person["name"]["zh"]) == (DOCUMENT, "张三")
    async with (
        serving(mesh) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as bare,
    ):
        assert (await bare.get("/v1/samplePeople")).status_code == 404
        assert "/v1/samplePeople" not in (await bare.get("/openapi.json")).json()["paths"]


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_need_nothing_from_elsewhere(doors: Doors, path: str) -> None:
    """A page is Chinese first, complete in itself, and its policy lets nothing else in."""
    reply = await doors.http.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<html lang="zh-CN">' in reply.text
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    for mark in ('src="', "url(", "@import", 'rel="stylesheet"', "https://"):
        assert mark not in reply.text


async def test_document_is_openapi_and_its_examples_are_true(doors: Doors) -> None:
    """Every path that is served is described, every schema is one, and every example is of its schema."""
    document = doors.document
    served = {"/v1/samplePeople", "/readyz", "/healthz", "/metrics", "/v1/regions", SHOW}
    assert served <= set(document["paths"])
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    checked = 0
    for methods in document["paths"].values():
        for operation in methods.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (one for body in bodies for one in body.get("content", {}).values()):
                if "example" in content:
                    schema = {**content["schema"], "components": document["components"]}
                    jsonschema.Draft202012Validator(schema).validate(content["example"])
                    checked += 1
    assert checked > 15


async def test_head_is_get_without_a_body(doors: Doors) -> None:
    """What can be got can be asked for by its headers alone."""
    reply = await doors.http.head("/healthz")
    assert (reply.status_code, reply.content) == (200, b"")


async def test_taken_port_is_an_error_not_a_shared_one(doors: Doors, mesh: Mesh) -> None:
    """Two gateways on one port would share its connections silently."""
    from gateway.http.app import HttpApplication
    from gateway.server import HttpServer
    from tests.testkit.fakes.mesh import compose

    app: HttpApplication = compose(mesh).app
    with pytest.raises(OSError, match="is the port taken"):
        await HttpServer(app).start(f"127.0.0.1:{doors.http.base_url.port}", 1)


async def test_a_caller_cannot_have_everything_traced(mesh: Mesh) -> None:
    """Over both doors together so many a second, here one for good; the trace itself goes on."""
    asked, unsampled = (f"00-{'1' * 32}-{'2' * 16}-{flags}" for flags in ("01", "00"))
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", trace_asked=1e-9)
    async with serving(mesh, settings) as (port, grpc_port), grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as to:
        stub: Any = HealthCodeServiceStub(to)
        request = pb.ShowHealthCodeRequest(query=pb.HealthCodeQuery(document=_document(), region="110000"))
        await stub.ShowHealthCode(request, timeout=5, metadata=[("hutong-caller", "test"), ("traceparent", asked)])
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            reply = await http.post(SHOW, json=BODY, headers={"traceparent": asked})
    assert (200, unsampled) == (reply.status_code, reply.headers["traceparent"])


def _document(kind: int = 1, number: str = NUMBER) -> Document:
    return Document(type=kind, number=number)  # type: ignore[arg-type]
