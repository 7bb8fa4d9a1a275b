"""Rate, errors and durations by method and principal, for every service, over a wire and within a process."""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from hutong.records.v1 import record_read_service_pb2 as read_pb
from prometheus_client import REGISTRY

from services.common.errors import NotFound, ServiceError
from services.runtime.metrics import CALLS_IN_FLIGHT, principal_label
from services.runtime.rpc.server import Server
from tests.testkit.fakes.servicer import READ, REQUEST, TRANSPORTS, Servicer, bindings

METHOD = f"{READ.full_name}/ListRecords"


def calls(outcome: str, principal: str = "unproven") -> float:
    """Returns how many calls of the method ended so."""
    labels = {"method": METHOD, "principal": principal, "outcome": outcome}
    return REGISTRY.get_sample_value("hutong_calls_total", labels) or 0.0


def timed(more: Mapping[str, str] | None = None, part: str = "count") -> float:
    """Returns a sample of the durations of the method."""
    labels = {"method": METHOD, "principal": "unproven", **(more or {})}
    return REGISTRY.get_sample_value(f"hutong_call_seconds_{part}", labels) or 0.0


@pytest.mark.parametrize("transport", sorted(TRANSPORTS))
async def test_a_call_is_counted_and_timed(transport):
    """Once, by how it ended; its time stands in one bucket, and in all above."""

    async def answer(request):
        return read_pb.ListRecordsResponse()

    async with TRANSPORTS[transport](Servicer(answer)) as caller:
        before, took, whole = calls("OK"), timed(), timed({"le": "+Inf"}, "bucket")
        await caller.ListRecords(REQUEST)
        assert (before + 1, took + 1, whole + 1) == (calls("OK"), timed(), timed({"le": "+Inf"}, "bucket"))


@pytest.mark.parametrize("transport", sorted(TRANSPORTS))
async def test_an_error_is_counted_by_its_code(transport):
    """And what nobody expected as INTERNAL."""

    async def missing(request):
        raise NotFound("RECORD_UNKNOWN", "没有", "There is none")

    async def broken(request):
        raise RuntimeError("broken")

    for answer, outcome in ((missing, "NOT_FOUND"), (broken, "INTERNAL")):
        async with TRANSPORTS[transport](Servicer(answer)) as caller:
            before = calls(outcome)
            with pytest.raises(ServiceError):
                await caller.ListRecords(REQUEST)
            assert before + 1 == calls(outcome)


async def test_what_is_refused_before_it_is_decoded_is_counted():
    """Bytes that are no message never reach the method, and are an error all the same."""

    async def answer(request):
        return read_pb.ListRecordsResponse()

    server = Server("records", bindings(Servicer(answer)))
    port = await server.start("127.0.0.1:0")
    try:
        before = calls("INVALID_ARGUMENT")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                call: Any = channel.unary_unary(f"/{METHOD}")
                await call(b"\xff\xff\xff", timeout=30)
        assert before + 1 == calls("INVALID_ARGUMENT")
    finally:
        await server.drain(0, 0)


async def test_calls_in_flight_are_those_under_way():
    """They go up while a call is served, and down when it has ended."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def answer(request):
        begun.set()
        await may_end.wait()
        return read_pb.ListRecordsResponse()

    async with TRANSPORTS["wire"](Servicer(answer)) as caller:
        before = CALLS_IN_FLIGHT.value
        calling = asyncio.create_task(caller.ListRecords(REQUEST))
        async with asyncio.timeout(30):
            await begun.wait()
        assert before + 1 == CALLS_IN_FLIGHT.value
        may_end.set()
        await calling
    assert before == CALLS_IN_FLIGHT.value


@pytest.mark.parametrize(
    ("caller", "proven", "label"),
    [
        ("spiffe://hutong/mesh/gateway", True, "mesh/gateway"),
        ("spiffe://hutong/nation/records", True, "nation/records"),
        ("spiffe://hutong/region/430000/system", True, "region/430000/system"),
        ("spiffe://hutong/region/430000/venue/hospital-7", True, "region/430000/venue"),
        ("spiffe://hutong/region/430000/laboratory/L1", True, "region/430000/laboratory"),
        ("spiffe://hutong/holder/2f6c1d", True, "holder"),
        ("spiffe://hutong/guardian/2f6c1d", True, "guardian"),
        ("spiffe://hutong/holder-of-something", True, "unproven"),
        ("spiffe://hutong/anonymous", True, "anonymous"),
        ("spiffe://hutong/mesh/gateway", False, "unproven"),
        ("11010519491231002X", True, "unproven"),
        ("", False, "unproven"),
    ],
)
def test_a_principal_s_label_is_proven_and_no_person(caller, proven, label):
    """Of people the kind alone, so that labels are few and say nothing about anybody."""
    assert label == principal_label(caller, proven=proven)
