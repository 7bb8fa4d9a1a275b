"""The public keys of an issuer: a JWKS (RFC 7517), fetched now and then, the last good one kept."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.identity.refusals import keys_unavailable

log = logging.getLogger("hutong.identity")

MOST_BYTES = 256 * 1024
MOST_KEYS = 100
LEAST_RSA_BITS = 2048
FETCH_SECONDS = 3.0
REFRESH_SECONDS = 300.0
"""How often the keys at a URL are fetched again; a file is looked at every second."""
LOOK_SECONDS = 1.0
REFETCH_SECONDS = 1.0
"""How often, at most, keys are fetched because a token names one that is not known."""
MOST_WAITING = 100
"""How many calls may wait for that; the next are refused at once."""
LAST_KNOWN_SECONDS = 24 * 3600.0
"""For how long keys count that could not be fetched again: one that was withdrawn meanwhile must not count for ever."""

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey
Fetch = Callable[[], Awaitable[bytes]]


class Key(NamedTuple):
    """A public key, and the algorithms of JOSE that it is for."""

    public: PublicKey
    algorithms: frozenset[str]


class KeySet:
    """The keys of one JWKS that can verify a signature, by key id."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._keys = keys

    def find(self, key_id: str | None, algorithm: str) -> Key | None:
        """Returns the key of this id for an algorithm. Without an id there must be but one for the algorithm."""
        if key_id is not None:
            key = self._keys.get(key_id)
            return key if key is not None and algorithm in key.algorithms else None
        fitting = [key for key in self._keys.values() if algorithm in key.algorithms]
        return fitting[0] if len(fitting) == 1 else None


def read_keys(content: bytes) -> KeySet:
    """Returns the keys of a JWKS. Passed over are private and symmetric keys, keys for encryption, other curves and
    RSA keys below 2,048 bits. Raises ValueError for what is no JWKS."""
    try:
        listed = msgspec.json.decode(content, type=dict[str, Any])["keys"]
        if len(content) > MOST_BYTES or not isinstance(listed, list) or len(listed) > MOST_KEYS:
            raise ValueError
    except (KeyError, ValueError):
        raise ValueError("is no JWKS of at most 100 keys and 256 kB") from None
    keys: dict[str, Key] = {}
    for number, described in enumerate(listed):
        key = _key(described) if isinstance(described, dict) else None
        if key is not None:
            name = described.get("kid")
            keys[name if isinstance(name, str) else f"\0{number}"] = key
    return KeySet(keys)


def _key(described: Mapping[str, Any]) -> Key | None:
    if described.get("use", "sig") != "sig" or described.get("kty") not in ("EC", "OKP", "RSA") or "d" in described:
        return None
    try:
        public = jwt.PyJWK(dict(described)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    algorithms: frozenset[str] = frozenset()
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        algorithms = frozenset(("ES256",))
    elif isinstance(public, Ed25519PublicKey):
        algorithms = frozenset(("EdDSA",))
    elif isinstance(public, RSAPublicKey) and public.key_size >= LEAST_RSA_BITS:
        algorithms = frozenset(("PS256", "RS256"))
    stated = described.get("alg")
    if stated is not None:
        algorithms &= {"EdDSA" if stated == "Ed25519" else stated}
    return Key(public, algorithms) if algorithms else None


class KeySource:
    """One issuer's keys, as they were last fetched."""

    def __init__(self, name: str, fetch: Fetch, *, every: float) -> None:
        self._name = name
        self._fetch = fetch
        self._every = every
        self._content = b""
        self._fetched_at: float | None = None
        self._tried_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self._waiting = 0
        self.keys = KeySet({})
        """Another object each time the keys have changed."""

    async def find(self, key_id: str | None, algorithm: str) -> Key | None:
        """Returns a key. One that is not known is looked for once more at the issuer, at most once a second. Raises
        UNAVAILABLE (TOKEN_KEYS_UNAVAILABLE) when no keys could be had, or not for a day."""
        key = self.keys.find(key_id, algorithm) if self._current() else None
        if key is None and self._waiting < MOST_WAITING:
            self._waiting += 1
            try:
                await self._refetch()
            finally:
                self._waiting -= 1
            key = self.keys.find(key_id, algorithm)
        if not self._current():
            raise keys_unavailable()
        return key

    def _current(self) -> bool:
        return self._fetched_at is not None and time.monotonic() - self._fetched_at < LAST_KNOWN_SECONDS

    async def _refetch(self) -> None:
        wait = self._tried_at + REFETCH_SECONDS - time.monotonic()
        if self._refreshing is None and wait > 0:
            await asyncio.sleep(wait)
        if self._refreshing is None and self._tried_at + REFETCH_SECONDS <= time.monotonic():
            self._refreshing = asyncio.create_task(self.refresh())
            self._refreshing.add_done_callback(self._refreshed)
        if self._refreshing is not None:
            await asyncio.shield(self._refreshing)

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None

    async def refresh(self) -> None:
        """Fetches the keys. Those that were there stay when that fails, or when what comes is no JWKS."""
        self._tried_at = time.monotonic()
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                content = await self._fetch()
            if content != self._content:
                self.keys = read_keys(content)
                self._content = content
                log.info("keys fetched", extra={"issuer": self._name})
            self._fetched_at = time.monotonic()
        except (OSError, TimeoutError, ValueError) as error:
            log.warning("keys not fetched: %s", error or type(error).__name__, extra={"issuer": self._name})

    async def run(self) -> None:
        """Fetches the keys again and again, until cancelled; soon, while there are none."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._every if self._fetched_at is not None else LOOK_SECONDS)


def source_of(name: str, keys: str) -> KeySource:
    """Returns the keys at a URL or in a file."""
    if "://" in keys:
        # A thread of its own, and one: an issuer that answers slowly must not keep the process's threads.
        thread = ThreadPoolExecutor(1, thread_name_prefix="issuer-keys")
        return KeySource(
            name, lambda: asyncio.get_running_loop().run_in_executor(thread, _download, keys), every=REFRESH_SECONDS
        )
    return KeySource(name, lambda: asyncio.to_thread(Path(keys).read_bytes), every=LOOK_SECONDS)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follows none: keys come from where the operator has said."""


class _Connection(HTTPConnection):
    def connect(self) -> None:
        """Connects, for so long and no longer: a time for each byte is none for them all."""
        super().connect()
        _end_later(self.sock)


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        """See _Connection."""
        super().connect()
        _end_later(self.sock)


def _end_later(connected: socket.socket) -> None:
    def end() -> None:
        # Of the socket itself: another thread is in the midst of its TLS.
        with suppress(OSError):
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = Timer(FETCH_SECONDS, end)
    timer.daemon = True
    timer.start()


class _Bounded(HTTPHandler):
    def http_open(self, req: Request) -> HTTPResponse:
        """Opens a bounded connection."""
        return self.do_open(_Connection, req)


class _SecureBounded(HTTPSHandler):
    def https_open(self, req: Request) -> HTTPResponse:
        """Opens a bounded connection."""
        return self.do_open(_SecureConnection, req)


def _download(url: str) -> bytes:
    request = Request(url, headers={"accept": "application/json"})
    opener = build_opener(_NoRedirects, _Bounded, _SecureBounded)
    try:
        with opener.open(request, timeout=FETCH_SECONDS) as reply:
            content: bytes = reply.read(MOST_BYTES + 1)
    except HTTPException as error:
        raise OSError(f"no answer of HTTP: {type(error).__name__}") from None
    return content
