"""A drain loses nothing: each connection is told which answer is its last, and what was sent before is answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.server import HttpServer
from tests.testkit.servers.raw_http import REQUEST, Echo

BUSY = 40
RESTARTS = 8


@dataclass
class Count:
    """Counts requests that were answered; refused, their connection never having been made; lost after it was."""

    answered: int = 0
    refused: int = 0
    lost: int = 0
    last: int = 0
    """Answers that said they were their connection's last."""


async def _busy(port: int, count: Count, stop: asyncio.Event) -> None:
    """One client that asks without a pause over kept connections, as a load balancer does."""
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            count.refused += 1
            await asyncio.sleep(0.01)
            continue
        try:
            last = False
            while not (stop.is_set() or last):
                writer.write(REQUEST)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(5)
                count.answered += 1
                last = b"connection: close" in head
                count.last += last
        except (ConnectionError, asyncio.IncompleteReadError):
            count.lost += 1
        finally:
            writer.close()


@asynccontextmanager
async def busy(port: int) -> AsyncIterator[Count]:
    """Many of them."""
    count, stop = Count(), asyncio.Event()
    clients = [asyncio.create_task(_busy(port, count, stop)) for _ in range(BUSY)]
    try:
        yield count
    finally:
        stop.set()
        await asyncio.gather(*clients)


async def test_restarts_lose_nothing_of_busy_connections():
    """With a wait before the end, as in a cluster, and with none."""
    async with asyncio.timeout(100):
        server = HttpServer(Echo(pause=0.001))
        port = await server.start("127.0.0.1:0", 5.0)
        async with busy(port) as count:
            for restart in range(RESTARTS):
                before = count.answered
                while count.answered < before + 5 * BUSY:
                    await asyncio.sleep(0.01)
                if restart % 2:
                    server.drain()
                    await asyncio.sleep(0.1)
                await server.stop()
                server = HttpServer(Echo(pause=0.001))
                await server.start(f"127.0.0.1:{port}", 5.0)
        await server.stop()
    assert (0, True) == (count.lost, count.last >= RESTARTS * BUSY // 2)


async def test_a_drain_serves_on_and_says_so():
    """While it lasts, the old connections and new ones are answered, each with its last answer."""
    async with asyncio.timeout(30):
        server = HttpServer(Echo())
        port = await server.start("127.0.0.1:0", 5.0)
        kept_reader, kept_writer = await asyncio.open_connection("127.0.0.1", port)
        kept_writer.write(REQUEST)
        assert b"connection: close" not in await kept_reader.readuntil(b"\r\n\r\n")
        await kept_reader.readexactly(5)
        server.drain()
        new_reader, new_writer = await asyncio.open_connection("127.0.0.1", port)
        for reader, writer in ((kept_reader, kept_writer), (new_reader, new_writer)):
            writer.write(REQUEST)
            assert b"connection: close" in await reader.readuntil(b"\r\n\r\n")
            assert 5 == len(await reader.read())
            writer.close()
        await server.stop()


async def test_what_was_sent_in_one_breath_is_answered_to_the_last():
    """Only the last of several requests says that it is the last, also where the drain begins in their midst."""
    async with asyncio.timeout(30):
        server = HttpServer(Echo(pause=0.02))
        port = await server.start("127.0.0.1:0", 5.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST * 3)
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(5)
        server.drain()
        writer.write(REQUEST * 2)
        ends = []
        for _ in range(4):
            ends.append(b"connection: close" in await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(5)
            if ends[-1]:
                break
        writer.close()
        await server.stop()
    assert [False, False, False, True] == ends or [False, True] == ends


async def test_an_idle_connection_is_closed_in_the_end():
    """With nothing on it; the end does not wait for it as it waits for an answer."""
    async with asyncio.timeout(30):
        server = HttpServer(Echo())
        port = await server.start("127.0.0.1:0", 5.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(5)
        await server.stop()
        assert b"" == await reader.read()
        writer.close()
