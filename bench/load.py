"""A load over HTTP: many connections, each with one request under way, by a client thin enough not to be what is
measured (about 30 µs a request)."""

import asyncio
from collections.abc import Iterator


class LoadError(Exception):
    """The server closed a connection, or answered with another status than 200."""


class _Connection(asyncio.Protocol):
    """Sends the next request when the reply to the last is whole, until there is none."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def begin(self) -> None:
        """Sends the first request."""
        assert self._transport is not None
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        if end < 0 or len(received) < end + 4 + _length(received, end):
            self._received = received
            return
        self._received = b""
        if received[9:12] == b"200":
            self.begin()
        elif not self.done.done():
            self.done.set_exception(LoadError(received.decode(errors="replace")))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(LoadError("the server closed the connection"))

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.close()


def _length(received: bytes, end: int) -> int:
    at = received.find(b"content-length:", 0, end)
    if at < 0:
        raise LoadError("a reply does not tell its length")
    return int(received[at + 15 : received.find(b"\r\n", at)])


def post(path: str, body: bytes) -> bytes:
    """A whole request of HTTP/1.1 with a JSON body."""
    head = b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (path.encode(), len(body)) + body


async def send_all(address: str, requests: Iterator[bytes], connections: int) -> None:
    """Sends all of the requests to `host:port` over so many connections. Raises LoadError."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: _Connection(requests), host, int(port)))[1] for _ in range(connections)
    ]
    try:
        for connection in opened:
            connection.begin()
        await asyncio.gather(*(connection.done for connection in opened))
    finally:
        for connection in opened:
            connection.close()
