"""Connections that ask for nothing are closed; those that ask, however slowly they are answered, are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.http.asgi import Receive, Scope, Send
from gateway.http.connections import WHOLE
from gateway.server import HttpServer

SOON = 0.15
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


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"POST /x HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\nhost: x\r\n"])
@pytest.mark.parametrize("before", [0, 1])
async def test_a_head_that_does_not_come_closes_the_connection(sent, before):
    """The first request's and any other's, nothing of it or a part; however often a byte arrives meanwhile."""
    async with connection(Echo(), head=SOON) as (reader, writer):
        for _ in range(before):
            writer.write(REQUEST)
            assert b"whole" == await reply(reader)
        writer.write(sent)
        if before and not sent:
            return  # That is idle, and another bound.
        assert b"" == await reader.read()


async def test_drops_of_nothing_do_not_keep_a_connection():
    """A blank line before a request is allowed, and no request; nor is one more header every now and then."""
    for first, drop in ((b"", b"\r\n"), (b"GET / HTTP/1.1\r\n", b"a: b\r\n")):
        async with connection(Echo(), head=SOON) as (reader, writer):
            writer.write(first)
            closed = asyncio.ensure_future(reader.read())
            while not closed.done():
                writer.write(drop)
                await asyncio.wait({closed}, timeout=SOON / 5)
            try:
                assert b"" == closed.result()
            except ConnectionResetError:
                pass


async def test_an_idle_connection_is_closed():
    """After its own bound, not that of a head."""
    async with connection(Echo(), idle=SOON) as (reader, writer):
        writer.write(REQUEST)
        assert b"whole" == await reply(reader)
        assert b"" == await reader.read()


async def test_who_asks_may_wait_for_the_answer():
    """An answer takes what it takes: the bound is of the head alone, and of every head anew."""
    async with connection(Echo(pause=2 * SOON), head=SOON) as (reader, writer):
        for _ in range(2):
            writer.write(REQUEST)
            assert b"whole" == await reply(reader)


async def test_a_body_may_come_later_than_its_head():
    """It is the application that bounds it; what did not come whole is marked as such."""
    async with connection(Echo(), head=SOON) as (reader, writer):
        writer.write(REQUEST[:-2])
        await writer.drain()
        await asyncio.sleep(2 * SOON)
        writer.write(REQUEST[-2:])
        assert b"parts" == await reply(reader)
