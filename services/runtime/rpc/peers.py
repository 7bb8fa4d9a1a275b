"""Names the other end of a call: whom a certificate proves or, without certificates, the name given."""

import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from services.common.documents import holds_number
from services.common.errors import Code, ServiceError, Text
from services.common.instants import SECOND, Instant
from services.common.person_names import PersonName
from services.runtime.clock import Clock
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import SCHEME, TRUST_DOMAIN, Principal
from services.runtime.tls.trust import Trust, UntrustedError

log = logging.getLogger("hutong.tls")

CALLER_KEY = "hutong-caller"
USERS_KEY = "hutong-users"
"""On whose behalf a service of the mesh calls another: names, comma-separated. Believed from services of the mesh."""
MOST_USERS = 64
"""As many names fit into metadata, of which gRPC takes 8 KiB."""
LONGEST_NAME = 200
"""The most characters of a name that is taken at its word."""
_PERSON = re.compile(rf"{SCHEME}{TRUST_DOMAIN}/(holder|guardian)/[0-9a-f]{{32}}")
_MESH = f"{SCHEME}{TRUST_DOMAIN}/mesh/"

CHECKED = 60 * SECOND
"""For how long a certificate that was found good is not looked at again."""
MOST_PEERS = 1_000


class Context(Protocol):
    """The part of a gRPC call's context that tells who calls."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Returns what the caller says of itself."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Returns what the handshake has shown."""


class Caller(NamedTuple):
    """One caller. `persons`, `users`, `proven`, `refusal` and `names` are those of Call; `ends` is when what proves
    the name is no longer valid, an instant of time.monotonic(), in seconds."""

    name: str
    persons: tuple[bytes, ...] = ()
    users: tuple[str, ...] = ()
    ends: float = math.inf
    proven: bool = False
    refusal: ServiceError | None = None
    names: Callable[[], Sequence[PersonName]] | None = None


class Peers(Protocol):
    """Knows callers."""

    async def caller(self, context: Context) -> Caller:
        """Returns who calls. Raises ServiceError (UNAUTHENTICATED)."""


class NamedPeers:
    """Takes callers at their word: for a mesh on loopback, whose calls come from the same machine."""

    async def caller(self, context: Context) -> Caller:
        """Returns whom the metadata entry hutong-caller names, empty when there is none. What names a person by a
        document's number, or is longer than a name, is none: names stand in logs and trails."""
        name = _entry(context, CALLER_KEY)
        if not _is_name(name):
            name = ""
        users = tuple(user for user in _users(context) if _PERSON.fullmatch(user) or _is_name(user))
        return Caller(name, users=users or ((name,) if name else ()))


class _Checked(NamedTuple):
    name: Principal
    trust: Trust
    until: Instant
    ends_at: Instant


class ProvenPeers:
    """Names callers by their certificates, and by nothing else."""

    proven = True

    def __init__(self, files: TlsFiles, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._checked: dict[bytes, _Checked] = {}

    async def caller(self, context: Context) -> Caller:
        """Returns whom the SPIFFE id in the certificate names. On whose behalf is believed of services of the mesh.

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
            checked = self._checked[certificate] = _Checked(name, trust, Instant(min(now + CHECKED, ends_at)), ends_at)
        users = _users(context) if checked.name.startswith(_MESH) else ()
        ends = time.monotonic() + (checked.ends_at - now) / SECOND
        return Caller(checked.name, users=users or (checked.name,), ends=ends, proven=True)


def _is_name(text: str) -> bool:
    return len(text) <= LONGEST_NAME and not holds_number(text)


def _entry(context: Context, name: str) -> str:
    return next((str(value) for key, value in context.invocation_metadata() or () if key == name), "")


def _users(context: Context) -> tuple[str, ...]:
    given = _entry(context, USERS_KEY)
    return tuple(given.split(",")[:MOST_USERS]) if given else ()


def _untrusted(why: str) -> ServiceError:
    log.warning("caller not trusted: %s", why)
    return ServiceError(
        Code.UNAUTHENTICATED,
        "CALLER_UNTRUSTED",
        Text("调用方的证书不可信", "Nobody who may vouches for the caller's certificate"),
    )
