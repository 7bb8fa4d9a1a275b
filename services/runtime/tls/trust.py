"""The authorities, and the names that each may vouch for.

A trust folder has one PEM file for each authority. `mesh.pem` vouches for every name but those of regions that have an
authority of their own here; `region-430000.pem` for the names below `spiffe://hutong/region/430000/` and for no others,
so that a region joins with an authority of its own and can speak for nobody else. A ConfigMap is mounted as such a
folder.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from services.common.documents import may_hide_number
from services.common.instants import SECOND, Instant
from services.runtime.tls.identity import Principal, WrongPrincipalError, parse, region_of

MESH = "mesh"
_FILE = re.compile(r"(mesh|region-[0-9]{6})\.pem")


class TlsError(Exception):
    """A certificate, a key or a trust folder will not do; the message is one sentence that names the file."""


class UntrustedError(Exception):
    """Nobody who may vouches for a certificate; the message says why, for the log."""


@dataclass(frozen=True)
class Trust:
    """The authorities of a mesh, by what they vouch for: `mesh`, or a region's code."""

    authorities: Mapping[str, bytes]

    def roots_for(self, name: Principal) -> bytes:
        """Returns the PEM of the authority that vouches for a name."""
        region = region_of(name)
        return self.authorities.get(region) or self.authorities[MESH]

    @cached_property
    def roots(self) -> bytes:
        """All authorities, as one PEM."""
        return b"\n".join(self.authorities.values())

    def principal_of(self, certificate: bytes, chain: bytes, at: Instant) -> tuple[Principal, Instant]:
        """Returns the name in a client's certificate (PEM, with what came along) and the certificate's end, when the
        authority for that name vouches for it at an instant. Raises UntrustedError."""
        try:
            leaf = x509.load_pem_x509_certificate(certificate)
            presented = x509.load_pem_x509_certificates(chain) if chain.strip() else []
        except ValueError as error:
            raise UntrustedError(str(error)) from None
        name = principal_in(leaf)
        between = [one for one in presented if one != leaf]
        verifier = (
            PolicyBuilder()
            .store(Store(x509.load_pem_x509_certificates(self.roots_for(name))))
            .time(datetime.fromtimestamp(at / SECOND, UTC))
            .build_client_verifier()
        )
        try:
            verifier.verify(leaf, between)
        except VerificationError as error:
            raise UntrustedError(f"{name}: {error}") from None
        return name, Instant(round(leaf.not_valid_after_utc.timestamp() * SECOND))


def read_trust(folder: Path) -> Trust:
    """Returns the authorities in a folder. Raises TlsError for a file of another name, one that is no certificate, and
    a folder without mesh.pem."""
    authorities: dict[str, bytes] = {}
    try:
        # Kubernetes mounts keep the real files in folders whose names begin with two dots.
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            match = _FILE.fullmatch(path.name)
            if match is None:
                raise TlsError(f"{path}: an authority's file is named mesh.pem or region-CODE.pem")
            pem = path.read_bytes()
            x509.load_pem_x509_certificates(pem)
            authorities[match[1].removeprefix("region-")] = pem
    except (OSError, ValueError) as error:
        raise TlsError(f"{folder}: {error}") from None
    if MESH not in authorities:
        raise TlsError(f"{folder}: there is no mesh.pem")
    return Trust(authorities)


def principal_in(certificate: x509.Certificate) -> Principal:
    """Returns the one SPIFFE id of a certificate. Raises UntrustedError when it has none or several (X509-SVID, 2), and
    for one that holds a document's number: names stand in logs and trails."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise UntrustedError("the certificate has no subject alternative name") from None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise UntrustedError(f"the certificate cannot be read: {type(error).__name__}") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise UntrustedError(f"the certificate has {len(uris)} URIs, and not one")
    if may_hide_number(uris[0]):
        raise UntrustedError("the name in the certificate holds a document's number")
    try:
        return parse(uris[0])
    except WrongPrincipalError as error:
        raise UntrustedError(str(error)) from None
