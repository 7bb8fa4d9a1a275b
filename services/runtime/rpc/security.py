"""A server knows its callers, and what they may do, by certificates and a table or, on loopback, by their word."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import grpc

from services.runtime.access.guard import TableGuard
from services.runtime.access.table import AccessTable
from services.runtime.clock import Clock
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.peers import NamedPeers, Peers, ProvenPeers
from services.runtime.tls.credentials import server_credentials
from services.runtime.tls.files import TlsFiles


@dataclass(frozen=True, slots=True)
class Security:
    """The security that a server serves with. Without `credentials` there is no TLS, and without `table` every caller
    that gives a name may call everything."""

    peers: Peers
    credentials: grpc.ServerCredentials | None = None
    table: AccessTable | None = None

    def guarded(self, binding: Binding, regions: Collection[str]) -> Binding:
        """Returns the binding with its calls held against the table; `regions` are those whose store is
        served."""
        if self.table is None:
            return binding
        return replace(binding, guard=TableGuard(self.table, binding.guard, regions))


NO_SECURITY = Security(NamedPeers())
"""For a mesh on loopback."""


def mutual_tls(files: TlsFiles, table: AccessTable, clock: Clock) -> Security:
    """Returns what a server with certificates serves with."""
    return Security(ProvenPeers(files, clock), server_credentials(files), table)
