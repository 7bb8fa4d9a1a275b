"""Calls over a wire: what is retried, and what is not."""

import asyncio
from pathlib import Path

import grpc
import pytest
from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1 import record_read_service_pb2 as read_pb
from hutong.records.v1.change_feed_service_pb2 import WatchChangesRequest
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest, StreamRecordsResponse

from services.common.errors import Code, ServiceError, Text
from services.runtime.rpc import connection, server
from services.runtime.rpc.connection import Connection
from tests.testkit.calls import remote
from tests.testkit.fakes.servicer import INTAKE, REQUEST, Servicer, bindings, over_a_wire

ATTEMPTS = 3


class Failing:
    """Fails the first calls with a code, then answers; counts them."""

    def __init__(self, code: Code, times: int) -> None:
        self._code = code
        self._times = times
        self.calls = 0

    async def __call__(self, request: object) -> read_pb.ListRecordsResponse:
        """One call."""
        self.calls += 1
        if self.calls <= self._times:
            raise ServiceError(self._code, "FAILS_FOR_NOW", Text("暂时失败", "Fails for now"))
        return read_pb.ListRecordsResponse()


async def test_a_service_that_is_unavailable_is_asked_again():
    """A replica that restarts costs its callers a moment, not an error."""
    failing = Failing(Code.UNAVAILABLE, ATTEMPTS - 1)
    async with over_a_wire(Servicer(failing)) as records:
        assert read_pb.ListRecordsResponse() == await records.ListRecords(REQUEST)
    assert ATTEMPTS == failing.calls


async def test_it_is_not_asked_for_ever():
    """The error that reaches the caller is the service's own."""
    failing = Failing(Code.UNAVAILABLE, 100)
    async with over_a_wire(Servicer(failing)) as records:
        with pytest.raises(ServiceError) as raised:
            await records.ListRecords(REQUEST)
    assert (ATTEMPTS, Code.UNAVAILABLE, "FAILS_FOR_NOW") == (failing.calls, raised.value.code, raised.value.reason)


@pytest.mark.parametrize("code", sorted(set(Code) - {Code.UNAVAILABLE}), ids=lambda code: code.name)
async def test_what_another_attempt_does_not_mend_is_not_retried(code):
    """Load least of all: a service that has too much to do gets no more."""
    failing = Failing(code, 100)
    async with over_a_wire(Servicer(failing)) as records:
        with pytest.raises(ServiceError) as raised:
            await records.ListRecords(REQUEST)
    assert (1, code) == (failing.calls, raised.value.code)


async def test_a_stream_is_opened_once():
    """Only its reader knows where to go on; gRPC's own retries of streams end the process now and then."""
    opened = 0

    async def refuse(requests):
        nonlocal opened
        opened += 1
        raise ServiceError(Code.UNAVAILABLE, "FAILS_FOR_NOW", Text("暂时失败", "Fails for now"))
        yield

    async with over_a_wire(Servicer(Failing(Code.UNAVAILABLE, 0), watch_changes=refuse)) as records:
        with pytest.raises(ServiceError) as raised:
            _ = [told async for told in records.WatchChanges(WatchChangesRequest())]
    assert (1, "FAILS_FOR_NOW") == (opened, raised.value.reason)


async def test_a_stream_that_breaks_off_while_a_request_is_sent_is_unavailable():
    """GRPC calls it an internal error; it is a server that went away, and who sends tries again."""
    reached = asyncio.Event()

    async def read_no_further(requests):
        async for request in requests:
            yield StreamRecordsResponse(batch=request.batch)
            await asyncio.Event().wait()

    async def too_much():
        yield StreamRecordsRequest(purpose=Purpose.PURPOSE_RECORD_KEEPING)
        for _ in range(1000):
            reached.set()
            # More than the windows of HTTP/2 hold: it is still being sent when the server ends.
            yield StreamRecordsRequest(session_id="x" * 4_000_000)

    servicer = Servicer(Failing(Code.UNAVAILABLE, 0), stream_records=read_no_further)
    service = server.Server("records", bindings(servicer))
    port = await service.start("127.0.0.1:0")
    async with Connection(f"127.0.0.1:{port}") as opened:
        responses = remote("records", "test", opened, [INTAKE]).StreamRecords(too_much())
        await anext(responses)
        await reached.wait()
        await service.drain(0, 0)
        with pytest.raises(ServiceError) as raised:
            await anext(responses)
    assert (Code.UNAVAILABLE, "SERVICE_UNREACHABLE") == (raised.value.code, raised.value.reason)


def test_grpc_knows_every_option_by_its_name():
    """It passes over one that it does not know, and a server would go on cutting off streams that ping it."""
    core = next(Path(grpc.__file__).parent.glob("_cython/cygrpc*.so")).read_bytes()
    unknown = [name for name, _ in (*server._OPTIONS, *connection._OPTIONS) if name.encode() not in core]
    assert [] == unknown
