"""A process's certificate, key and trust, from files that are replaced while it runs.

cert-manager, and whoever renews by hand, replaces the files; they are looked at again at most once a second, and a set
that does not fit together (a certificate whose key has not arrived yet) leaves the last good one in force.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from services.common.instants import SECOND, Instant
from services.runtime.metrics import CERTIFICATE_BEGINS, CERTIFICATE_ENDS, principal_label
from services.runtime.tls.identity import Principal
from services.runtime.tls.trust import TlsError, Trust, UntrustedError, principal_in, read_trust

log = logging.getLogger("hutong.tls")

LOOK_SECONDS = 1.0
"""How often the files are looked at, at most."""


@dataclass(frozen=True)
class Material:
    """The files that a process proves its name with, and whom it trusts. `begins_at` and `ends_at` are those of the
    certificate (UTC)."""

    principal: Principal
    chain: bytes
    key: bytes
    trust: Trust
    begins_at: Instant
    ends_at: Instant


def read_material(certificate: Path, key: Path, trust: Path) -> Material:
    """Returns what the files hold. Raises TlsError when one cannot be read, the key is another certificate's, or the
    certificate has no SPIFFE id of the mesh."""
    try:
        chain, key_pem = certificate.read_bytes(), key.read_bytes()
        leaf = x509.load_pem_x509_certificates(chain)[0]
        private = load_pem_private_key(key_pem, None)
        name = principal_in(leaf)
    except (OSError, ValueError, TypeError, UntrustedError) as error:
        raise TlsError(f"{certificate}, {key}: {error}") from None
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*public) != private.public_key().public_bytes(*public):
        raise TlsError(f"{key}: is not the key of {certificate}")
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return Material(name, chain, key_pem, read_trust(trust), _instant(begins), _instant(ends))


def _instant(moment: datetime) -> Instant:
    return Instant(round(moment.timestamp() * SECOND))


class TlsFiles:
    """The material of three paths, read again when one of them changes."""

    def __init__(self, certificate: Path, key: Path, trust: Path) -> None:
        """Reads them. Raises TlsError."""
        self._paths = (certificate, key, trust)
        self._seen = self._state()
        self._material = read_material(*self._paths)
        self._looked = time.monotonic()
        _tell(self._material)

    def current(self) -> Material:
        """Returns the material in force: the same object until the files change. Called from any thread."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            state = self._state()
            if state != self._seen:
                try:
                    self._material = read_material(*self._paths)
                    self._seen = state
                    _tell(self._material)
                    log.info("certificate renewed", extra={"principal": self._material.principal})
                except TlsError as error:
                    log.warning("certificate not renewed: %s", error)
        return self._material

    def _state(self) -> tuple[object, ...]:
        certificate, key, trust = self._paths
        try:
            paths = [certificate, key, *sorted(trust.iterdir())]
            return tuple((path.name, status.st_mtime_ns, status.st_ino) for path in paths if (status := path.stat()))
        except OSError:
            return ()


def _tell(material: Material) -> None:
    label = principal_label(material.principal, proven=True)
    CERTIFICATE_BEGINS.labels(label).set(material.begins_at / SECOND)
    CERTIFICATE_ENDS.labels(label).set(material.ends_at / SECOND)
