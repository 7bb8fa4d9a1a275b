"""The load client: every request is sent once and every reply is looked at, or the figure would mean nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.load import LoadError, post, send_all

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


@asynccontextmanager
async def server(reply: bytes, pieces: int, asked: list[bytes]) -> AsyncIterator[str]:
    """Answers every request with this reply, in so many pieces."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                asked.append(await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0])))
                size = -(-len(reply) // pieces)
                for start in range(0, len(reply), size):
                    writer.write(reply[start : start + size])
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_every_request_is_sent_once(pieces):
    """Over a few connections, however the replies are cut."""
    asked: list[bytes] = []
    bodies = [b"%d" % number for number in range(50)]
    async with server(OK, pieces, asked) as address:
        await send_all(address, iter([post("/x", body) for body in bodies]), 4)
    assert sorted(bodies) == sorted(asked)


async def test_more_connections_than_requests_end_too():
    """Those without a request wait for nobody."""
    asked: list[bytes] = []
    async with server(OK, 1, asked) as address:
        await send_all(address, iter([post("/x", b"1")]), 8)
    assert [b"1"] == asked


@pytest.mark.parametrize("status", [b"404", b"503"])
async def test_a_refusal_is_no_fast_reply(status):
    """Errors are cheaper than codes: they must never be counted."""
    async with server(OK.replace(b"200", status), 1, []) as address:
        with pytest.raises(LoadError, match=status.decode()):
            await send_all(address, iter([post("/x", b"")] * 10), 2)
