"""Bearer tokens: signed JWTs (RFC 7519, 9068), verified once and remembered until they end."""

import re
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import jwt

from gateway.identity import refusals
from gateway.identity.claims import identity_of
from gateway.identity.issuers import Issuer
from gateway.identity.key_sets import KeySet, KeySource
from services.common.documents import PersonKeys
from services.common.errors import ServiceError
from services.runtime.rpc.peers import Caller

MOST_BYTES = 8 * 1024
MOST_REMEMBERED = 20_000
"""As many verified tokens are remembered, each by its digest: neither the token nor a claim of it is kept."""

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+) *")
_REFUSALS: tuple[tuple[type[Exception], Callable[[], ServiceError]], ...] = (
    (jwt.ExpiredSignatureError, refusals.expired),
    (jwt.ImmatureSignatureError, refusals.not_yet_valid),
    (jwt.InvalidAudienceError, refusals.wrong_audience),
    (jwt.InvalidIssuerError, refusals.wrong_issuer),
    (jwt.MissingRequiredClaimError, refusals.wrong_claims),
    (jwt.InvalidAlgorithmError, refusals.wrong_algorithm),
    (jwt.InvalidSignatureError, refusals.wrong_signature),
    (jwt.InvalidKeyError, refusals.wrong_signature),
)
_NOT_JSON = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class Trusted(NamedTuple):
    """An issuer and its keys."""

    issuer: Issuer
    source: KeySource


class _Verified(NamedTuple):
    caller: Caller
    source: KeySource
    keys: KeySet


class Tokens:
    """Verifies the tokens of trusted issuers, given by the `iss` of their tokens."""

    def __init__(self, issuers: Mapping[str, Trusted], keys: PersonKeys) -> None:
        self._issuers = issuers
        self._keys = keys
        self._verified: dict[bytes, _Verified] = {}

    def remembered(self, authorization: bytes) -> Caller | None:
        """Returns whom the value of an Authorization header names that was verified before and still holds."""
        verified = self._verified.get(sha256(authorization).digest())
        if verified is None or time.monotonic() >= verified.caller.ends or verified.keys is not verified.source.keys:
            return None
        return verified.caller

    async def verify(self, authorization: bytes) -> Caller:
        """Returns whom the value of an Authorization header names, until when. Raises UNAUTHENTICATED with one of the
        reasons of `refusals`, and UNAVAILABLE (TOKEN_KEYS_UNAVAILABLE)."""
        match = _BEARER.fullmatch(authorization) if len(authorization) <= MOST_BYTES else None
        if match is None:
            raise refusals.malformed()
        token = match[1].decode("ascii")
        trusted, key_id, algorithm = self._read(token)
        if algorithm not in trusted.issuer.algorithms:
            raise refusals.wrong_algorithm()
        key = await trusted.source.find(key_id, algorithm)
        keys = trusted.source.keys
        if key is None:
            raise refusals.unknown_key()
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[algorithm],
                audience=trusted.issuer.audience,
                leeway=trusted.issuer.skew,
                options={"require": ["exp", "iss", "aud"]},
            )
            ends = time.monotonic() + float(claims["exp"]) + trusted.issuer.skew - time.time()
        except _NOT_JSON as error:
            raise _refusal(error) from None
        identity = identity_of(claims, trusted.issuer, self._keys)
        caller = Caller(identity.name, identity.persons, (identity.name,), ends, proven=True)
        self._remember(sha256(authorization).digest(), _Verified(caller, trusted.source, keys))
        return caller

    def _read(self, token: str) -> tuple[Trusted, str | None, str]:
        """Reads what says which key a token claims to be signed with: nothing of it is believed yet."""
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except _NOT_JSON:
            raise refusals.malformed() from None
        key_id, algorithm = header.get("kid"), header.get("alg")
        # No extension is understood, so none may be critical (RFC 7515, 4.1.11).
        if "crit" in header or not isinstance(algorithm, str) or not (key_id is None or isinstance(key_id, str)):
            raise refusals.malformed()
        name: Any = claims.get("iss")
        trusted = self._issuers.get(name) if isinstance(name, str) else None
        if trusted is None:
            raise refusals.wrong_issuer()
        return trusted, key_id, algorithm

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        if len(self._verified) >= MOST_REMEMBERED:
            # The oldest tenth goes: those that are still shown come back at the price of one signature each.
            for old in list(self._verified)[: MOST_REMEMBERED // 10]:
                del self._verified[old]
        self._verified[digest] = verified

    @property
    def sources(self) -> list[KeySource]:
        """Returns the keys of all issuers, to be kept up to date."""
        return [trusted.source for trusted in self._issuers.values()]


def _refusal(error: Exception) -> ServiceError:
    return next((refusal for kind, refusal in _REFUSALS if isinstance(error, kind)), refusals.wrong_claims)()
