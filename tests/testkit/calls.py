"""Everything that a service serves, for tests that call more than any one port has."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from services.runtime.rpc.binding import Binding, local_method
from services.runtime.rpc.channel import remote_method


def remote(service: str, caller: str, channel: grpc.aio.Channel, contracts: Iterable[ServiceDescriptor]) -> Any:
    """Returns an object with all methods of these contracts, which calls over a channel."""
    methods = [method for contract in contracts for method in contract.methods]
    return SimpleNamespace(
        **{method.name: remote_method(method, channel, service=service, caller=caller) for method in methods}
    )


def local(service: str, caller: str, bindings: Sequence[Binding]) -> Any:
    """Returns an object with all methods of these bindings, which calls in this process."""
    methods = [(method, binding) for binding in bindings for method in binding.contract.methods]
    return SimpleNamespace(
        **{method.name: local_method(method, binding, service=service, caller=caller) for method, binding in methods}
    )
