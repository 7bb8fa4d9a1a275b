"""The name of a call's other end: what a certificate proves or, without certificates, the name given."""

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from services.common.errors import Code, ServiceError, Text
from services.common.instants import SECOND, Instant
from services.runtime.clock import Clock
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import Principal
from services.runtime.tls.trust import Trust, UntrustedError

log = logging.getLogger("hutong.tls")

CALLER_KEY = "hutong-caller"
CHECKED = 60 * SECOND
"""For how long a certificate that was found good is not looked at again."""
MOST_PEERS = 1_000


class Context(Protocol):
    """The part of a gRPC call's context that tells who calls."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Returns what the caller says of itself."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Returns what the handshake has shown."""


class Peers(Protocol):
    """Names callers. `proven` tells whether the names are."""

    proven: bool

    def name(self, context: Context) -> str:
        """Returns the caller's name. Raises ServiceError (UNAUTHENTICATED)."""


class NamedPeers:
    """Takes callers at their word: for a mesh on loopback, whose calls come from the same machine."""

    proven = False

    def name(self, context: Context) -> str:
        """Returns the metadata entry hutong-caller, empty when there is none."""
        return next((str(value) for key, value in context.invocation_metadata() or () if key == CALLER_KEY), "")


class _Checked(NamedTuple):
    name: Principal
    trust: Trust
    until: Instant


class ProvenPeers:
    """Names callers by their certificates, and by nothing else."""

    proven = True

    def __init__(self, files: TlsFiles, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._checked: dict[bytes, _Checked] = {}

    def name(self, context: Context) -> str:
        """Returns the SPIFFE id in the caller's certificate.

        Raises UNAUTHENTICATED: CALLER_UNTRUSTED where no authority that may vouches for the name, where the certificate
        has ended, and below TLS 1.3.
        """
        shown = context.auth_context()
        certificate = b"".join(shown.get("x509_pem_cert", ()))
        if list(shown.get("ssl_tls_version", ())) != [b"TLSv1.3"]:
            raise _untrusted("the connection is not TLS 1.3")
        now, trust = self._clock(), self._files.current().trust
        checked = self._checked.get(certificate)
        if checked is None or checked.trust is not trust or now >= checked.until:
            chain = b"\n".join(shown.get("x509_pem_cert_chain", ()))
            try:
                name, ends_at = trust.principal_of(certificate, chain, now)
            except UntrustedError as error:
                raise _untrusted(str(error)) from None
            if len(self._checked) >= MOST_PEERS:
                self._checked.clear()
            checked = self._checked[certificate] = _Checked(name, trust, Instant(min(now + CHECKED, ends_at)))
        return checked.name


def _untrusted(why: str) -> ServiceError:
    log.warning("caller not trusted: %s", why)
    return ServiceError(
        Code.UNAUTHENTICATED,
        "CALLER_UNTRUSTED",
        Text("调用方的证书不可信", "Nobody who may vouches for the caller's certificate"),
    )
