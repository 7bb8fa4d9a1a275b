"""`python -m bench.servers.bare_http BYTES`: the least an HTTP server here can do, as a yardstick. uvicorn with a
raw ASGI application that takes a request's body and answers with so many bytes. Prints its address."""

import asyncio
import sys

import uvloop

from gateway.http.asgi import Receive, Scope, Send
from gateway.server import HttpServer


class _Application:
    def __init__(self, size: int) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % size)]
        self._start: dict[str, object] = {"type": "http.response.start", "status": 200, "headers": headers}
        self._body: dict[str, object] = {"type": "http.response.body", "body": b"x" * size}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(self._start)
        await send(self._body)


async def _main(size: int) -> None:
    server = HttpServer(_Application(size))
    port = await server.start("127.0.0.1:0", grace=1.0)
    print(f"127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
