"""The addresses of a running mesh: `endpoints.json` in its data directory."""

import os
import tempfile
from pathlib import Path

import msgspec

from services.common.regions import NATION
from services.runtime.tls.identity import Principal, store_of

FILE_NAME = "endpoints.json"


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of one mesh. gRPC addresses are host:port; `records` is by region code, and "nation"."""

    http: str
    """The gateway's base URL, such as http://127.0.0.1:8080."""
    operations: str
    """The base URL of the gateway's health and metrics."""
    gateway: str
    verdict: str
    lookup: str
    records: dict[str, str]
    pid: int
    """The process that runs the mesh; it ends the rest."""
    certificates: str = ""
    """The folder of its certificates; empty for a mesh that has none."""

    def records_for(self, region: str) -> str:
        """The store that keeps a region's records: its own, or the nation's where the region is not on the mesh."""
        return self.records.get(region) or self.records[NATION]

    def store_for(self, region: str) -> Principal:
        """Returns the name that the store of a region's records proves."""
        return store_of(region if region in self.records else NATION)


def write_endpoints(endpoints: Endpoints, data: Path) -> None:
    """Puts the file in its place at once: a reader sees the old or the new one, never half of either."""
    handle, name = tempfile.mkstemp(dir=data, prefix=f".{FILE_NAME}.")
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(endpoints), indent=2) + b"\n")
    Path(name).chmod(0o644)
    Path(name).replace(data / FILE_NAME)


def read_endpoints(data: Path) -> Endpoints | None:
    """The mesh whose data directory this is, or None when none is running there: no file, or its process has ended."""
    try:
        endpoints = msgspec.json.decode((data / FILE_NAME).read_bytes(), type=Endpoints)
    except (OSError, msgspec.MsgspecError):
        return None
    try:
        os.kill(endpoints.pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return endpoints


def remove_endpoints(data: Path) -> None:
    """Takes the file away when the mesh ends."""
    (data / FILE_NAME).unlink(missing_ok=True)
