"""A head has a size, whatever it is made of and however it comes; and everything before it is answered."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.http.connections import HEAD_BYTES, HEAD_FIELDS
from tests.testkit.servers.raw_http import REQUEST, Echo, connection, reply

PAGE = 4096
MEGABYTE = 1 << 20


async def refusal(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The status and reason that the connection ends with."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"connection: close" in head
    problem = json.loads(await reader.read())
    assert int(head.split()[1]) == problem["status"]
    return problem["status"], problem["reason"]


TOO_LARGE = (431, "HEAD_TOO_LARGE")


@pytest.mark.parametrize(
    "head",
    [
        b"a: " + b"x" * 2 * HEAD_BYTES + b"\r\n",
        b"a: b\r\n" * (HEAD_BYTES // 3),
        b"a: b\r\n" * (HEAD_FIELDS + 1),
        b"x" * 2 * HEAD_BYTES,
    ],
    ids=["one field", "many bytes", "many fields", "one name"],
)
async def test_a_head_that_is_too_large_is_refused(head):
    """Before it is complete where it has too many bytes, else at its end."""
    async with connection(Echo()) as (reader, writer):
        writer.write(b"POST /x HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n")
        assert TOO_LARGE == await refusal(reader)


async def test_a_url_that_is_too_long_is_refused():
    """It is a part of the head."""
    async with connection(Echo()) as (reader, writer):
        writer.write(b"GET /" + b"x" * 2 * HEAD_BYTES)
        assert TOO_LARGE == await refusal(reader)


async def test_as_many_fields_as_may_be_are_served():
    """The bound itself is allowed."""
    async with connection(Echo()) as (reader, writer):
        writer.write(REQUEST.replace(b"host: x\r\n", b"host: x\r\n" + b"a: b\r\n" * (HEAD_FIELDS - 2)))
        assert b"whole" == await reply(reader)


async def test_a_head_takes_no_more_memory_than_it_may():
    """48 MB of one header, piece by piece: what is beyond the bound is dropped as it comes."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE

    async with connection(Echo()) as (reader, writer):
        before = resident()
        writer.write(b"POST /x HTTP/1.1\r\nhost: x\r\na: ")
        try:
            for _ in range(48):
                writer.write(b"x" * MEGABYTE)
                await writer.drain()
        except ConnectionError:
            pass
        assert resident() - before < 16 * MEGABYTE
        try:
            assert b"431" in await reader.readline()
        except ConnectionError:
            pass


CHUNKED = b"POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("opening", "more"),
    [
        (b"0\r\n", b"a: b\r\n" * (MEGABYTE // 6)),
        (b"0\r\na: ", b"x" * MEGABYTE),
        (b"5\r\nwhole\r\n0\r\n", b"a: b\r\n" * (MEGABYTE // 6)),
    ],
    ids=["trailers", "one trailer", "trailers of a body"],
)
async def test_what_frames_a_body_takes_no_more_memory_than_it_may(opening: bytes, more: bytes):
    """48 MB of trailers: they are not kept."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE

    async with connection(Echo()) as (_, writer):
        before = resident()
        writer.write(CHUNKED + opening)
        try:
            for _ in range(48):
                writer.write(more)
                await writer.drain()
        except ConnectionError:
            pass
        assert resident() - before < 16 * MEGABYTE


async def test_a_body_of_the_smallest_chunks_is_served_and_its_trailers_are_no_head():
    """A byte at a time, with a few fields behind it: the next request has fields of its own."""
    body = b"x" * 4 * HEAD_BYTES
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    async with connection(Echo()) as (reader, writer):
        for _ in range(3):
            writer.write(CHUNKED + chunks + b"0\r\n" + b"a: b\r\n" * 50 + b"\r\n")
        for _ in range(3):
            assert await reply(reader) in (b"whole", b"parts")


@pytest.mark.parametrize("size", [1, 7, 4096, HEAD_BYTES])
async def test_many_requests_in_one_breath_are_all_answered(size):
    """Pipelined and cut anywhere: their heads together are no head."""
    requests = REQUEST * 1000
    async with connection(Echo()) as (reader, writer):
        for start in range(0, len(requests) if size > 1 else 2 * len(REQUEST), size):
            writer.write(requests[start : start + size])
            if size < 100:
                await asyncio.sleep(0)
        for _ in range(1000 if size > 1 else 2):
            await reply(reader)


async def test_a_large_body_is_no_head():
    """Nor is the head behind it larger for it."""
    body = b"x" * 3 * HEAD_BYTES
    request = REQUEST.replace(b"content-length: 2", b"content-length: %d" % len(body))[:-2] + body
    async with connection(Echo()) as (reader, writer):
        for _ in range(3):
            writer.write(request)
        for _ in range(3):
            await reply(reader)


async def test_the_end_of_a_large_body_is_no_head():
    """However much of it comes at once, in a read of its own; and the next request on the connection is served."""
    body = b"x" * 40 * HEAD_BYTES
    request = REQUEST.replace(b"content-length: 2", b"content-length: %d" % len(body))[:-2]
    async with connection(Echo()) as (reader, writer):
        for _ in range(3):
            writer.write(request)
            await asyncio.sleep(0.05)
            writer.write(body)
            assert b"parts" == await reply(reader)
        writer.write(REQUEST)
        assert b"whole" == await reply(reader)


async def test_what_came_before_a_refusal_is_answered_first():
    """Answers come in the order of their requests."""
    async with connection(Echo(pause=0.1)) as (reader, writer):
        writer.write(REQUEST * 2 + b"NONSENSE\r\n\r\n")
        await reply(reader)
        await reply(reader)
        assert (400, "HTTP_MALFORMED") == await refusal(reader)
