"""HealthCodeService: translates the contract to the front and back."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import TypeVar

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1 import health_code_service_pb2 as pb

from gateway.codes import Shown
from gateway.front import Front
from gateway.metrics import REQUESTS
from gateway.questions import Question
from services.common.errors import InvalidArgument, ServiceError
from services.common.limits import check_batch
from services.runtime.call import current_call
from services.runtime.wire_errors import to_item_error

Request = TypeVar("Request")
Response = TypeVar("Response")
Method = Callable[["HealthCodeServicer", Request], Awaitable[Response]]


def asked(front: Front, queries: Sequence[pb.HealthCodeQuery]) -> Sequence[Question | ServiceError]:
    """The questions of a batch, or why one cannot be asked. Raises InvalidArgument (BATCH_SIZE)."""
    check_batch(len(queries), "queries")
    questions: list[Question | ServiceError] = []
    for index, query in enumerate(queries):
        try:
            questions.append(front.door.question(query, f"queries[{index}]."))
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

    def __init__(self, front: Front) -> None:
        self._front = front

    @_counted
    async def ShowHealthCode(self, request: pb.ShowHealthCodeRequest) -> pb.ShowHealthCodeResponse:
        """One code."""
        question = self._front.door.question(request.query, "query.")
        return (await self._front.show(question, _purpose())).message()

    @_counted
    async def BatchShowHealthCodes(self, request: pb.BatchShowHealthCodesRequest) -> pb.BatchShowHealthCodesResponse:
        """Many codes."""
        shown = await self._front.show_many(asked(self._front, request.queries), _purpose())
        return pb.BatchShowHealthCodesResponse(outcomes=[_outcome(one) for one in shown])

    @_counted
    async def CheckDestinations(self, request: pb.CheckDestinationsRequest) -> pb.CheckDestinationsResponse:
        """One code in many regions."""
        found = await self._front.destinations(request, _purpose())
        return pb.CheckDestinationsResponse(
            destinations=[pb.Destination(region=one.region, code=_outcome(one.code)) for one in found]
        )

    @_counted
    async def ListResults(self, request: pb.ListResultsRequest) -> pb.ListResultsResponse:
        """The person's results."""
        return await self._front.results(request, _purpose())

    @_counted
    async def BatchListResults(self, request: pb.BatchListResultsRequest) -> pb.BatchListResultsResponse:
        """Many people's results."""
        listed = await self._front.results_of_many(request.documents, _purpose())
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
        return await self._front.claim(request, _purpose())

    @_counted
    async def SwitchScope(self, request: pb.SwitchScopeRequest) -> pb.SwitchScopeResponse:
        """The holder's switch."""
        return await self._front.switch_scope(request, _purpose())

    @_counted
    async def ListRegions(self, request: pb.ListRegionsRequest) -> pb.ListRegionsResponse:
        """The directory."""
        return await self._front.regions(request)
