"""Ties a servicer to its contract, for a wire or for the same process.

A servicer is any object whose methods have the contract's names and take a request: `async def GetRegion(self,
request)` returns the response; a server-streaming method is an async generator; one that takes a stream as well is an
async generator that is given an async iterator of requests. It raises ServiceError. A caller sees the same shape
through `local` and, over a wire, through `services.runtime.rpc.channel.remote`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from msgspec.structs import replace

from services.runtime.rpc.access import Guard, NamedCallers
from services.runtime.rpc.call import Call, current_call
from services.runtime.rpc.pipeline import Pipeline
from services.runtime.telemetry.trace import current_trace


@dataclass(frozen=True, slots=True)
class Binding:
    """A contract's service and the object that serves it. Raises TypeError when a method is missing, and for a stream
    of requests that is answered once: nothing could be acknowledged on the way."""

    contract: ServiceDescriptor
    servicer: object
    guard: Guard = field(default_factory=NamedCallers)

    def __post_init__(self) -> None:
        half = [m.name for m in self.contract.methods if m.client_streaming and not m.server_streaming]
        if half:
            raise TypeError(f"{self.contract.full_name}: a stream of requests has a stream of responses, unlike {half}")
        missing = [method.name for method in self.contract.methods if not hasattr(self.servicer, method.name)]
        if missing:
            raise TypeError(f"{type(self.servicer).__name__} lacks {missing} of {self.contract.full_name}")


def request_class(method: MethodDescriptor) -> type[Message]:
    """The class of a method's requests."""
    return GetMessageClass(method.input_type)


def response_class(method: MethodDescriptor) -> type[Message]:
    """The class of a method's responses."""
    return GetMessageClass(method.output_type)


def _onward(caller: str) -> Call:
    # The callee's span belongs below the caller's innermost one, as it does over a wire.
    call = current_call()
    return replace(call, caller=caller, trace=current_trace() or call.trace)


def local(service: str, caller: str, bindings: Sequence[Binding]) -> Any:
    """An object that calls the methods of these bindings in this process, with no wire between.

    The same admission, deadline, span and errors apply as over a wire. Messages are passed as they are: neither side
    may change one it has handed over. The result is untyped; assign it to the narrow protocol the caller declares.
    """
    methods: dict[str, Any] = {}
    for binding in bindings:
        pipeline = Pipeline(service, binding.guard)
        for method in binding.contract.methods:
            name = f"{binding.contract.full_name}/{method.name}"
            handler = getattr(binding.servicer, method.name)

            def unary(request: Message, name: str = name, handler: Any = handler, pipeline: Pipeline = pipeline) -> Any:
                return pipeline.unary(name, handler, request, _onward(caller))

            def stream(
                request: Message, name: str = name, handler: Any = handler, pipeline: Pipeline = pipeline
            ) -> AsyncIterator[Message]:
                return pipeline.stream(name, handler, request, _onward(caller))

            def duplex(
                requests: AsyncIterator[Message],
                name: str = name,
                handler: Any = handler,
                pipeline: Pipeline = pipeline,
            ) -> AsyncIterator[Message]:
                return pipeline.duplex(name, handler, requests, _onward(caller))

            chosen: Callable[..., Any] = unary
            if method.server_streaming:
                chosen = duplex if method.client_streaming else stream
            methods[method.name] = chosen
    return SimpleNamespace(**methods)
