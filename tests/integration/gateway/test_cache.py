"""The gateway with its cache, in memory and in Redis: news, outages, and nothing of a document anywhere."""

import asyncio
import datetime
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.mesh.ports import free_port
from gateway.codes.cache.memory import MemoryCache
from gateway.settings import GatewaySettings
from services.common.id_numbers import check_character
from services.runtime.telemetry.logs import JsonLines
from tests.testkit.fakes.mesh import DOCUMENT, DOWN, NUMBER, PERSON, Mesh, record, serving
from tests.testkit.faults.recording import Measured
from tests.testkit.secret import SECRET
from tests.testkit.servers.redis import RedisServer

SHOW = "/v1/healthCode:show"
BODY: dict[str, Any] = {"document": DOCUMENT, "region": "110000"}


REDIS_SECONDS = 0.5
"""The machine may be busy, so Redis is given more time than in earnest."""


def set_up(redis_url: str = "") -> GatewaySettings:
    """Settings of a gateway on free ports."""
    return GatewaySettings(
        mesh_secret=SECRET,
        http_listen="127.0.0.1:0",
        operations_listen=f"127.0.0.1:{free_port()}",
        redis_url=redis_url,
        redis_timeout=REDIS_SECONDS,
        news_seconds=3.0,
    )


@pytest.fixture
def mesh() -> Mesh:
    """A mesh that knows one test of one person, kept in Hunan."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    return mesh


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def configured(request: pytest.FixtureRequest) -> GatewaySettings:
    """Settings with each cache in turn."""
    return set_up(request.getfixturevalue("redis_server").url if request.param == "redis" else "")


@asynccontextmanager
async def gateway(mesh: Mesh, configured: GatewaySettings, **overrides: object) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway, and a client of it."""
    async with (
        serving(mesh, configured, **overrides) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http,
    ):
        yield http


async def show(http: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    """The code, or the problem."""
    answer: dict[str, Any] = (await http.post(SHOW, json={**BODY, **more})).json()
    return answer


async def until_operators_are_told(configured: GatewaySettings, path: str, words: str) -> None:
    """Waits until a page of the operations port has these words: it tells the last look, one a second."""
    async with httpx.AsyncClient(base_url=f"http://{configured.operations_listen}") as operators, asyncio.timeout(10):
        while words not in (await operators.get(path)).text:
            await asyncio.sleep(0.05)


async def until(http: httpx.AsyncClient, **expected: Any) -> dict[str, Any]:
    """The code, once it is as expected."""
    async with asyncio.timeout(10):
        while True:
            code = await show(http)
            if expected.items() <= code.items():
                return code
            await asyncio.sleep(0.05)


async def test_code_is_cached_until_something_changes(mesh: Mesh, configured: GatewaySettings) -> None:
    """Computed, cached, dropped by a change, computed again."""
    async with gateway(mesh, configured) as http:
        assert [(await show(http))["freshness"] for _ in range(3)] == ["COMPUTED", "CACHED", "CACHED"]
        mesh.records[PERSON].clear()
        await mesh.tell(person=PERSON)
        await until(http, status="NOT_RECOGNISED", freshness="CACHED")


async def test_claim_changes_the_days_at_once(mesh: Mesh, configured: GatewaySettings) -> None:
    """No moment passes in which the old code is shown."""
    async with gateway(mesh, configured) as http:
        for _ in range(2):
            assert (await show(http))["daysSinceTest"] is None
        await http.post("/v1/results:claim", json=BODY)
        assert (await show(http))["daysSinceTest"] == 0


async def test_suspension_and_its_lifting_reach_cached_codes(mesh: Mesh, configured: GatewaySettings) -> None:
    """A laboratory's standing changes twice, and so does the code, without emptying the cache of others."""
    other = {"document": {"type": "PASSPORT", "number": "E12345678"}}
    async with gateway(mesh, configured) as http:
        await show(http)
        await show(http, **other)
        kept, mesh.records[PERSON] = mesh.records[PERSON], []
        await mesh.tell(laboratory="430000-xiangya")
        await until(http, status="NOT_RECOGNISED")
        mesh.records[PERSON] = kept
        await mesh.tell(laboratory="430000-xiangya", person=PERSON)
        await until(http, status="RECOGNISED", freshness="CACHED")
        assert (await show(http, **other))["freshness"] == "CACHED"


async def test_last_known_code_is_shown_with_its_age(mesh: Mesh, configured: GatewaySettings) -> None:
    """Refreshing while nobody answers shows what is known, marked; a person never seen gets the error."""
    async with gateway(mesh, configured) as http:
        await show(http)
        mesh.failing = DOWN
        stale = await show(http, refresh=True)
        assert (stale["freshness"], stale["status"], isinstance(stale["age"], int)) == ("STALE", "RECOGNISED", True)
        assert (await show(http, region="310000"))["reason"] == "SERVICE_UNREACHABLE"


@pytest.mark.redis
async def test_redis_killed_midway_makes_codes_slower_and_not_wrong(
    mesh: Mesh, redis_server: RedisServer, measured: Measured
) -> None:
    """Codes go on, computed; what changed meanwhile is seen; and once Redis is back, they are cached again."""
    configured = set_up(redis_server.url)
    async with gateway(mesh, configured) as http:
        await until(http, freshness="CACHED")
        redis_server.kill()
        mesh.records[PERSON].clear()
        killed = time.monotonic()
        codes = [await show(http) for _ in range(5)]
        assert [(code["status"], code["freshness"]) for code in codes] == [("NOT_RECOGNISED", "COMPUTED")] * 5
        await until_operators_are_told(configured, "/readyz", '"cache": "no answer"')
        measured.of().saw("computed codes", len(codes))
        redis_server.start()
        await until(http, status="NOT_RECOGNISED", freshness="CACHED")
        measured.of().took(time.monotonic() - killed)


@pytest.mark.redis
async def test_redis_that_hangs_does_not_hold_codes_up(
    mesh: Mesh, redis_server: RedisServer, measured: Measured
) -> None:
    """A Redis that answers nothing costs the first of many a short wait; what it comes back with is not shown."""
    async with gateway(mesh, set_up(redis_server.url)) as http:
        await until(http, freshness="CACHED")
        redis_server.freeze()
        try:
            start = time.monotonic()
            assert {(await show(http))["freshness"] for _ in range(20)} == {"COMPUTED"}
            # If each of them waited for the cache and for the limits, it would be twice as long.
            measured.of().saw("computed codes", 20)
            measured.of().took(time.monotonic() - start)
            assert time.monotonic() - start < 20 * REDIS_SECONDS
            mesh.records[PERSON].clear()
            await http.post("/v1/results:claim", json=BODY)
        finally:
            redis_server.thaw()
        for _ in range(20):
            assert (await show(http))["status"] == "NOT_RECOGNISED"
        await until(http, freshness="CACHED", status="NOT_RECOGNISED")


@pytest.mark.redis
async def test_replicas_follow_once_and_agree(mesh: Mesh, redis_server: RedisServer) -> None:
    """Two gateways on one Redis: one reads the feed for the cache, and both show the change."""
    async with gateway(mesh, set_up(redis_server.url)) as one, gateway(mesh, set_up(redis_server.url)) as two:
        await until(one, freshness="CACHED")
        assert (await show(two))["freshness"] == "CACHED"
        await two.post("/v1/results:claim", json=BODY)
        assert (await show(one))["daysSinceTest"] == 0
        mesh.records[PERSON].clear()
        await mesh.tell(person=PERSON)
        await until(two, status="NOT_RECOGNISED")
        assert (await show(one))["status"] == "NOT_RECOGNISED"
        # Besides, each of them hears for its passes what is void.
        assert mesh.calls["watch"] == 3


@pytest.mark.redis
async def test_restarted_gateway_goes_on_where_the_cache_stands(mesh: Mesh, redis_server: RedisServer) -> None:
    """A change while no gateway ran is read from the feed, and what else is cached is still good."""
    other = {"document": {"type": "PASSPORT", "number": "E12345678"}}
    async with gateway(mesh, set_up(redis_server.url)) as http:
        await until(http, freshness="CACHED")
        await show(http, **other)
    mesh.records[PERSON].clear()
    await mesh.tell(person=PERSON)
    asked = mesh.calls["verdict"]
    async with gateway(mesh, set_up(redis_server.url)) as http:
        await until(http, status="NOT_RECOGNISED", freshness="CACHED")
        assert (await show(http, **other))["freshness"] == "CACHED"
    assert mesh.calls["verdict"] == asked + 1


class Everything(logging.Handler):
    """Remembers every line as it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def logged() -> Any:
    """Every log line of the test, at every level."""
    handler = Everything()
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(before)


async def _every_call(http: httpx.AsyncClient, grpc_port: int, number: str) -> list[str]:
    """Everything the gateway answers about a document, right and wrong."""
    document = {"type": "RESIDENT_ID", "number": number}
    answers = []
    for path, body in (
        (SHOW, {"document": document, "region": "110000"}),
        (SHOW, {"document": document, "region": number}),
        (SHOW, {"document": {"type": number, "number": number}, "region": "110000"}),
        (SHOW, {"document": {"type": "PASSPORT", "number": f"{number}{number}"}, "region": "110000"}),
        (SHOW, {"document": document, "region": "110000", "at": number, "scope": number}),
        (SHOW, {"document": document, "region": "110000", number: 1}),
        (SHOW, {"document": {**document, number: number}}),
        ("/v1/healthCode:batchShow", {"queries": [{"document": document, "region": "110000"}, {"region": number}]}),
        ("/v1/destinations:check", {"document": document}),
        ("/v1/results:list", {"document": document, "pageToken": number}),
        ("/v1/results:claim", {"document": document, "region": "110000", "requestId": number}),
        ("/v1/results:claim", {"document": document, "region": "110000"}),
        ("/v1/results:list", {"document": document}),
        ("/v1/healthCode:switchScope", {"document": document, "region": "210000", "scope": "LOCAL"}),
    ):
        reply = await http.post(path, json=body)
        answers.append(f"{reply.headers} {reply.text}")
    truncated = await http.post(SHOW, content=f'{{"document":{{"number":"{number}'.encode())
    answers.append(truncated.text)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        stub = HealthCodeServiceStub(channel)
        for region in ("110000", number):
            query = pb.HealthCodeQuery(document={"type": 1, "number": number}, region=region)  # type: ignore[arg-type]
            try:
                request = pb.ShowHealthCodeRequest(query=query)
                answers.append(str(await stub.ShowHealthCode(request, metadata=[("hutong-caller", "t")])))
            except grpc.aio.AioRpcError as error:
                answers.append(f"{error.details()} {error.trailing_metadata()}")
    return answers


@pytest.mark.redis
async def test_document_number_is_nowhere_but_in_the_question(
    mesh: Mesh, redis_server: RedisServer, logged: list[str]
) -> None:
    """Not in a log line, the cache, a metric, an answer or an error; whether the services answer or fail."""
    configured = set_up(redis_server.url)
    async with serving(mesh, configured) as (http_port, grpc_port):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http:
            answers = await _every_call(http, grpc_port, NUMBER)
            assert PERSON.hex().encode() in redis_server.everything()

            def shape(verdict: object) -> None:
                raise RuntimeError(f"about {NUMBER}")

            mesh.shape = shape
            answers += [json.dumps(await show(http, region="310000", refresh=True))]
        async with httpx.AsyncClient(base_url=f"http://{configured.operations_listen}") as operators:
            metrics = (await operators.get("/metrics")).text
            assert "hutong_" in metrics
            answers.append(metrics)
        held = redis_server.everything()
    # The client's own lines are not the gateway's.
    lines = [line for line in logged if '"logger": "http' not in line]
    assert len(lines) > 0
    for place in (*answers, *lines, held.decode("latin-1")):
        assert NUMBER not in place
        assert NUMBER[:-1] not in place


NUMBERS = st.tuples(
    st.sampled_from(["110105", "430100", "810000"]),
    st.dates(min_value=datetime.date(1900, 1, 1), max_value=datetime.date(2020, 12, 31)),
    st.integers(0, 999),
).map(lambda parts: f"{parts[0]}{parts[1]:%Y%m%d}{parts[2]:03d}")


@given(numbers=st.sets(NUMBERS.map(lambda first17: first17 + check_character(first17)), min_size=1, max_size=20))
@settings(max_examples=5, deadline=None)
async def test_no_number_survives_the_door(numbers: set[str]) -> None:
    """Whoever asks, what the cache holds in memory names them by their key alone."""
    cache = MemoryCache(100)
    async with gateway(Mesh(), set_up(), cache=cache) as http:
        replies = [
            await http.post(SHOW, json={"document": {"type": "RESIDENT_ID", "number": number}, "region": "110000"})
            for number in numbers
        ]
        held = repr([(key, vars_of(person)) for key, person in cache._people.items()])
    assert [reply.status_code for reply in replies] == [200] * len(numbers)
    for number in numbers:
        assert number not in held + "".join(reply.text for reply in replies)


def vars_of(person: Any) -> Any:
    """Returns what is held of one person."""
    return person.token, person.entries
