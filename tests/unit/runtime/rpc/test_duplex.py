"""Streams both ways: the same through a wire and within a process."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest, StreamRecordsResponse

from services.common.errors import ServiceError, Unavailable
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.call import current_call
from services.runtime.rpc.connection import Connection
from services.runtime.rpc.server import Server
from tests.testkit.calls import remote
from tests.testkit.fakes.servicer import INTAKE, TRANSPORTS, Servicer, bindings

KEEP = Purpose.PURPOSE_RECORD_KEEPING


async def no_list(request):
    """No test here lists."""
    raise AssertionError


async def sent(count: int, purpose=KEEP, read: list[int] | None = None) -> AsyncIterator[StreamRecordsRequest]:
    """Yields so many requests, numbered from 0; `read` tells which were taken."""
    for number in range(count):
        if read is not None:
            read.append(number)
        yield StreamRecordsRequest(batch=number, purpose=purpose)


async def echo(requests) -> AsyncIterator[StreamRecordsResponse]:
    """A response for each request."""
    async for request in requests:
        yield StreamRecordsResponse(batch=request.batch)


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    """Each way to reach a servicer."""
    return TRANSPORTS[request.param]


async def test_every_request_is_answered_in_order(transport):
    """Requests and responses flow both ways until the requests end."""
    async with transport(Servicer(no_list, stream_records=echo)) as calls:
        assert list(range(50)) == [response.batch async for response in calls.StreamRecords(sent(50))]


async def test_a_response_arrives_before_the_next_request_leaves(transport):
    """A client may wait for each answer before it sends on."""
    answered: asyncio.Queue[int] = asyncio.Queue()

    async def one_by_one():
        for number in range(5):
            yield StreamRecordsRequest(batch=number, purpose=KEEP)
            assert number == await asyncio.wait_for(answered.get(), 10)

    async with transport(Servicer(no_list, stream_records=echo)) as calls:
        async for response in calls.StreamRecords(one_by_one()):
            answered.put_nowait(response.batch)
    assert answered.empty()


async def test_the_first_request_says_who_and_why(transport):
    """The handler runs as the caller's call; a stream whose first request lacks the purpose is refused unserved."""
    seen = []

    async def look(requests):
        seen.append((current_call().caller, current_call().purpose))
        async for request in requests:
            yield StreamRecordsResponse(batch=request.batch)

    async with transport(Servicer(no_list, stream_records=look), caller="laboratory") as calls:
        assert 2 == len([response async for response in calls.StreamRecords(sent(2))])
        with pytest.raises(ServiceError) as caught:
            _ = [r async for r in calls.StreamRecords(sent(1, purpose=Purpose.PURPOSE_UNSPECIFIED))]
    assert ["PURPOSE_REQUIRED"] == [found.reason for found in caught.value.violations]
    assert [("laboratory", KEEP)] == seen


async def test_a_handler_reads_only_what_it_asks_for():
    """Within a process nothing is read ahead of the handler, which is where backpressure begins."""
    read: list[int] = []

    async def slow(requests):
        yield StreamRecordsResponse(batch=(await anext(requests)).batch)
        await asyncio.Event().wait()

    async with (
        TRANSPORTS["process"](Servicer(no_list, stream_records=slow)) as calls,
        aclosing(calls.StreamRecords(sent(50, read=read))) as responses,
    ):
        assert 0 == (await anext(responses)).batch
    assert [0] == read


async def test_an_error_ends_the_stream_and_says_what_it_is(transport):
    """A ServiceError arrives as it was raised; anything else is INTERNAL."""

    async def fails(requests):
        async for request in requests:
            if request.batch == 1:
                raise Unavailable("STORE_UNAVAILABLE", "库", "store")
            yield StreamRecordsResponse(batch=request.batch)

    async def breaks(requests):
        yield StreamRecordsResponse(batch=(await anext(requests)).batch)
        raise RuntimeError("secret")

    # No more is sent than is read: gRPC drops details where the client writes to a stream that has just ended.
    for handler, count, reason in ((fails, 2, "STORE_UNAVAILABLE"), (breaks, 1, "INTERNAL")):
        got = []
        async with transport(Servicer(no_list, stream_records=handler)) as calls:
            with pytest.raises(ServiceError) as caught:
                async for response in calls.StreamRecords(sent(count)):
                    got.append(response.batch)
        assert ([0], reason) == (got, caught.value.reason)


async def test_requests_that_fail_end_the_stream(transport):
    """What they raised is not lost."""

    async def fails():
        yield StreamRecordsRequest(batch=0, purpose=KEEP)
        raise Unavailable("FILE_GONE", "文件", "file")

    async with transport(Servicer(no_list, stream_records=echo)) as calls:
        with pytest.raises(Unavailable) as caught:
            _ = [response async for response in calls.StreamRecords(fails())]
    assert "FILE_GONE" == caught.value.reason


async def test_requests_of_a_stream_that_has_ended_are_closed():
    """What a sender waits for need never come."""
    closed = asyncio.Event()

    async def one(requests):
        yield StreamRecordsResponse(batch=(await anext(requests)).batch)

    async def waits():
        try:
            yield StreamRecordsRequest(batch=7, purpose=KEEP)
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with TRANSPORTS["wire"](Servicer(no_list, stream_records=one)) as calls:
        assert [7] == [response.batch async for response in calls.StreamRecords(waits())]
        assert closed.is_set()


async def test_no_request_at_all_is_no_response(transport):
    """A stream that ends before it began calls nobody."""
    async with transport(Servicer(no_list, stream_records=echo)) as calls:
        assert [] == [response async for response in calls.StreamRecords(sent(0))]


async def test_a_drain_answers_what_was_read_and_ends_the_stream():
    """A server that drains reads no more of a stream; what the handler has, it answers."""
    servicer = Servicer(no_list, stream_records=echo)
    server = Server("records", bindings(servicer))
    port = await server.start("127.0.0.1:0")
    never = asyncio.Event()

    async def waits():
        yield StreamRecordsRequest(batch=7, purpose=KEEP)
        await never.wait()

    async with Connection(f"127.0.0.1:{port}") as channel:
        responses = remote("records", "test", channel, [INTAKE]).StreamRecords(waits())
        assert 7 == (await anext(responses)).batch
        async with asyncio.timeout(5):
            draining = asyncio.create_task(server.drain(0, 30))
            with pytest.raises(ServiceError) as ended:
                await anext(responses)
            await draining
        assert "DRAINING" == ended.value.reason


def test_a_stream_that_is_answered_once_is_refused():
    """Nothing could be acknowledged on the way, so no such method can be bound."""

    class Method:
        name, client_streaming, server_streaming = "Put", True, False

    class Contract:
        methods, full_name = (Method,), "x.Y"

    with pytest.raises(TypeError, match="Put"):
        Binding(Contract, object())  # type: ignore[arg-type]  # the shape is all that is looked at


@pytest.mark.parametrize("purpose", [KEEP, Purpose.PURPOSE_SHOW_CODE], ids=["served", "refused"])
async def test_a_stream_that_is_left_or_refused_is_closed_in_silence(transport, purpose, caplog):
    """All of it, one after another: nothing is left to the garbage collector, which closes in any order."""
    async with transport(Servicer(no_list, stream_records=echo)) as calls:

        async def leave_early() -> None:
            async with aclosing(calls.StreamRecords(sent(1000, purpose))) as responses:
                async for _ in responses:
                    break

        await asyncio.gather(*(leave_early() for _ in range(20)), return_exceptions=True)
    gc.collect()
    for _ in range(10):
        await asyncio.sleep(0)
    assert [] == [one.getMessage() for one in caplog.records if one.name == "asyncio"]
