"""Deadlines, purposes and callers, hop by hop."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1 import change_feed_service_pb2 as feed_pb
from hutong.records.v1 import intake_service_pb2 as intake_pb
from hutong.records.v1 import record_read_service_pb2 as read_pb
from msgspec.structs import replace

from services.common.errors import Code, ServiceError
from services.runtime.rpc.access import NamedCallers
from services.runtime.rpc.call import Call, current_call, enter, leave, within
from services.runtime.rpc.pipeline import LEAST_SECONDS, SHAVE_SECONDS
from services.runtime.telemetry.trace import Trace, new_trace
from tests.testkit.fakes.servicer import READ, REQUEST, TRANSPORTS, Servicer


class Seen:
    """Keeps the calls a servicer was asked under."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.servicer = Servicer(self.list_records, self.watch_changes)

    async def list_records(self, request):
        """Keeps the call."""
        self.calls.append(current_call())
        return read_pb.ListRecordsResponse()

    async def watch_changes(self, request):
        """Keeps the call."""
        self.calls.append(current_call())
        yield feed_pb.WatchChangesResponse()


@contextmanager
def under(call: Call) -> Iterator[None]:
    """Runs what is inside in this call."""
    token = enter(call)
    try:
        yield
    finally:
        leave(token)


def ending_in(seconds: float) -> Call:
    """A call with this much time left."""
    return replace(current_call(), deadline=time.monotonic() + seconds)


async def test_the_callee_has_less_time_than_its_caller(transport):
    """Each server takes a little off, so that the specific timeout is reported before the caller gives up."""
    seen = Seen()
    async with transport(seen.servicer) as records:
        with under(ending_in(5)):
            await records.ListRecords(REQUEST)
            mine = current_call()
    assert 0 < mine.deadline - seen.calls[0].deadline
    assert SHAVE_SECONDS == pytest.approx(mine.deadline - seen.calls[0].deadline, abs=0.5)


async def test_a_call_with_too_little_time_left_is_refused_unserved(transport):
    """Work that cannot finish is not begun."""
    seen = Seen()
    async with transport(seen.servicer) as records:
        with under(ending_in(SHAVE_SECONDS + LEAST_SECONDS / 2)), pytest.raises(ServiceError) as error:
            await records.ListRecords(REQUEST)
    assert (Code.DEADLINE_EXCEEDED, []) == (error.value.code, seen.calls)


async def test_a_call_whose_time_is_up_never_leaves(transport):
    """A deadline that has passed is reported without asking."""
    seen = Seen()
    async with transport(seen.servicer) as records:
        with under(ending_in(-1)), pytest.raises(ServiceError) as error:
            await records.ListRecords(REQUEST)
    assert (Code.DEADLINE_EXCEEDED, []) == (error.value.code, seen.calls)


async def test_slow_work_ends_at_its_deadline(transport):
    """The servicer is stopped, and the error names the service that was late."""
    stopped = asyncio.Event()

    async def list_records(request):
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async with transport(Servicer(list_records)) as records:
        with under(ending_in(0.5)), pytest.raises(ServiceError) as error:
            await records.ListRecords(REQUEST)
        await asyncio.wait_for(stopped.wait(), 10)
    assert (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED") == (error.value.code, error.value.reason)
    assert "records" in str(error.value)


async def test_a_caller_that_gives_no_name_is_refused():
    """Who asks is known from the first hop on."""
    for transport in TRANSPORTS.values():
        seen = Seen()
        async with transport(seen.servicer, caller="") as records:
            with pytest.raises(ServiceError) as error:
                await records.ListRecords(REQUEST)
        assert (Code.UNAUTHENTICATED, "CALLER_UNNAMED", []) == (error.value.code, error.value.reason, seen.calls)


async def test_a_question_about_a_person_needs_a_purpose(transport):
    """PIPL: no read without a purpose; a method whose request has no such field needs none."""
    seen = Seen()
    async with transport(seen.servicer) as records:
        with pytest.raises(ServiceError) as error:
            await records.ListRecords(read_pb.ListRecordsRequest())
        assert [] == seen.calls
        await records.GetLaboratory(read_pb.GetLaboratoryRequest())
        await records.ListRecords(REQUEST)
    assert (Code.INVALID_ARGUMENT, ["PURPOSE_REQUIRED"]) == (
        error.value.code,
        [violation.reason for violation in error.value.violations],
    )
    assert [("test", Purpose.PURPOSE_UNSPECIFIED), ("test", Purpose.PURPOSE_SHOW_CODE)] == [
        (call.caller, call.purpose) for call in seen.calls
    ]


async def test_purposes_are_bound_to_methods_whoever_calls(transport):
    """Also where callers are taken at their word, with a wire and without: who shows a code reads no history and opens
    no intake; a purpose that there is not is none."""
    seen = Seen()
    show, unknown = Purpose.PURPOSE_SHOW_CODE, 77
    async with transport(seen.servicer) as records:
        with pytest.raises(ServiceError) as history:
            await records.GetRecordHistory(read_pb.GetRecordHistoryRequest(purpose=show))
        with pytest.raises(ServiceError) as made_up:
            await records.ListRecords(read_pb.ListRecordsRequest(purpose=unknown))  # type: ignore[arg-type]  # on purpose

        async def batches():
            yield intake_pb.StreamRecordsRequest(purpose=show)

        with pytest.raises(ServiceError) as intake:
            async for _ in records.StreamRecords(batches()):
                pass
    assert [] == seen.calls
    denied = (Code.PERMISSION_DENIED, "PURPOSE_DENIED")
    assert [denied, denied] == [(error.value.code, error.value.reason) for error in (history, intake)]
    assert ["PURPOSE_UNKNOWN"] == [violation.reason for violation in made_up.value.violations]


def test_a_default_purpose_stands_in_where_the_contract_allows_it():
    """The gateway's own callers show their own code."""
    guard = NamedCallers(Purpose.PURPOSE_SHOW_CODE)
    assert Purpose.PURPOSE_SHOW_CODE == guard.admit(
        Call("phone", 0.0, new_trace(None)), f"{READ.full_name}/ListRecords", read_pb.ListRecordsRequest()
    )


async def test_a_stream_knows_its_caller(transport):
    """A follower is a caller like any other, and its call is current while the stream runs."""
    seen = Seen()
    async with transport(seen.servicer, caller="nation") as records:
        async for _ in records.WatchChanges(feed_pb.WatchChangesRequest()):
            pass
    assert ["nation"] == [call.caller for call in seen.calls]


async def test_the_trace_id_is_one_over_all_hops(transport):
    """Also of a request that is not sampled: the logs of every process carry the same id."""
    seen = Seen()
    async with transport(seen.servicer) as records:
        with under(replace(current_call(), trace=Trace(0xABCDEF, 0, sampled=False))):
            await records.ListRecords(REQUEST)
    assert ["00000000000000000000000000abcdef"] == [call.trace.hex_id for call in seen.calls]


def test_a_time_limit_only_shortens():
    """`within` never gives a call more time than it has."""
    with under(ending_in(1)):
        assert within(60).deadline == current_call().deadline
        assert within(0.1).deadline < current_call().deadline


async def test_on_whose_behalf_a_call_is_made_travels_with_it(transport):
    """Whoever asked the gateway stands in what is written down two hops further."""
    seen = Seen()
    call = replace(ending_in(5), users=("spiffe://hutong/holder/1", "spiffe://hutong/holder/2"), persons=(b"own",))
    async with transport(seen.servicer) as records:
        with under(call):
            await records.ListRecords(REQUEST)
            async for _ in records.WatchChanges(feed_pb.WatchChangesRequest()):
                pass
    assert [call.users, call.users] == [one.users for one in seen.calls]
    # Whose data is whose own is proven to the gateway, and said to nobody.
    assert [(), ()] == [one.persons for one in seen.calls]
