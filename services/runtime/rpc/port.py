"""A port: a protocol whose methods are methods of contracts, by name, with the contracts' messages.

Who calls declares the few methods it needs; `services.runtime.rpc.channel.remote` and
`services.runtime.rpc.binding.local` give an object that has them, over a wire or within the process. The contract that
a method belongs to follows from the class of its request.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar, cast, get_args, get_origin, get_type_hints

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

P = TypeVar("P")

_BASES = (object, Protocol)


def contract_methods(port: type[Any]) -> Mapping[str, MethodDescriptor]:
    """Returns the contracts' methods that a port's stand for, by name. Raises TypeError for a method that no contract
    has, or whose messages are not the contract's."""
    return {
        name: _contract_method(port, name, function)
        for kind in reversed(port.__mro__)
        if kind not in _BASES
        for name, function in vars(kind).items()
        if name[0].isupper() and callable(function)
    }


def implemented(port: type[P], methods: Mapping[str, Callable[..., Any]]) -> P:
    """Returns an object with the methods of a port, which do what these do."""
    return cast(P, SimpleNamespace(**{name: methods[name] for name in contract_methods(port)}))


def request_class(method: MethodDescriptor) -> type[Message]:
    """Returns the class of a method's requests."""
    return GetMessageClass(method.input_type)


def response_class(method: MethodDescriptor) -> type[Message]:
    """Returns the class of a method's responses."""
    return GetMessageClass(method.output_type)


def _contract_method(port: type[Any], name: str, function: Callable[..., Any]) -> MethodDescriptor:
    hints = get_type_hints(function)
    response = hints.pop("return", None)
    (request,) = hints.values()
    message, many = _streamed(request)
    descriptor: Descriptor = message.DESCRIPTOR
    for contract in descriptor.file.services_by_name.values():
        method: MethodDescriptor | None = contract.methods_by_name.get(name)
        if method is not None and method.input_type is descriptor:
            told = (response_class(method), method.server_streaming, method.client_streaming)
            if told != (*_streamed(response), many):
                raise TypeError(f"{port.__name__}.{name} is not as {contract.full_name} has it")
            return method
    raise TypeError(f"{port.__name__}.{name}: no contract has such a method")


def _streamed(hint: Any) -> tuple[Any, bool]:
    """Returns the message of a hint, and whether it is a stream of them."""
    if get_origin(hint) is AsyncIterator:
        return get_args(hint)[0], True
    return hint, False
