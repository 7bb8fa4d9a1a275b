"""The gateway refuses over HTTP and gRPC for the same reasons."""

import json
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.gateway.v1 import health_code_service_pb2 as pb

from services.common.errors import Code, DeadlineExceeded, NotFound, ServiceError, Text
from tests.testkit.fakes.mesh import DOCUMENT, DOWN, NUMBER
from tests.testkit.servers.gateway_clients import BODY, SHOW, GatewayClients, document_message, reasons

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
    clients: GatewayClients, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """Every wrong field is named at once, with the same reasons over HTTP and gRPC."""
    reply = await clients.post(SHOW, body)
    assert (reply.status_code, reasons(reply)) == (400, ("INVALID_ARGUMENT", expected))
    document = body.get("document", {})
    query = pb.HealthCodeQuery(
        document=document_message(TYPES.get(document.get("type", ""), 0), document.get("number", "")),
        region=body.get("region", ""),
        scope=7 if "scope" in body else 0,  # type: ignore[arg-type]
    )
    over_grpc = await clients.grpc_reason("ShowHealthCode", pb.ShowHealthCodeRequest(query=query))
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
    clients: GatewayClients,
    method: str,
    path: str,
    body: bytes,
    status: int,
    reason: str,
    violations: list[tuple[str, str]],
) -> None:
    """What only HTTP can get wrong is a problem with a stable reason, too."""
    headers = {"content-type": "application/json"}
    reply = await clients.http.request(method, path, content=body, headers=headers)
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.status_code, reasons(reply)) == (status, (reason, violations))
    problem = {"$ref": "#/components/schemas/Problem", "components": clients.document["components"]}
    jsonschema.Draft202012Validator(problem).validate(reply.json())
    if status == 405:
        assert reply.headers["allow"] == ("POST, OPTIONS" if path == SHOW else "GET, HEAD, OPTIONS")


async def test_unknown_path_is_a_problem(clients: GatewayClients) -> None:
    """Nothing is served where nothing is."""
    reply = await clients.http.get("/v2/healthCode")
    assert (reply.status_code, reply.json()["reason"]) == (404, "PATH_UNKNOWN")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_other_content_types_are_refused(clients: GatewayClients, kind: str) -> None:
    """A form is not JSON."""
    reply = await clients.http.post(SHOW, content=json.dumps(BODY), headers={"content-type": kind})
    assert (reply.status_code, reply.json()["reason"]) == (415, "CONTENT_TYPE_UNSUPPORTED")


async def test_body_too_large_in_pieces_is_refused(clients: GatewayClients) -> None:
    """A body without a length is counted as it comes."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 32768

    reply = await clients.http.post(SHOW, content=pieces(), headers={"content-type": "application/json"})
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
async def test_instant_is_never_guessed(clients: GatewayClients, at: str, reason: str) -> None:
    """An instant without an offset is an error, never silently UTC; named with whatever else is wrong."""
    reply = await clients.post(SHOW, {**BODY, "region": "1", "at": at})
    assert reasons(reply)[1] == [("at", reason), ("region", "REGION_UNKNOWN")]
    reply = await clients.post("/v1/destinations:check", {"document": DOCUMENT, "at": at})
    assert reasons(reply)[1] == [("at", reason)]


async def test_instant_beyond_the_calendar_is_refused_over_grpc(clients: GatewayClients) -> None:
    """A timestamp message can say more than a calendar can."""
    query = pb.HealthCodeQuery(document=document_message(), region="110000", at=Timestamp(seconds=1 << 50))
    reason = await clients.grpc_reason("ShowHealthCode", pb.ShowHealthCodeRequest(query=query))
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
async def test_error_of_a_service_reaches_both_doors(clients: GatewayClients, error: ServiceError, status: int) -> None:
    """The gRPC code becomes the HTTP status google.rpc documents; the reason stays what it was."""
    clients.mesh.item_error = error
    reply = await clients.http.post(SHOW, json=BODY)
    problem = reply.json()
    assert (reply.status_code, problem["status"], problem["reason"]) == (status, status, error.reason)
    assert problem["detail"] == str(error.text)
    assert ("retry-after" in reply.headers) == (status in (429, 503))
    query = pb.HealthCodeQuery(document=document_message(), region="110000")
    assert await clients.grpc_reason("ShowHealthCode", pb.ShowHealthCodeRequest(query=query)) == (error.reason, [])


async def test_unexpected_error_says_nothing_but_its_trace(clients: GatewayClients) -> None:
    """What went wrong inside stays inside."""

    def shape(verdict: object) -> None:
        raise RuntimeError(f"the secret is {NUMBER}")

    clients.mesh.shape = shape
    reply = await clients.post(SHOW, BODY)
    assert (reply.status_code, reply.json()["reason"]) == (500, "INTERNAL")
    assert NUMBER not in reply.text
    assert reply.json()["traceId"] == reply.headers["traceparent"].split("-")[1]


async def test_batch_of_too_many_is_refused_by_both(clients: GatewayClients) -> None:
    """A batch has 1 to 1,000 questions."""
    reply = await clients.post("/v1/healthCode:batchShow", {"queries": [BODY] * 1001})
    assert reasons(reply)[1] == [("queries", "BATCH_SIZE")]
    request = pb.BatchShowHealthCodesRequest(queries=[pb.HealthCodeQuery()] * 1001)
    assert (await clients.grpc_reason("BatchShowHealthCodes", request))[1] == [("queries", "BATCH_SIZE")]


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
    clients: GatewayClients, path: str, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """Over HTTP a field has the name it was sent under."""
    assert reasons(await clients.post(path, body)) == ("INVALID_ARGUMENT", expected)


async def test_nothing_to_claim_is_not_found(clients: GatewayClients) -> None:
    """The reason of the service that refused is the gateway's."""
    clients.mesh.records.clear()
    reply = await clients.post("/v1/results:claim", BODY)
    assert (reply.status_code, reply.json()["reason"]) == (404, "RESULT_NOT_FOUND")
    request = pb.ClaimResultRequest(document=document_message(), region="110000")
    assert await clients.grpc_reason("ClaimResult", request) == ("RESULT_NOT_FOUND", [])
