"""A push service on this machine: it takes messages over TLS, and reads them as the device would."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import http_ece
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from tests.testkit.servers.server_certificate import sign_server


class Device:
    """A device that has subscribed: the keys of its browser."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.auth = b"sixteen bytes..."
        self.p256dh = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def subscription(self, endpoint: str) -> dict[str, Any]:
        """Returns what its browser says of the subscription."""
        return {"endpoint": endpoint, "keys": {"p256dh": _base64url(self.p256dh), "auth": _base64url(self.auth)}}

    def read(self, body: bytes) -> dict[str, Any]:
        """Decrypts a message."""
        text = http_ece.decrypt(body, private_key=self.private, auth_secret=self.auth, version="aes128gcm")
        read: dict[str, Any] = json.loads(text)
        return read


class Received(NamedTuple):
    """A message that was taken: what it says, its size, its headers, the device that it is for, and the port of the
    connection that it came by."""

    said: dict[str, Any]
    size: int
    headers: dict[str, str]
    device: str
    port: int


class PushService:
    """Takes messages; `answers` are the status and headers of the next ones, 201 when there are none left. While
    `answering` is not set, a message that was taken is not answered."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.port = 0
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.received: list[Received] = []
        self.refused = 0
        self.answering = asyncio.Event()
        self.answering.set()
        self._changed = asyncio.Condition()

    @property
    def host(self) -> str:
        """The host and port, as HUTONG_PUSH_SERVICES names them."""
        return f"127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        """The URL that the device's messages are sent to."""
        return self.endpoint_of("one")

    def endpoint_of(self, device: str) -> str:
        """Returns the URL of another device, which has the same keys."""
        return f"https://{self.host}/send/{device}"

    async def take(self, request: web.Request) -> web.Response:
        """Answers a message. What is not signed by whom the header names is refused with 403."""
        body = await request.read()
        proof = {"Authorization": request.headers["authorization"]}
        async with self._changed:
            status, headers = self.answers.pop(0) if self.answers else (201, {})
            if not Vapid02.verify(proof["Authorization"]):
                status = 403
            if status == 201:
                named = {name.lower(): value for name, value in request.headers.items()}
                _, port, *_ = request.get_extra_info("peername")
                device = request.match_info["device"]
                self.received.append(Received(self.device.read(body), len(body), named, device, port))
            else:
                self.refused += 1
            self._changed.notify_all()
        await self.answering.wait()
        return web.Response(status=status, headers=headers)

    async def until(self, messages: int, refused: int = 0) -> None:
        """Waits until so many messages were taken, and so many refused."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: len(self.received) >= messages and self.refused >= refused)


@asynccontextmanager
async def push_service(folder: Path) -> AsyncIterator[PushService]:
    """Runs one on 127.0.0.1, whose certificate is by the authority in `folder`/ca.pem."""
    sign_server(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    service = PushService(Device())
    application = web.Application()
    application.router.add_post("/send/{device}", service.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    (address,) = runner.addresses
    service.port = address[1]
    try:
        yield service
    finally:
        service.answering.set()
        await runner.cleanup()


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
