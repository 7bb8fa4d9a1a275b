"""Names the caller of the gateway: whom a bearer token names, else whom a certificate proves, else nobody.

Where the development issuer is, and no certificates are, calls without a token are those of a development principal.
"""

import logging
import re
from collections.abc import Iterable

from gateway.identity import refusals
from gateway.identity.person_names import TokenNames
from gateway.identity.tokens import Tokens
from services.common.errors import ServiceError
from services.runtime.rpc.peers import Caller, Context, Peers
from services.runtime.tls.identity import ANONYMOUS, principal

log = logging.getLogger("hutong.identity")

NOBODY = Caller(ANONYMOUS)
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_LOOPBACK_HOST = re.compile(rb"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")


def development_caller(given: str) -> Caller:
    """Returns the development principal of a caller that gives itself a name."""
    segment = _NOT_IN_A_NAME.sub("-", given)[:64].strip(".") or "unnamed"
    name = principal(f"development/{segment}")
    return Caller(name, users=(name,))


DEVELOPMENT = development_caller("http")


def at_the_machine(host: bytes | None, *, proxied: bool) -> bool:
    """Tells whether a request asks this machine by its own name, through no proxy."""
    return not proxied and (host is None or _LOOPBACK_HOST.fullmatch(host) is not None)


class Callers:
    """Tells who calls. `development`: whether whoever gives no token is the development principal."""

    def __init__(self, tokens: Tokens, *, development: bool) -> None:
        self._tokens = tokens
        self._development = development

    async def over_http(self, authorization: bytes | None, times: int, host: bytes | None, *, proxied: bool) -> Caller:
        """Returns who sends a request with this Authorization header, there so many times. A refused token is nobody's,
        with the refusal. The development principal is who asks this machine by its own name, through no proxy: any web
        page can have its name mean 127.0.0.1."""
        if authorization is not None:
            return await self._of(authorization, times)
        if self._development and at_the_machine(host, proxied=proxied):
            return DEVELOPMENT
        return NOBODY

    async def over_grpc(self, entries: Iterable[bytes], otherwise: Caller, *, proven: bool) -> Caller:
        """Returns who calls with these entries `authorization`; without any, whom the connection shows."""
        values = list(entries)
        if values:
            return await self._of(values[0], len(values))
        if proven or not otherwise.name.strip():
            return otherwise
        return development_caller(otherwise.name) if self._development else NOBODY

    async def _of(self, authorization: bytes, times: int) -> Caller:
        try:
            if times > 1:
                raise refusals.malformed()
            caller = self._tokens.remembered(authorization) or await self._tokens.verify(authorization)
            return caller._replace(names=TokenNames(authorization)) if caller.persons else caller
        except ServiceError as refusal:
            log.info("token refused", extra={"reason": refusal.reason})
            return NOBODY._replace(refusal=refusal)


class TokenPeers:
    """Knows the callers of gRPC by the metadata entry `authorization`, else as `peers` does. `proven`: those are proven
    by certificates."""

    def __init__(self, callers: Callers, peers: Peers, *, proven: bool) -> None:
        self._callers = callers
        self._peers = peers
        self._proven = proven

    async def caller(self, context: Context) -> Caller:
        """See Peers."""
        connected = await self._peers.caller(context)
        entries = (
            value if isinstance(value, bytes) else value.encode("utf-8", "replace")
            for key, value in context.invocation_metadata() or ()
            if key == "authorization"
        )
        return await self._callers.over_grpc(entries, connected, proven=self._proven)
