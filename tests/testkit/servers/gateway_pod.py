"""A gateway as a pod, and clients with kept connections to whatever pods there are, as a load balancer has them."""

import asyncio
import json
import random
from contextlib import AsyncExitStack
from itertools import count
from typing import Self

import msgspec

from gateway.__main__ import wire
from gateway.server import GatewayServer
from gateway.settings import GatewaySettings
from tests.testkit.servers.cluster import Workload

READY_SECONDS = 6.0
"""How long a gateway that will not get ready is waited for."""
PAUSE_SECONDS = 0.3
"""Between two requests of one connection."""
ANSWERS_SECONDS = 90.0


class GatewayPod:
    """A gateway on an address of its own; its probe is that of the manifests: /readyz on the port of operators."""

    def __init__(self, settings: GatewaySettings, address: str, port: int) -> None:
        self.address = address
        self.http = f"{address}:{port}"
        self._operations = port + 1
        self._settings = msgspec.structs.replace(
            settings,
            http_listen=self.http,
            listen=f"{address}:{port + 2}",
            operations_listen=f"{address}:{self._operations}",
        )
        self._stack = AsyncExitStack()
        self._server: GatewayServer | None = None

    async def start(self) -> None:
        """See Pod."""
        gateway = wire(self._settings)
        await self._stack.enter_async_context(gateway.service.running())
        server = GatewayServer(gateway, self._settings)
        await server.start()
        self._server = server
        async with asyncio.timeout(READY_SECONDS):
            while not await self._ready():
                await asyncio.sleep(0.05)

    async def terminate(self, wait: float) -> None:
        """See Pod."""
        if self._server is not None:
            await self._server.drain(wait, 5.0)
        await self._stack.aclose()

    async def _ready(self) -> bool:
        reader, writer = await asyncio.open_connection(self.address, self._operations)
        writer.write(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        head = await reader.readline()
        writer.close()
        return b" 200 " in head


class KeptConnections:
    """Clients that each keep a connection to one of the pods until it is said to be over, and ask for codes that are
    not cached. `lost` counts ends without a word, `failures` are answers that were no code, `last_answers` those that
    said that they are their connection's last; `answered` counts all."""

    def __init__(self, gateways: Workload[GatewayPod], clients: int) -> None:
        self._gateways = gateways
        self._clients = clients
        self._numbers = count(50_000_000)
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.answered = 0
        self.lost = 0
        self.last_answers = 0
        self.failures: list[str] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def answers(self, number: int) -> None:
        """Returns when so many more came."""
        until = self.answered + number
        async with asyncio.timeout(ANSWERS_SECONDS):
            while self.answered < until:
                await asyncio.sleep(0.02)

    async def _client(self) -> None:
        while not self._stop.is_set():
            pod = random.choice(self._gateways.replicas)
            try:
                host, _, port = pod.http.rpartition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
            except OSError as error:
                self.failures.append(f"refused: {error}")
                continue
            try:
                await self._ask_on(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.lost += 1
            finally:
                writer.close()

    async def _ask_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        last = False
        while not (last or self._stop.is_set()):
            document = {"type": "PASSPORT", "number": f"E{next(self._numbers)}"}
            body = json.dumps({"document": document, "region": "110000", "refresh": True}).encode()
            writer.write(
                b"POST /v1/healthCode:show HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            self.answered += 1
            if b" 200 " not in head.split(b"\r\n")[0] or b"UNDETERMINED" in answer:
                self.failures.append(f"{head[:40]!r} {answer[:300]!r}")
            last = b"connection: close" in head
            self.last_answers += last
            await asyncio.sleep(0.0 if last else PAUSE_SECONDS)
