"""A server of HTTP with nothing behind it, and connections to it on which bytes are written by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.http.asgi import Receive, Scope, Send
from gateway.http.connections import WHOLE
from gateway.server import HttpServer

LONG = 60.0
REQUEST = b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok"


class Echo:
    """Answers every request, after `pause` seconds, with whether it came whole."""

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        body = b"whole" if WHOLE in scope["state"] else b"parts"
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(self._pause)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connection(
    app: Echo, head: float = LONG, idle: float = LONG
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """One to a server with these bounds, in seconds."""
    server = HttpServer(app, head_seconds=head, idle_seconds=idle)
    port = await server.start("127.0.0.1:0", 1.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()
        await server.stop()


async def reply(reader: asyncio.StreamReader) -> bytes:
    """The body of the next reply."""
    await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(5)
