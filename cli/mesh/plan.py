"""The plan of a mesh on one machine: who keeps what, where each service listens, where its data lies. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cli.mesh.endpoints import Endpoints
from services.common.mesh_directory import Member, MeshDirectory
from services.common.regions import NATION, divisions
from services.runtime.tls.identity import Principal, principal, store_of

REGIONS = ("110000", "210000", "220000", "310000", "340000", "410000", "430000", "440000", "510000")
"""The regions on the mesh: those of the founding text, and 410000 as one that is not yet updated. The records of all
others reach the nation by file."""

HTTP, OPERATIONS, GATEWAY, VERDICT, LOOKUP = "http", "operations", "gateway", "verdict", "lookup"
SUPERVISION, PUSH = "supervision", "push"
"""The gateway's own stores."""
HOST = "127.0.0.1"

RECORD_STORES = (*REGIONS, NATION)
SERVICES = (*RECORD_STORES, LOOKUP, VERDICT, GATEWAY)
"""Every service, in the order in which they depend on one another."""

PRINCIPALS = {name: store_of(name) for name in RECORD_STORES} | {
    name: principal(f"mesh/{name}") for name in (LOOKUP, VERDICT, GATEWAY)
}
"""The name that each service proves where there are certificates."""

OPERATOR = principal("operator/me")
SUPERVISOR = principal("supervisor/me")
"""The people who sit at this machine."""


def system_of(region: str) -> Principal:
    """Returns the name of a region's own system."""
    return principal(f"region/{region}/system")


_OFFSETS = {HTTP: 0, GATEWAY: 1, VERDICT: 2, LOOKUP: 3, OPERATIONS: 4, NATION: 10} | {
    region: 11 + place for place, region in enumerate(REGIONS)
}
PORTS = tuple(_OFFSETS)
"""The names of all ports: HTTP's, that of the gateway's operators, and a gRPC port for each service."""


def ports_from(port: int) -> dict[str, int]:
    """Returns the ports of a mesh whose HTTP port is this: gateway +1, verdict +2, lookup +3, operations +4,
    nation +10, regions from +11."""
    return {name: port + offset for name, offset in _OFFSETS.items()}


MOST_PORT = 65_535 - max(_OFFSETS.values())
"""The greatest HTTP port that leaves room for the others."""


def kept_by_nation() -> list[str]:
    """The regions whose records the nation's store keeps itself."""
    return [code for code in divisions() if code not in REGIONS]


@dataclass(frozen=True, slots=True)
class Plan:
    """One mesh. `ports` has a port for each of PORTS; `policies` replaces the policies in the package; an empty `redis`
    leaves the cache in memory; `samples` is a file of sample people for the gateway to serve, or None."""

    data: Path
    secret: str
    ports: Mapping[str, int]
    policies: Path | None = None
    redis: str = ""
    samples: Path | None = None
    audits: bool = True
    """Whether each service keeps an audit trail."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """Limits that are not the default ones, as HUTONG_LIMITS has them."""
    certificates: Path | None = None
    """The folder of certificates, where services prove their names to each other; None: they do not."""

    def address(self, name: str) -> str:
        """Returns the address of a service, host:port."""
        return f"{HOST}:{self.ports[name]}"

    def store_file(self, name: str) -> Path:
        """Returns the file of a service's store."""
        return self.data.resolve() / f"{name}.db"

    def store_url(self, name: str) -> str:
        """Returns the URL of a service's store."""
        return f"sqlite:///{self.store_file(name)}"

    def audit(self, name: str) -> str:
        """Returns the folder of a service's audit trail, empty where none is kept."""
        return str(self.data.resolve() / "audit" / name) if self.audits else ""

    @property
    def development(self) -> str:
        """Returns the folder of the development issuer's key."""
        return str(self.data.resolve() / "development")

    @property
    def signers(self) -> Path:
        """The folder of the regions' signers of test certificates, and so of those that are trusted."""
        return self.data.resolve() / "signers"

    @property
    def directory(self) -> Path:
        """The file that lists who is on the mesh."""
        return self.data.resolve() / "directory.yaml"

    @property
    def members(self) -> MeshDirectory:
        """Returns who is on the mesh, as that file lists them."""
        regions = {region: Member(self.address(region)) for region in REGIONS}
        return MeshDirectory(Member(self.address(NATION)), regions)

    def keeps(self, store: str) -> list[str]:
        """The regions whose records may be written to a records store."""
        return kept_by_nation() if store == NATION else [store]

    def endpoints(self, pid: int) -> Endpoints:
        """Returns the addresses of the mesh that process `pid` runs."""
        return Endpoints(
            http=f"http://{self.address(HTTP)}",
            operations=f"http://{self.address(OPERATIONS)}",
            gateway=self.address(GATEWAY),
            verdict=self.address(VERDICT),
            lookup=self.address(LOOKUP),
            records={store: self.address(store) for store in (NATION, *REGIONS)},
            pid=pid,
            certificates=str(self.certificates.resolve()) if self.certificates else "",
        )
