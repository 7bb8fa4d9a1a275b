"""A route: one method of one path, from the bytes of a request to those of its reply."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from gateway.load.weights import weight_of
from services.runtime.resilience.overload import Weight
from services.runtime.rpc.call import Call
from services.runtime.rpc.pipeline import Pipeline

Request = TypeVar("Request", bound=Message)
Found = TypeVar("Found")

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"


class Incoming(NamedTuple):
    """The parts of a request that a route reads. `purpose` is the number that the request's header names, or 0; `local`
    is true of who asks this machine by its own name, through no proxy."""

    body: bytes
    query: bytes
    purpose: int
    local: bool = False


class Reply(NamedTuple):
    """The parts of a reply. Its body is `body` and, after it, `kept`: bytes kept ready and shown many times;
    `kept_digest` is their digest."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()
    kept: bytes = b""
    kept_digest: bytes = b""
    pieces: AsyncIterator[bytes] | None = None
    """The rest of the body, piece by piece, made while it is sent; nobody knows its length yet."""


class Route(Protocol):
    """One method of one path. `operation` names it in metrics."""

    @property
    def method(self) -> str:
        """The method of HTTP: GET or POST."""

    @property
    def operation(self) -> str:
        """The method of the contract, or the last part of the path."""

    @property
    def weight(self) -> Weight | None:
        """The weight that counts when there is too much to do; None: never refused for that."""

    @property
    def open(self) -> bool:
        """True for what is about nobody, and answered to anybody."""

    @property
    def changes(self) -> bool:
        """True for what changes something: then a body says that it is JSON, which no other site's page can."""

    async def serve(self, incoming: Incoming, call: Call, pipeline: Pipeline, span_name: str) -> Reply:
        """Serves one request. Raises ServiceError."""


class ContractRoute(Generic[Request, Found]):
    """A method of a contract. `decode` makes its message, and finds what is wrong with single fields; `answer` is given
    both."""

    def __init__(
        self,
        contract: str,
        operation: str,
        decode: Callable[[Incoming], tuple[Request, Found]],
        answer: Callable[[Found, Request], Awaitable[Reply]],
        *,
        method: str = "POST",
        changes: bool = False,
    ) -> None:
        self.method = method
        self.weight = weight_of(operation)
        self.open = False
        self.changes = changes
        self.operation = operation
        self._name = f"{contract}/{operation}"
        self._decode = decode
        self._answer = answer

    async def serve(self, incoming: Incoming, call: Call, pipeline: Pipeline, span_name: str) -> Reply:
        """See Route."""
        request, found = self._decode(incoming)
        return await pipeline.unary(self._name, partial(self._answer, found), request, call, span_name=span_name)


@dataclass(frozen=True, slots=True)
class PlainRoute:
    """A path that asks for nothing but itself, and is answered to anybody."""

    operation: str
    answer: Callable[[], Awaitable[Reply]]
    weight: Weight | None = None
    method: str = "GET"
    open: bool = True
    changes: bool = False

    async def serve(self, incoming: Incoming, call: Call, pipeline: Pipeline, span_name: str) -> Reply:
        """See Route."""
        return await pipeline.unary(self.operation, self._answer, _EMPTY, call, span_name=span_name)

    async def _answer(self, request: Empty) -> Reply:
        return await self.answer()


_EMPTY = Empty()


def fixed(
    operation: str, body: bytes, content_type: bytes = JSON, headers: Sequence[tuple[bytes, bytes]] = ()
) -> Route:
    """Returns a route that always answers the same."""
    reply = Reply(body, 200, content_type, headers)

    async def answer() -> Reply:
        return reply

    return PlainRoute(operation, answer)
