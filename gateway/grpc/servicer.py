"""HealthCodeService: translates the contract to the application and back."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import TypeVar

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1 import health_code_service_pb2 as pb

from gateway.application.admission import Question
from gateway.application.application import Application
from gateway.codes.codes import Shown
from gateway.metrics import REQUESTS
from services.common.errors import InvalidArgument, ServiceError
from services.common.requests.batches import check_batch
from services.runtime.rpc.call import current_call
from services.runtime.rpc.errors import to_item_error

Request = TypeVar("Request")
Response = TypeVar("Response")
Method = Callable[["HealthCodeServicer", Request], Awaitable[Response]]


def asked(application: Application, queries: Sequence[pb.HealthCodeQuery]) -> Sequence[Question | ServiceError]:
    """The questions of a batch, or why one cannot be asked. Raises InvalidArgument (BATCH_SIZE)."""
    check_batch(len(queries), "queries")
    questions: list[Question | ServiceError] = []
    for index, query in enumerate(queries):
        try:
            questions.append(application.admission.question(query, f"queries[{index}]."))
        except InvalidArgument as error:
            questions.append(error)
    return questions


def _outcome(shown: Shown | ServiceError) -> pb.HealthCodeOutcome:
    if isinstance(shown, ServiceError):
        return pb.HealthCodeOutcome(error=to_item_error(shown))
    return pb.HealthCodeOutcome(code=shown.message())


def _purpose() -> Purpose.ValueType:
    return current_call().purpose


def _counted(method: Method[Request, Response]) -> Method[Request, Response]:
    """The same method, its calls counted by how they end."""

    @wraps(method)
    async def counted(self: "HealthCodeServicer", request: Request) -> Response:
        outcome = "CANCELLED"
        try:
            response = await method(self, request)
            outcome = "OK"
        except ServiceError as error:
            outcome = error.code.name
            raise
        except Exception:
            outcome = "INTERNAL"
            raise
        finally:
            REQUESTS.add("grpc", method.__name__, outcome)
        return response

    return counted


class HealthCodeServicer:
    """Serves hutong.gateway.v1.HealthCodeService. The purpose is the one the call was admitted under."""

    def __init__(self, application: Application) -> None:
        self._application = application

    @_counted
    async def ShowHealthCode(self, request: pb.ShowHealthCodeRequest) -> pb.ShowHealthCodeResponse:
        """One code."""
        question = self._application.admission.question(request.query, "query.")
        return (await self._application.show(question, _purpose())).message()

    @_counted
    async def BatchShowHealthCodes(self, request: pb.BatchShowHealthCodesRequest) -> pb.BatchShowHealthCodesResponse:
        """Many codes."""
        shown = await self._application.show_many(asked(self._application, request.queries), _purpose())
        return pb.BatchShowHealthCodesResponse(outcomes=[_outcome(one) for one in shown])

    @_counted
    async def CheckDestinations(self, request: pb.CheckDestinationsRequest) -> pb.CheckDestinationsResponse:
        """One code in many regions."""
        found = await self._application.destinations(request, _purpose())
        return pb.CheckDestinationsResponse(
            destinations=[pb.Destination(region=one.region, code=_outcome(one.code)) for one in found]
        )

    @_counted
    async def ListResults(self, request: pb.ListResultsRequest) -> pb.ListResultsResponse:
        """The person's results."""
        return await self._application.results(request, _purpose())

    @_counted
    async def BatchListResults(self, request: pb.BatchListResultsRequest) -> pb.BatchListResultsResponse:
        """Many people's results."""
        listed = await self._application.results_of_many(request.documents, _purpose())
        return pb.BatchListResultsResponse(
            outcomes=[
                pb.ResultsOutcome(error=to_item_error(one))
                if isinstance(one, ServiceError)
                else pb.ResultsOutcome(results=one)
                for one in listed
            ]
        )

    @_counted
    async def ClaimResult(self, request: pb.ClaimResultRequest) -> pb.ClaimResultResponse:
        """A result from elsewhere becomes part of a region's record."""
        return await self._application.claim(request, _purpose())

    @_counted
    async def SwitchScope(self, request: pb.SwitchScopeRequest) -> pb.SwitchScopeResponse:
        """The holder's switch."""
        return await self._application.switch_scope(request, _purpose())

    @_counted
    async def ListRegions(self, request: pb.ListRegionsRequest) -> pb.ListRegionsResponse:
        """The directory."""
        return await self._application.regions(request)
