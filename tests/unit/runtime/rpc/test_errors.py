"""Callers see an error's code, reason and text, and nothing of what is behind it."""

import asyncio
import logging

import grpc
import pytest
from hutong.records.v1 import change_feed_service_pb2 as feed_pb
from hutong.records.v1 import record_read_service_pb2 as read_pb

from services.common.errors import Code, FailedPrecondition, InvalidArgument, NotFound, ServiceError, Text, Violation
from services.runtime.rpc.connection import Connection
from services.runtime.rpc.errors import _from_status, from_item_error, to_item_error, to_status
from tests.testkit.calls import remote
from tests.testkit.fakes.servicer import READ, REQUEST, Servicer, over_a_wire

WRONG = InvalidArgument(
    Violation("queries[3].region", "REGION_UNKNOWN", Text("地区代码不存在", "No such region")),
    Violation("purpose", "PURPOSE_REQUIRED", Text("须说明使用目的", "The purpose is required")),
)


def same(error: ServiceError) -> tuple[Code, str, Text, tuple[Violation, ...], dict[str, str]]:
    """All that a caller may see of an error."""
    return error.code, error.reason, error.text, error.violations, dict(error.metadata)


MISMATCH = FailedPrecondition("REVISION_MISMATCH", "版本不符", "Not the revision named", {"current_revision": "2"})


def raising(error: BaseException) -> Servicer:
    """A servicer whose methods raise."""

    async def list_records(request):
        raise error

    async def watch_changes(request):
        yield feed_pb.WatchChangesResponse()
        raise error

    return Servicer(list_records, watch_changes)


@pytest.mark.parametrize("error", [WRONG, NotFound("RECORD_NOT_FOUND", "记录不存在", "No such record"), MISMATCH])
async def test_a_service_error_reaches_the_caller_as_it_is(transport, error):
    """Code, reason, both languages, every violation and the metadata survive the way back."""
    async with transport(raising(error)) as records:
        with pytest.raises(ServiceError) as seen:
            await records.ListRecords(REQUEST)
    assert same(error) == same(seen.value)


async def test_a_stream_ends_with_its_error(transport):
    """What was sent before arrives, then the error as it is."""
    received = []
    async with transport(raising(WRONG)) as records:
        with pytest.raises(ServiceError) as seen:
            async for response in records.WatchChanges(feed_pb.WatchChangesRequest()):
                received.append(response)
    assert (1, same(WRONG)) == (len(received), same(seen.value))


async def test_nothing_of_an_unexpected_exception_reaches_the_caller(transport, caplog):
    """The caller gets INTERNAL and the trace id; the log gets the rest, under the same trace id."""
    async with transport(raising(RuntimeError("secret 11010519491231002X"))) as records:
        with caplog.at_level(logging.ERROR), pytest.raises(ServiceError) as seen:
            await records.ListRecords(REQUEST)
        with pytest.raises(ServiceError) as seen_stream:
            async for _ in records.WatchChanges(feed_pb.WatchChangesRequest()):
                pass
    for error in (seen.value, seen_stream.value):
        assert (Code.INTERNAL, "INTERNAL") == (error.code, error.reason)
        assert "secret" not in str(error)
        assert "11010519491231002X" not in str(error)
    assert any(record.exc_info and "secret" in str(record.exc_info[1]) for record in caplog.records)


async def test_the_wire_carries_google_rpc_status():
    """A client that knows nothing of hutong finds one ErrorInfo and one BadRequest in the trailing metadata."""
    from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
    from google.rpc.status_pb2 import Status
    from hutong.records.v1.record_read_service_pb2_grpc import RecordReadServiceStub

    from services.runtime.rpc.server import Server
    from tests.testkit.fakes.servicer import bindings

    server = Server("records", bindings(raising(WRONG)))
    port = await server.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as seen:
            await RecordReadServiceStub(channel).ListRecords(REQUEST, metadata=[("hutong-caller", "test")])
    await server.drain(0, 0)
    metadata = dict(seen.value.trailing_metadata() or ())
    status = Status.FromString(metadata["grpc-status-details-bin"])
    info, bad = ErrorInfo(), BadRequest()
    assert [True] == [detail.Unpack(info) for detail in status.details if detail.Is(ErrorInfo.DESCRIPTOR)]
    assert [True] == [detail.Unpack(bad) for detail in status.details if detail.Is(BadRequest.DESCRIPTOR)]
    assert ("INVALID_ARGUMENT", "hutong") == (info.reason, info.domain)
    assert [("queries[3].region", "REGION_UNKNOWN"), ("purpose", "PURPOSE_REQUIRED")] == [
        (violation.field, violation.reason) for violation in bad.field_violations
    ]
    assert (status.code, grpc.StatusCode.INVALID_ARGUMENT) == (3, seen.value.code())


async def test_a_service_that_is_not_there_is_unreachable():
    """Nobody listening is UNAVAILABLE with a reason that says so, never an answer."""
    channel = Connection("127.0.0.1:1")
    records = remote("records", "test", channel, [READ])
    with pytest.raises(ServiceError) as seen:
        await records.ListRecords(REQUEST)
    await channel.close()
    assert (Code.UNAVAILABLE, "SERVICE_UNREACHABLE") == (seen.value.code, seen.value.reason)


async def test_a_caller_that_leaves_cancels_the_work():
    """Cancelling a call over a wire reaches the servicer."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def list_records(request):
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return read_pb.ListRecordsResponse()

    async with over_a_wire(Servicer(list_records)) as records:
        call = asyncio.ensure_future(records.ListRecords(REQUEST))
        await asyncio.wait_for(begun.wait(), 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(ended.wait(), 10)


def test_an_item_of_a_batch_fails_as_a_single_call_does():
    """The error message of an item carries what a status carries."""
    assert same(WRONG) == same(from_item_error(to_item_error(WRONG)))


async def test_a_thousand_violations_still_reach_the_caller():
    """As many as a trailer holds, the rest counted: a status that does not fit would say nothing at all."""
    text = Text("缺少证件号码", "Missing")
    wrong = [Violation(f"subjects[{at}].document.number", "REQUIRED", text) for at in range(1000)]
    status = to_status(InvalidArgument(*wrong))
    assert len(status.SerializeToString()) * 4 / 3 < 6_000
    told = _from_status(status)
    assert "INVALID_ARGUMENT" == told.reason
    assert told.violations[:2] == tuple(wrong[:2])
    assert "MORE_VIOLATIONS" == told.violations[-1].reason
    assert f"{1000 - len(told.violations) + 1} more are wrong" == told.violations[-1].text.en
