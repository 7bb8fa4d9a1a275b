"""Connections that ask for nothing are closed; those that ask, however slowly they are answered, are not."""

import asyncio

import pytest

from tests.testkit.servers.raw_http import REQUEST, Echo, connection, reply

SOON = 0.15


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
