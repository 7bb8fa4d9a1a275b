"""The calls of supervisors by path. What a records service or the verdict service knows is asked of it under its own
contract, by whoever may ask it there."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeVar

from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.gateway.v1 import supervision_service_pb2 as pb
from hutong.records.v1 import conflict_service_pb2, correction_service_pb2, laboratory_quality_service_pb2
from hutong.verdict.v1 import policy_service_pb2

from gateway.http.names import SETTLEMENT
from gateway.http.requests.decoder import Decoder
from gateway.http.requests.query import Query
from gateway.http.routing import ContractRoute, Incoming, Reply, Route, fixed
from gateway.http.supervision import bodies, tables
from gateway.http.views.answer import Answer, encode, instant
from gateway.ports import Policies, SupervisedStore
from gateway.supervision.open_data import dictionary
from gateway.supervision.supervision import Supervision
from services.common.errors import invalid
from services.common.identities import RECORDS
from services.common.regions import NATION
from services.runtime.rpc.call import current_call

CSV = b"text/csv; charset=utf-8"
_DICTIONARY = ((b"content-disposition", b'attachment; filename="dictionary.csv"'),)
MOST_ROWS = 50_000
"""A CSV has all pages, but no more rows than that: the days are then to be narrowed."""

_SUPERVISION = pb.DESCRIPTOR.services_by_name["SupervisionService"].full_name
_QUALITY = laboratory_quality_service_pb2.DESCRIPTOR.services_by_name["LaboratoryQualityService"].full_name
_CONFLICTS = conflict_service_pb2.DESCRIPTOR.services_by_name["ConflictService"].full_name
_CORRECTIONS = correction_service_pb2.DESCRIPTOR.services_by_name["CorrectionService"].full_name
_POLICIES = policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"].full_name

Row = TypeVar("Row", bound=Answer)


class Asked(NamedTuple):
    """The part of a query that no request of a contract has: the store that is meant, and the form of the answer."""

    store: str
    csv: bool


def _format(query: Query) -> bool:
    """Says whether a CSV is wanted. Raises InvalidArgument (FORMAT_UNKNOWN, WRONG_TYPE)."""
    form = query.text("format")
    if form not in ("", "JSON", "CSV"):
        raise invalid("format", "FORMAT_UNKNOWN", "format 应为 JSON 或 CSV", "The format is JSON or CSV")
    return form == "CSV"


_PAGED = ("pageSize", "pageToken", "format")
_DAYS = ("region", "firstDay", "lastDay", *_PAGED)
_OF_STORE = ("store", "firstDay", "lastDay", *_PAGED)


class SupervisionApi:
    """Reads what supervisors ask, asks it, and shows the answers."""

    def __init__(self, supervision: Supervision, stores: Mapping[str, SupervisedStore], policies: Policies) -> None:
        self._supervision = supervision
        self._stores = stores
        self._policies = policies
        self._reopen = Decoder(bodies.ReopenRequest)
        self._settle = Decoder(bodies.SettleRequest)
        self._request_result = Decoder(bodies.RequestResultRequest)

    def figures_request(self, incoming: Incoming) -> tuple[pb.ListFiguresRequest, Asked]:
        """Reads GET /v1/supervision/figures."""
        query = Query(incoming.query, _DAYS)
        request = pb.ListFiguresRequest(
            region=query.text("region"),
            first_day=query.text("firstDay"),
            last_day=query.text("lastDay"),
            page_size=query.number("pageSize"),
            page_token=query.token("pageToken"),
        )
        return request, Asked("", _format(query))

    async def figures(self, asked: Asked, request: pb.ListFiguresRequest) -> Reply:
        """Answers GET /v1/supervision/figures."""

        async def page() -> tuple[list[tables.FiguresRow], str]:
            response = await self._supervision.figures(request)
            return [tables.figures_row(one) for one in response.figures], response.next_page_token

        if asked.csv:
            return await _csv(tables.FiguresRow, request, page)
        rows, token = await page()
        return Reply(encode(tables.FiguresTable(rows, token or None)))

    def refusals_request(self, incoming: Incoming) -> tuple[pb.ListRefusalsRequest, Asked]:
        """Reads GET /v1/supervision/refusals."""
        query = Query(incoming.query, _DAYS)
        request = pb.ListRefusalsRequest(
            region=query.text("region"),
            first_day=query.text("firstDay"),
            last_day=query.text("lastDay"),
            purpose=incoming.purpose,  # type: ignore[arg-type]  # an open enum
            page_size=query.number("pageSize"),
            page_token=query.token("pageToken"),
        )
        return request, Asked("", _format(query))

    async def refusals(self, asked: Asked, request: pb.ListRefusalsRequest) -> Reply:
        """Answers GET /v1/supervision/refusals."""

        async def page() -> tuple[list[tables.RefusalRow], str]:
            response = await self._supervision.refusals(request)
            return [tables.refusal_row(one) for one in response.refusals], response.next_page_token

        if asked.csv:
            return await _csv(tables.RefusalRow, request, page)
        rows, token = await page()
        return Reply(encode(tables.RefusalsTable(rows, token or None)))

    def reopen_request(self, incoming: Incoming) -> tuple[pb.ReopenRefusalRequest, None]:
        """Reads POST /v1/supervision/refusals:reopen."""
        body = self._reopen(incoming.body)
        return (
            pb.ReopenRefusalRequest(
                refusal_id=body.refusal_id,
                purpose=incoming.purpose,  # type: ignore[arg-type]  # an open enum
            ),
            None,
        )

    async def reopen(self, asked: None, request: pb.ReopenRefusalRequest) -> Reply:
        """Answers POST /v1/supervision/refusals:reopen."""
        response = await self._supervision.reopen(request, current_call().purpose)
        return Reply(encode(tables.reopened(response)))

    def laboratories_request(
        self, incoming: Incoming
    ) -> tuple[laboratory_quality_service_pb2.ListLaboratoryQualityRequest, Asked]:
        """Reads GET /v1/supervision/laboratories."""
        query = Query(incoming.query, _OF_STORE)
        request = laboratory_quality_service_pb2.ListLaboratoryQualityRequest(
            days=_days(query), page_size=query.number("pageSize"), page_token=query.token("pageToken")
        )
        return request, Asked(query.token("store"), _format(query))

    async def laboratories(
        self, asked: Asked, request: laboratory_quality_service_pb2.ListLaboratoryQualityRequest
    ) -> Reply:
        """Answers GET /v1/supervision/laboratories."""

        async def page() -> tuple[list[tables.LaboratoryRow], str]:
            more = await self._store(asked).ListLaboratoryQuality(request)
            return [tables.laboratory_row(one) for one in more.quality], more.next_page_token

        if asked.csv:
            return await _csv(tables.LaboratoryRow, request, page)
        response = await self._store(asked).ListLaboratoryQuality(request)
        rows = [tables.laboratory_row(one) for one in response.quality]
        known_at = instant(response.known_at)
        return Reply(encode(tables.LaboratoriesTable(rows, known_at, response.next_page_token or None)))

    def overdue_request(
        self, incoming: Incoming
    ) -> tuple[laboratory_quality_service_pb2.ListOverdueSamplesRequest, Asked]:
        """Reads GET /v1/supervision/overdueSamples."""
        query = Query(incoming.query, _OF_STORE)
        request = laboratory_quality_service_pb2.ListOverdueSamplesRequest(
            days=_days(query), page_size=query.number("pageSize"), page_token=query.token("pageToken")
        )
        return request, Asked(query.token("store"), _format(query))

    async def overdue(self, asked: Asked, request: laboratory_quality_service_pb2.ListOverdueSamplesRequest) -> Reply:
        """Answers GET /v1/supervision/overdueSamples."""

        async def page() -> tuple[list[tables.OverdueRow], str]:
            response = await self._store(asked).ListOverdueSamples(request)
            return [tables.overdue_row(one) for one in response.samples], response.next_page_token

        if asked.csv:
            return await _csv(tables.OverdueRow, request, page)
        rows, token = await page()
        return Reply(encode(tables.OverdueTable(rows, token or None)))

    def conflicts_request(self, incoming: Incoming) -> tuple[conflict_service_pb2.ListConflictsRequest, Asked]:
        """Reads GET /v1/supervision/conflicts."""
        query = Query(incoming.query, ("store", *_PAGED))
        request = conflict_service_pb2.ListConflictsRequest(
            purpose=incoming.purpose,  # type: ignore[arg-type]  # an open enum
            page_size=query.number("pageSize"),
            page_token=query.token("pageToken"),
        )
        return request, Asked(query.token("store"), _format(query))

    async def conflicts(self, asked: Asked, request: conflict_service_pb2.ListConflictsRequest) -> Reply:
        """Answers GET /v1/supervision/conflicts."""
        request.purpose = current_call().purpose

        async def page() -> tuple[list[tables.ConflictRow], str]:
            response = await self._store(asked).ListConflicts(request)
            return [tables.conflict_row(one) for one in response.conflicts], response.next_page_token

        if asked.csv:
            return await _csv(tables.ConflictRow, request, page)
        rows, token = await page()
        return Reply(encode(tables.ConflictsTable(rows, token or None)))

    def settle_request(self, incoming: Incoming) -> tuple[conflict_service_pb2.SettleConflictRequest, str]:
        """Reads POST /v1/supervision/conflicts:settle."""
        body = self._settle(incoming.body)
        request = conflict_service_pb2.SettleConflictRequest(
            conflict_id=body.conflict_id,
            settlement=SETTLEMENT.number(body.settlement),  # type: ignore[arg-type]  # an open enum
            cause=body.cause,
            purpose=incoming.purpose,  # type: ignore[arg-type]  # an open enum
        )
        return request, body.store or NATION

    async def settle(self, store: str, request: conflict_service_pb2.SettleConflictRequest) -> Reply:
        """Answers POST /v1/supervision/conflicts:settle."""
        request.purpose = current_call().purpose
        request.store.CopyFrom(StoreIdentity(kind=RECORDS, region=store))
        response = await self._named(store, "store").SettleConflict(request)
        return Reply(encode(tables.settled(response.conflict)))

    def result_request(self, incoming: Incoming) -> tuple[correction_service_pb2.RequestResultRequest, None]:
        """Reads POST /v1/supervision/overdueSamples:requestResult."""
        body = self._request_result(incoming.body)
        request = correction_service_pb2.RequestResultRequest(
            region=body.region,
            source_id=body.source_id,
            text=body.text,
            purpose=incoming.purpose,  # type: ignore[arg-type]  # an open enum
        )
        return request, None

    async def ask_for_result(self, asked: None, request: correction_service_pb2.RequestResultRequest) -> Reply:
        """Answers POST /v1/supervision/overdueSamples:requestResult: by the store where the record is, the region's own
        or, of a region that is not on the mesh, the nation's."""
        store = request.region if request.region in self._stores else NATION
        request.purpose = current_call().purpose
        request.store.CopyFrom(StoreIdentity(kind=RECORDS, region=store))
        response = await self._named(store, "region").RequestResult(request)
        return Reply(encode(tables.inquired(response)))

    def policies_request(self, incoming: Incoming) -> tuple[policy_service_pb2.FindStricterPoliciesRequest, Asked]:
        """Reads GET /v1/supervision/policies."""
        return policy_service_pb2.FindStricterPoliciesRequest(), Asked("", _format(Query(incoming.query, ("format",))))

    async def policies(self, asked: Asked, request: policy_service_pb2.FindStricterPoliciesRequest) -> Reply:
        """Answers GET /v1/supervision/policies."""
        response = await self._policies.FindStricterPolicies(request)
        rows = [tables.policy_row(one) for one in response.policies]
        if asked.csv:
            return Reply(tables.csv_of(tables.PolicyRow, rows), content_type=CSV)
        return Reply(encode(tables.PoliciesTable(rows)))

    def open_data_request(self, incoming: Incoming) -> tuple[pb.StreamOpenDataRequest, None]:
        """Reads GET /v1/supervision/openData."""
        query = Query(incoming.query, ("firstDay", "lastDay"))
        return pb.StreamOpenDataRequest(first_day=query.text("firstDay"), last_day=query.text("lastDay")), None

    async def open_data(self, asked: None, request: pb.StreamOpenDataRequest) -> Reply:
        """Answers GET /v1/supervision/openData."""
        pieces = await self._supervision.open_data(request)
        name = b'attachment; filename="recognition.csv"'
        return Reply(b"", content_type=CSV, headers=((b"content-disposition", name),), pieces=pieces)

    def _store(self, asked: Asked) -> SupervisedStore:
        return self._named(asked.store or NATION, "store")

    def _named(self, name: str, field: str) -> SupervisedStore:
        store = self._stores.get(name)
        if store is None:
            raise invalid(field, "STORE_UNKNOWN", "没有这个地区的库", "There is no store of this region on the mesh")
        return store


def _days(query: Query) -> laboratory_quality_service_pb2.DayRange:
    return laboratory_quality_service_pb2.DayRange(first=query.text("firstDay"), last=query.text("lastDay"))


async def _csv(
    kind: type[Row],
    request: (
        pb.ListFiguresRequest
        | pb.ListRefusalsRequest
        | laboratory_quality_service_pb2.ListLaboratoryQualityRequest
        | laboratory_quality_service_pb2.ListOverdueSamplesRequest
        | conflict_service_pb2.ListConflictsRequest
    ),
    page: Callable[[], Awaitable[tuple[list[Row], str]]],
) -> Reply:
    """Returns all pages as one file. Raises InvalidArgument (TOO_MANY_ROWS)."""
    request.page_size = 1_000
    rows: list[Row] = []
    while True:
        more, request.page_token = await page()
        rows += more
        if not request.page_token:
            return Reply(tables.csv_of(kind, rows), content_type=CSV)
        if len(rows) >= MOST_ROWS:
            raise invalid("first_day", "TOO_MANY_ROWS", "行数过多，请缩短日期范围", "Too many rows: ask for fewer days")


def supervision_routes(
    supervision: Supervision, stores: Mapping[str, SupervisedStore], policies: Policies
) -> Mapping[str, Route]:
    """Returns the calls of supervisors by path."""
    api = SupervisionApi(supervision, stores, policies)
    routes: Mapping[str, Route] = {
        "/v1/supervision/figures": ContractRoute(
            _SUPERVISION, "ListFigures", api.figures_request, api.figures, method="GET"
        ),
        "/v1/supervision/refusals": ContractRoute(
            _SUPERVISION, "ListRefusals", api.refusals_request, api.refusals, method="GET"
        ),
        "/v1/supervision/refusals:reopen": ContractRoute(_SUPERVISION, "ReopenRefusal", api.reopen_request, api.reopen),
        "/v1/supervision/openData": ContractRoute(
            _SUPERVISION, "StreamOpenData", api.open_data_request, api.open_data, method="GET"
        ),
        "/v1/supervision/openDataDictionary": fixed("openDataDictionary", dictionary(), CSV, _DICTIONARY),
        "/v1/supervision/laboratories": ContractRoute(
            _QUALITY, "ListLaboratoryQuality", api.laboratories_request, api.laboratories, method="GET"
        ),
        "/v1/supervision/overdueSamples": ContractRoute(
            _QUALITY, "ListOverdueSamples", api.overdue_request, api.overdue, method="GET"
        ),
        "/v1/supervision/conflicts": ContractRoute(
            _CONFLICTS, "ListConflicts", api.conflicts_request, api.conflicts, method="GET"
        ),
        "/v1/supervision/conflicts:settle": ContractRoute(
            _CONFLICTS, "SettleConflict", api.settle_request, api.settle, changes=True
        ),
        "/v1/supervision/overdueSamples:requestResult": ContractRoute(
            _CORRECTIONS, "RequestResult", api.result_request, api.ask_for_result, changes=True
        ),
        "/v1/supervision/policies": ContractRoute(
            _POLICIES, "FindStricterPolicies", api.policies_request, api.policies, method="GET"
        ),
    }
    return routes
