"""Everything that a service serves, for tests that call more than any one port has."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor

from services.runtime.rpc.binding import Binding, local_method
from services.runtime.rpc.channel import remote_method
from services.runtime.rpc.connection import Connection


def remote(service: str, caller: str, connection: Connection, contracts: Iterable[ServiceDescriptor]) -> Any:
    """Returns an object with all methods of these contracts, which calls over a connection."""
    methods = [method for contract in contracts for method in contract.methods]
    return SimpleNamespace(
        **{method.name: remote_method(method, connection, service=service, caller=caller) for method in methods}
    )


def local(service: str, caller: str, bindings: Sequence[Binding]) -> Any:
    """Returns an object with all methods of these bindings, which calls in this process."""
    methods = [(method, binding) for binding in bindings for method in binding.contract.methods]
    return SimpleNamespace(
        **{method.name: local_method(method, binding, service=service, caller=caller) for method, binding in methods}
    )
