"""The client of push services (RFC 8030): one encrypted message in one POST."""

import asyncio
import base64
import socket
import ssl
from email.utils import parsedate_to_datetime

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from pywebpush import WebPusher

from gateway.push.delivery import AT_ONCE, SEND_SECONDS, Answer, Message, Sent
from gateway.push.endpoints import Endpoints
from gateway.push.keys import PushKey
from services.common.instants import SECOND, Instant
from services.runtime.clock import Clock

LONGEST_WAIT_SECONDS = 24 * 3600.0


class _PublicAddresses(AbstractResolver):
    """Resolves names to addresses that may be called, so that a name that leads elsewhere by now is not followed."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See AbstractResolver. Raises OSError where there is no such address."""
        addresses = await self._system.resolve(host, port, family)
        public = [one for one in addresses if self._endpoints.may_call(one["host"].partition("%")[0])]
        if not public:
            raise OSError(None, f"{host} has no address that may be called")
        return public

    async def close(self) -> None:
        """See AbstractResolver."""
        await self._system.close()


class PushClient:
    """Sends messages under the gateway's key. `trust` is a file of certificates that push services are known by,
    besides those of the system; empty for none."""

    def __init__(self, key: PushKey, endpoints: Endpoints, clock: Clock, trust: str = "") -> None:
        """Raises OSError or ssl.SSLError for a file that will not do."""
        self._key = key
        self._endpoints = endpoints
        self._clock = clock
        self._ssl = ssl.create_default_context()
        if trust:
            self._ssl.load_verify_locations(trust)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, message: Message) -> Answer:
        """Sends a message. Never raises for what a push service does."""
        if not self._endpoints.allows(message.endpoint):
            # It was allowed once.
            return Answer(Sent.REFUSED)
        headers = {
            "authorization": self._key.authorization(message.endpoint, self._clock()),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(message.ttl_seconds),
            "topic": message.topic,
            "urgency": "normal",
        }
        try:
            async with self._opened().post(
                message.endpoint, data=_encrypted(message), headers=headers, allow_redirects=False
            ) as reply:
                return _answer(reply.status, reply.headers.get("retry-after", ""), self._clock())
        except (aiohttp.ClientError, OSError, TimeoutError):
            return Answer(Sent.LATER)

    async def close(self) -> None:
        """Ends every connection. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            # Its transports end in the loop's next turn.
            await asyncio.sleep(0)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=self._ssl, resolver=_PublicAddresses(self._endpoints))
            timeout = aiohttp.ClientTimeout(total=SEND_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self._session


def _encrypted(message: Message) -> bytes:
    keys = {"p256dh": _base64url(message.p256dh), "auth": _base64url(message.auth)}
    pusher = WebPusher({"endpoint": message.endpoint, "keys": keys})
    return bytes(pusher.encode(message.payload, "aes128gcm")["body"])


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _answer(status: int, retry_after: str, now: Instant) -> Answer:
    if 200 <= status < 300:
        return Answer(Sent.SENT, status)
    if status in (404, 410):
        return Answer(Sent.GONE, status)
    if status == 429 or status >= 500:
        return Answer(Sent.LATER, status, _wait(retry_after, now))
    return Answer(Sent.REFUSED, status)


def _wait(retry_after: str, now: Instant) -> float:
    """Returns the seconds of a Retry-After header, which has them or a date; 0 for none, and for what is neither."""
    try:
        seconds = float(int(retry_after))
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now / SECOND
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)
