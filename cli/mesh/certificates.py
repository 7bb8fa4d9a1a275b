"""The certificates of a mesh on this machine: one for each service, each region's own system, and whoever sits here."""

from pathlib import Path

from cli.certificates.authority import utc_now
from cli.certificates.development import write_certificates
from cli.mesh.plan import OPERATOR, PRINCIPALS, SUPERVISOR, system_of
from services.common.regions import divisions

FOLDER = "certificates"


def write_mesh_certificates(data: Path) -> Path:
    """Makes or renews the certificates of the mesh whose data lies in a folder; returns where they are. A mesh that
    runs goes on with the new ones."""
    folder = data / FOLDER
    systems = [system_of(region) for region in divisions()]
    write_certificates(folder, [*PRINCIPALS.values(), OPERATOR, SUPERVISOR, *systems], now=utc_now())
    return folder
