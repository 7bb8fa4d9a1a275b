"""What each path does, but for showing one code, which the application does itself."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl

import prometheus_client
from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import ListRegionsRequest

from gateway.application.admission import Question
from gateway.application.application import Application
from gateway.application.readiness import Probe
from gateway.application.samples import SamplePerson
from gateway.codes.cache.protocol import CacheDownError
from gateway.codes.codes import Shown
from gateway.http import views
from gateway.http.problems import problem
from gateway.http.requests import (
    BatchBody,
    BatchResultsBody,
    ClaimBody,
    Decoder,
    DestinationsBody,
    ResultsBody,
    SwitchBody,
    page_size,
)
from services.common.errors import InvalidArgument, ServiceError, Text, Violation, invalid
from services.common.requests.batches import check_batch
from services.runtime.rpc.errors import to_item_error
from services.runtime.telemetry.trace import Trace

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"


class Incoming(NamedTuple):
    """What a handler sees of a request."""

    body: bytes
    query: bytes
    purpose: Purpose.ValueType
    trace: Trace


class Reply(NamedTuple):
    """What is answered."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()


Handler = Callable[[Incoming], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `operation` names it in metrics."""

    method: str
    operation: str
    handler: Handler


class Api:
    """Translates JSON to the application and back."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._batch = Decoder(BatchBody)
        self._destinations = Decoder(DestinationsBody)
        self._results = Decoder(ResultsBody)
        self._batch_results = Decoder(BatchResultsBody)
        self._claim = Decoder(ClaimBody)
        self._switch = Decoder(SwitchBody)

    async def batch_show(self, incoming: Incoming) -> Reply:
        """POST /v1/healthCode:batchShow."""
        queries = self._batch(incoming.body).queries
        check_batch(len(queries), "queries")
        questions: list[Question | ServiceError] = []
        for index, query in enumerate(queries):
            try:
                questions.append(query.question(self._application.admission, f"queries[{index}]."))
            except InvalidArgument as error:
                questions.append(error)
        shown = await self._application.show_many(questions, incoming.purpose)
        return Reply(b'{"outcomes":[' + b",".join(map(_outcome, shown)) + b"]}")

    async def destinations(self, incoming: Incoming) -> Reply:
        """POST /v1/destinations:check."""
        problems: list[Violation] = []
        request = self._destinations(incoming.body).message(problems)
        found = await self._application.destinations(request, incoming.purpose, problems)
        listed = (
            b'{"region":' + views.encode(views.region(one.region)) + b"," + _outcome(one.code)[1:] for one in found
        )
        return Reply(b'{"destinations":[' + b",".join(listed) + b"]}")

    async def results(self, incoming: Incoming) -> Reply:
        """POST /v1/results:list."""
        page = await self._application.results(self._results(incoming.body).message(), incoming.purpose)
        return Reply(views.encode(views.results(page)))

    async def batch_results(self, incoming: Incoming) -> Reply:
        """POST /v1/results:batchList."""
        documents = [document.message() for document in self._batch_results(incoming.body).documents]
        listed = await self._application.results_of_many(documents, incoming.purpose)
        return _json(
            outcomes=[
                {"error": views.item_error(to_item_error(one))}
                if isinstance(one, ServiceError)
                else {"results": views.results(one)}
                for one in listed
            ]
        )

    async def claim(self, incoming: Incoming) -> Reply:
        """POST /v1/results:claim."""
        claimed = await self._application.claim(self._claim(incoming.body).message(), incoming.purpose)
        return _json(result=views.result(claimed.result), created=claimed.created)

    async def switch_scope(self, incoming: Incoming) -> Reply:
        """POST /v1/healthCode:switchScope."""
        switched = await self._application.switch_scope(self._switch(incoming.body).message(), incoming.purpose)
        return _json(scope=views.SCOPE[switched.scope])

    async def regions(self, incoming: Incoming) -> Reply:
        """GET /v1/regions."""
        request = ListRegionsRequest()
        for name, value in parse_qsl(incoming.query.decode("ascii", "replace"), keep_blank_values=True):
            if name == "pageSize":
                request.page_size = _integer(value)
            elif name == "pageToken":
                request.page_token = value
            else:
                raise invalid("", "UNKNOWN_FIELD", "没有这个查询参数", "There is no such query parameter")
        page = await self._application.regions(request)
        return _json(
            regions=[views.region(region) for region in page.regions], nextPageToken=page.next_page_token or None
        )


class Operations:
    """What operators and their machines ask."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    async def alive(self, incoming: Incoming) -> Reply:
        """GET /healthz: the process answers."""
        return _json(status="ALIVE")

    async def ready(self, incoming: Incoming) -> Reply:
        """GET /readyz: whether to send requests here, and what is wrong with what."""
        state = await self._probe.look()
        if state.ready:
            trouble = any(state.components.values())
            return _json(status="DEGRADED" if trouble else "READY", components=state.components)
        text = Text("网关未就绪", "The gateway is not ready")
        body = problem(503, "NOT_READY", text, incoming.trace.hex_id, components=state.components)
        return Reply(body, 503, b"application/problem+json")

    async def metrics(self, incoming: Incoming) -> Reply:
        """GET /metrics: for Prometheus."""
        try:
            await self._probe.news_ages()
        except CacheDownError:
            pass
        return Reply(prometheus_client.generate_latest(), 200, prometheus_client.CONTENT_TYPE_LATEST.encode())


def fixed(body: bytes, content_type: bytes = JSON, headers: Sequence[tuple[bytes, bytes]] = ()) -> Handler:
    """Answers always the same."""
    reply = Reply(body, 200, content_type, headers)

    async def answer(incoming: Incoming) -> Reply:
        return reply

    return answer


def sample_people(people: Sequence[SamplePerson]) -> Handler:
    """GET /v1/samplePeople."""
    return fixed(views.encode({"people": people}))


def api_routes(application: Application) -> Mapping[str, Route]:
    """The calls of the API by path, but for healthCode:show."""
    api = Api(application)
    return {
        "/v1/healthCode:batchShow": Route("POST", "BatchShowHealthCodes", api.batch_show),
        "/v1/destinations:check": Route("POST", "CheckDestinations", api.destinations),
        "/v1/results:list": Route("POST", "ListResults", api.results),
        "/v1/results:batchList": Route("POST", "BatchListResults", api.batch_results),
        "/v1/results:claim": Route("POST", "ClaimResult", api.claim),
        "/v1/healthCode:switchScope": Route("POST", "SwitchScope", api.switch_scope),
        "/v1/regions": Route("GET", "ListRegions", api.regions),
    }


def operation_routes(probe: Probe) -> Mapping[str, Route]:
    """What operators ask, by path."""
    operations = Operations(probe)
    return {
        "/healthz": Route("GET", "healthz", operations.alive),
        "/readyz": Route("GET", "readyz", operations.ready),
        "/metrics": Route("GET", "metrics", operations.metrics),
    }


def _json(**fields: object) -> Reply:
    return Reply(views.encode(fields))


def _outcome(shown: Shown | ServiceError) -> bytes:
    if isinstance(shown, ServiceError):
        return views.encode({"error": views.item_error(to_item_error(shown))})
    return b'{"code":' + shown.json() + b"}"


def _integer(value: str) -> int:
    try:
        return page_size(int(value))
    except ValueError:
        raise invalid("page_size", "WRONG_TYPE", "应为整数", "Expected an integer") from None
