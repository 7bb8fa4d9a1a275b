"""The certificates of a development mesh: an authority of the mesh, one of each region, and who they vouch for."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cli.certificates.authority import Authority, kept_authority
from services.runtime.tls.identity import Principal, region_of

TRUST = "trust"
SERVICE_DAYS = 30.0


def write_certificates(
    folder: Path, principals: Iterable[Principal], *, now: datetime, days: float = SERVICE_DAYS
) -> list[Path]:
    """Writes a certificate for each name, and the trust folder that every process is given; returns their folders.

    Names of a region are issued by that region's own authority, as in a mesh that regions join from outside. The
    authorities are kept, so that a second call renews certificates under the same trust.
    """
    authorities = {"mesh": kept_authority(folder / "authorities" / "mesh", "hutong mesh", now)}
    written = []
    for principal in principals:
        region = region_of(principal)
        name = f"region-{region}" if region else "mesh"
        if name not in authorities:
            authorities[name] = kept_authority(folder / "authorities" / name, f"hutong {name}", now)
        target = certificate_folder(folder, principal)
        authorities[name].issue(principal, target, days=days, now=now)
        written.append(target)
    _write_trust(folder / TRUST, authorities)
    return written


def certificate_folder(folder: Path, principal: Principal) -> Path:
    """Returns where a name's certificate lies: `mesh-gateway` for `spiffe://hutong/mesh/gateway`."""
    return folder / "-".join(principal.split("/")[3:])


def _write_trust(trust: Path, authorities: dict[str, Authority]) -> None:
    trust.mkdir(parents=True, exist_ok=True)
    for name, authority in authorities.items():
        beside = trust / f".{name}.new"
        beside.write_bytes(authority.pem)
        beside.replace(trust / f"{name}.pem")
