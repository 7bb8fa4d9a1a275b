"""Ties a servicer to its contract, for a wire or for the same process.

A servicer is any object whose methods have the contract's names and take a request: `async def GetRegion(self,
request)` returns the response; a server-streaming method is an async generator; one that takes a stream as well is an
async generator that is given an async iterator of requests. A stream that many follow yields SharedMessages. It
raises ServiceError. A caller sees the same shape
through `local` and, over a wire, through `services.runtime.rpc.channel.remote`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from services.runtime.rpc.access import Guard, NamedCallers
from services.runtime.rpc.call import Call, current_call
from services.runtime.rpc.pipeline import Pipeline
from services.runtime.rpc.port import contract_methods, implemented
from services.runtime.rpc.shared_message import Answer, SharedMessage
from services.runtime.telemetry.trace import current_trace
from services.runtime.tls.identity import PRINCIPALS

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Binding:
    """A contract's service and the object that serves it. Raises TypeError when a method is missing, and for a stream
    of requests that is answered once: nothing could be acknowledged on the way."""

    contract: ServiceDescriptor
    servicer: object
    guard: Guard = field(default_factory=NamedCallers)
    heavy: frozenset[str] = frozenset()
    """Its methods that are refused first when there is too much to do."""
    heavy_purposes: frozenset[int] = frozenset()
    """Purposes for which each method is refused first as well."""
    needs: frozenset[str] = frozenset()
    """Components that this contract needs and the service's others can do without, such as what writes need."""

    def __post_init__(self) -> None:
        half = [m.name for m in self.contract.methods if m.client_streaming and not m.server_streaming]
        if half:
            raise TypeError(f"{self.contract.full_name}: a stream of requests has a stream of responses, unlike {half}")
        missing = [method.name for method in self.contract.methods if not hasattr(self.servicer, method.name)]
        if missing:
            raise TypeError(f"{type(self.servicer).__name__} lacks {missing} of {self.contract.full_name}")


def _onward(caller: str) -> Call:
    # The callee's span belongs below the caller's innermost one, as it does over a wire.
    call = current_call()
    # A principal's name is given by who composed the process: nobody claims it.
    proven = caller.startswith(PRINCIPALS)
    return Call(caller, call.deadline, current_trace() or call.trace, call.purpose, users=call.users, proven=proven)


def local(port: type[P], bindings: Sequence[Binding], *, service: str, caller: str) -> P:
    """Returns a port that calls the servicers of these bindings in this process, with no wire between.

    The same admission, deadline, span and errors apply as over a wire. Messages are passed as they are: neither side
    may change one it has handed over. Raises TypeError for a port with a method that no binding has.
    """
    servicers = {binding.contract.full_name: binding for binding in bindings}
    methods: dict[str, Callable[..., Any]] = {}
    for name, method in contract_methods(port).items():
        binding = servicers.get(method.containing_service.full_name)
        if binding is None:
            raise TypeError(f"{service} does not serve {port.__name__}.{name}")
        methods[name] = local_method(method, binding, service=service, caller=caller)
    return implemented(port, methods)


def local_method(method: MethodDescriptor, binding: Binding, *, service: str, caller: str) -> Callable[..., Any]:
    """Returns a function that calls one method of a binding's servicer in this process."""
    pipeline = Pipeline(service, binding.guard)
    name = f"{binding.contract.full_name}/{method.name}"
    handler = getattr(binding.servicer, method.name)

    def unary(request: Message) -> Awaitable[Message]:
        return pipeline.unary(name, handler, request, _onward(caller))

    def stream(request: Message) -> AsyncIterator[Message]:
        return _messages(pipeline.stream(name, handler, request, _onward(caller)))

    def duplex(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        return _messages(pipeline.duplex(name, handler, requests, _onward(caller)))

    if not method.server_streaming:
        return unary
    return duplex if method.client_streaming else stream


async def _messages(answers: AsyncIterator[Answer]) -> AsyncIterator[Message]:
    async with aclosing(cast(AsyncGenerator[Answer, None], answers)) as living:
        async for answer in living:
            yield answer.message if isinstance(answer, SharedMessage) else answer
