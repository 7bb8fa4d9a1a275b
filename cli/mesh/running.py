"""A running mesh as `hutong up` needs it, whichever way its services run."""

from collections.abc import Mapping
from typing import Protocol

from cli.mesh.endpoints import Endpoints


class RunningMesh(Protocol):
    """A mesh. `grpc` has each service's address by name: gateway, verdict, lookup, nation and the regions' codes."""

    http: str
    grpc: Mapping[str, str]
    endpoints: Endpoints

    async def start_all(self) -> None:
        """Starts everything."""

    async def stop_all(self) -> None:
        """Ends everything, the front door first."""

    async def start(self, name: str) -> None:
        """Starts one service on the address it had."""

    async def stop(self, name: str) -> None:
        """Lets one service drain and end."""
