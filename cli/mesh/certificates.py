"""The certificates of a mesh on this machine: one for each service, each region's own system, and whoever sits here."""

from pathlib import Path
from typing import TypedDict

from cli.certificates.authority import utc_now
from cli.certificates.development import TRUST, certificate_folder, write_certificates
from cli.mesh.plan import OPERATOR, PRINCIPALS, SUPERVISOR, Plan, system_of
from services.common.regions import divisions

FOLDER = "certificates"


def write_mesh_certificates(data: Path) -> Path:
    """Makes or renews the certificates of the mesh whose data lies in a folder; returns where they are. A mesh that
    runs goes on with the new ones."""
    folder = data / FOLDER
    systems = [system_of(region) for region in divisions()]
    write_certificates(folder, [*PRINCIPALS.values(), OPERATOR, SUPERVISOR, *systems], now=utc_now())
    return folder


class TlsSettings(TypedDict, total=False):
    """The settings of a service that proves its name."""

    tls_certificate: str
    tls_key: str
    tls_trust: str


def tls_settings(plan: Plan, name: str) -> TlsSettings:
    """Returns the settings with which a service proves its name, none in a mesh without certificates."""
    if plan.certificates is None:
        return {}
    folder = plan.certificates.resolve()
    own = certificate_folder(folder, PRINCIPALS[name])
    return TlsSettings(
        tls_certificate=str(own / "tls.crt"), tls_key=str(own / "tls.key"), tls_trust=str(folder / TRUST)
    )
