"""A frugal HTTP client: one connection that is kept, so that a measurement measures the server."""

import asyncio
from types import TracebackType
from typing import Self


class Keepalive:
    """One connection of HTTP/1.1 to `host:port`, one request at a time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        host, _, port = self._address.removeprefix("http://").rpartition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    async def post(self, path: str, body: bytes) -> bytes:
        """The reply's body. Raises RuntimeError for any status but 200, ConnectionError when the server left."""
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(
            b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (path.encode(), len(body), body)
        )
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            raise ConnectionError("the server closed the connection") from None
        status, _, fields = head.partition(b"\r\n")
        length = next(
            int(field.partition(b":")[2])
            for field in fields.split(b"\r\n")
            if field.lower().startswith(b"content-length:")
        )
        reply = await self._reader.readexactly(length)
        if status.split(b" ")[1] != b"200":
            raise RuntimeError(reply.decode())
        return reply
