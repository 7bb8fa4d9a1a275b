"""Health, drain, reflection and ports of a server."""

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1 import change_feed_service_pb2 as feed_pb
from hutong.records.v1 import change_feed_service_pb2_grpc as feed_grpc
from hutong.records.v1 import intake_service_pb2 as intake_pb
from hutong.records.v1 import record_read_service_pb2 as read_pb
from hutong.records.v1.record_read_service_pb2 import ListRecordsRequest

from services.common.errors import Code, ServiceError
from services.runtime.rpc import server as server_module
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.connection import Connection
from services.runtime.rpc.errors import from_rpc_error
from services.runtime.rpc.peers import Caller
from services.runtime.rpc.security import Security
from services.runtime.rpc.server import Server
from services.runtime.service import Service
from tests.testkit.calls import remote
from tests.testkit.fakes.servicer import FEED, INTAKE, READ, REQUEST, Servicer, bindings

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def answer(request):
    """An empty answer."""
    return read_pb.ListRecordsResponse()


@asynccontextmanager
async def running(servicer: Servicer, pings=None, *, reflects=False) -> AsyncIterator[tuple[Server, int]]:
    """A server on a free port."""
    server = Server("records", bindings(servicer), pings, reflects=reflects)
    port = await server.start("127.0.0.1:0")
    try:
        yield server, port
    finally:
        await server.drain(0, 0)


async def health(port: int, service: str = "") -> int:
    """Returns what the server says of its health."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
        return int(reply.status)


async def until(wanted: int, port: int) -> None:
    """Waits for a state of health, ten seconds at most."""
    async with asyncio.timeout(10):
        while await health(port) != wanted:
            await asyncio.sleep(0.02)


async def test_a_server_is_healthy_while_every_component_is(monkeypatch):
    """The store goes down: NOT_SERVING, for the whole and for each contract; it comes back: SERVING."""
    monkeypatch.setattr(server_module, "PING_SECONDS", 0.05)
    trouble: list[Exception] = []

    async def store() -> None:
        if trouble:
            raise trouble[0]

    async with running(Servicer(answer), {"store": store}) as (server, port):
        assert (SERVING, SERVING) == (await health(port), await health(port, READ.full_name))
        trouble.append(ConnectionError("gone"))
        await until(NOT_SERVING, port)
        assert NOT_SERVING == await health(port, READ.full_name)
        assert "ConnectionError: gone" == server.health.components["store"]
        trouble.clear()
        await until(SERVING, port)


async def test_a_server_whose_store_is_down_never_looks_healthy():
    """Not even for the moment between listening and the first ping."""

    async def store() -> None:
        raise ConnectionError("gone")

    async with running(Servicer(answer), {"store": store}) as (_, port):
        assert NOT_SERVING == await health(port)


async def test_a_component_that_hangs_is_down(monkeypatch):
    """A sign of life that does not come in time is none."""
    monkeypatch.setattr(server_module, "PING_SECONDS", 0.05)

    async with running(Servicer(answer), {"store": asyncio.Event().wait}) as (_, port):
        assert NOT_SERVING == await health(port)


@pytest.mark.parametrize("ticks", range(8))
async def test_a_start_that_is_cancelled_leaves_nothing_behind(ticks):
    """At whichever step: the port is free again, and nothing is complained of."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = Server("records", bindings(Servicer(answer)), {"store": lambda: asyncio.sleep(0)})
    starting = asyncio.create_task(server.start(address))
    for _ in range(ticks):
        await asyncio.sleep(0)
    starting.cancel()
    (ended,) = await asyncio.gather(starting, return_exceptions=True)
    if not isinstance(ended, asyncio.CancelledError):
        # It had started.
        await server.drain(0, 0)
    del server, starting
    gc.collect()
    await asyncio.sleep(0.05)
    again = Server("records", bindings(Servicer(answer)))
    await again.start(address)
    await again.drain(0, 0)
    assert [] == complaints


async def test_reflection_is_off_unless_it_is_asked_for():
    """Nobody is told what the contracts are who does not have them."""
    async with running(Servicer(answer)) as (_, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert grpc.StatusCode.UNIMPLEMENTED == refused.value.code()


async def test_reflection_names_every_contract():
    """A region can explore a server with buf curl."""
    async with (
        running(Servicer(answer), reflects=True) as (_, port),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        reply = await call.read()
    names = {service.name for service in reply.list_services_response.service}
    assert {READ.full_name, FEED.full_name, "grpc.health.v1.Health"} <= names


async def test_a_port_that_is_taken_is_an_error():
    """Two servers never share a port silently."""
    async with running(Servicer(answer)) as (_, port):
        second = Server("records", bindings(Servicer(answer)))
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            await second.start(f"127.0.0.1:{port}")


async def test_a_servicer_that_lacks_a_method_is_refused():
    """A contract is served whole or not at all."""
    with pytest.raises(TypeError, match="ListRecords"):
        Server("records", [Binding(READ, object())])


async def test_a_drain_lets_calls_in_flight_end():
    """What was accepted is answered."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(request):
        begun.set()
        await go.wait()
        return read_pb.ListRecordsResponse(next_page_token="answered")

    async with running(Servicer(slow)) as (server, port):
        channel = Connection(f"127.0.0.1:{port}")
        call = asyncio.ensure_future(remote("records", "test", channel, [READ]).ListRecords(REQUEST))
        await asyncio.wait_for(begun.wait(), 10)
        drain = asyncio.ensure_future(server.drain(0, 10))
        await asyncio.sleep(0.05)
        go.set()
        assert "answered" == (await call).next_page_token
        await drain
        await channel.close()


async def drained(stream: AsyncIterator[object]) -> None:
    """Reads a stream to its end."""
    async for _ in stream:
        pass


async def test_what_drains_is_said_with_when_to_come_back():
    """RetryInfo, for clients that are not ours."""
    async with (
        running(Servicer(answer, forever)) as (server, port),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = feed_grpc.ChangeFeedServiceStub(channel)
        stream = stub.WatchChanges(feed_pb.WatchChangesRequest(), metadata=[("hutong-caller", "test")])
        await stream.read()
        drain = asyncio.ensure_future(server.drain(0, 5))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await stream.read()
        await drain
    details = dict(ended.value.trailing_metadata() or ())["grpc-status-details-bin"]
    retry = RetryInfo()
    assert any(packed.Unpack(retry) for packed in Status.FromString(details).details)
    assert 0 < retry.retry_delay.ToTimedelta().total_seconds() < 1


async def test_a_server_serves_on_while_it_leaves_the_name_it_is_known_by():
    """Operators are told at once that it is about to end, callers not yet: a lone replica that stopped at once would be
    an outage for as long as the wait; one that has a second serves until its callers have gone there."""
    async with running(Servicer(answer)) as (server, port):
        drain = asyncio.create_task(server.drain(3_600.0, 5.0))
        async with asyncio.timeout(30):
            while server.health.readiness().ready:
                await asyncio.sleep(0.01)
        assert (SERVING, SERVING) == (await health(port), await health(port, READ.full_name))
        async with Connection(f"127.0.0.1:{port}") as channel:
            await remote("records", "test", channel, [READ]).ListRecords(REQUEST)
        drain.cancel()
        await asyncio.gather(drain, return_exceptions=True)


async def test_what_writes_need_is_not_asked_of_reads():
    """The store's primary is gone, its standby is there: the contract that writes is not served, the others and the
    whole are."""

    async def primary() -> None:
        raise ConnectionError("gone")

    server = Server(
        "records",
        [Binding(READ, Servicer(answer)), Binding(INTAKE, Servicer(answer), needs=frozenset(["primary"]))],
        {"store": lambda: asyncio.sleep(0), "primary": primary},
    )
    port = await server.start("127.0.0.1:0")
    try:
        assert (SERVING, SERVING) == (await health(port), await health(port, READ.full_name))
        assert NOT_SERVING == await health(port, INTAKE.full_name)
    finally:
        await server.drain(0, 0)


@pytest.mark.parametrize(
    ("method", "data", "compression", "code", "reason"),
    [
        ("ListRecords", b"\xff\xff\xff", None, Code.INVALID_ARGUMENT, "MESSAGE_MALFORMED"),
        (
            "ListRecords",
            ListRecordsRequest(page_token="x" * 300_000).SerializeToString(),
            None,
            Code.RESOURCE_EXHAUSTED,
            "MESSAGE_TOO_LARGE",
        ),
        ("BatchListRecords", b"\xff\xff\xff", None, Code.INVALID_ARGUMENT, "MESSAGE_MALFORMED"),
        ("BatchListRecords", b"\x0a\x00" * 60_000, None, Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"),
        ("BatchListRecords", bytes(1_100_000), None, Code.RESOURCE_EXHAUSTED, ""),
        ("BatchListRecords", bytes(100_000_000), grpc.Compression.Gzip, Code.UNIMPLEMENTED, ""),
    ],
    ids=["malformed", "large", "a malformed batch", "many parts", "a large batch", "compressed"],
)
async def test_bytes_that_cannot_be_a_request_are_refused(caplog, method, data, compression, code, reason):
    """Before they are decoded, or decompressed to a size that nobody bounds; with our reason, and no stack in the
    log."""
    asked: list[object] = []

    async def count(request):
        asked.append(request)
        return read_pb.ListRecordsResponse()

    server = Server("records", [Binding(READ, Servicer(count))], request_bytes=1_000_000)
    port = await server.start("127.0.0.1:0")
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary(f"/{READ.full_name}/{method}")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(data, metadata=[("hutong-caller", "test")], compression=compression, timeout=20)
    finally:
        await server.drain(0, 0)
    error = from_rpc_error(refused.value, "records")
    assert (code, []) == (error.code, asked)
    assert not reason or reason == error.reason
    # A loop of an earlier test's that has ended may be missed by gRPC's own thread, whenever that is.
    errors = [(record.name, str(record.exc_info[1])) for record in caplog.records if record.exc_info]
    assert [] == [error for error in errors if error != ("asyncio", "Event loop is closed")]


async def forever(request):
    """Begins a stream and says no more."""
    yield feed_pb.WatchChangesResponse()
    await asyncio.Event().wait()


async def test_a_drain_ends_streams():
    """A follower is sent away with what it has, and comes back elsewhere."""
    changed = asyncio.Event()

    async def watch(request):
        yield feed_pb.WatchChangesResponse()
        await changed.wait()
        yield feed_pb.WatchChangesResponse()
        await asyncio.Event().wait()

    async with running(Servicer(answer, watch)) as (server, port):
        channel = Connection(f"127.0.0.1:{port}")
        stream = remote("records", "test", channel, [FEED]).WatchChanges(feed_pb.WatchChangesRequest())
        await anext(stream)
        drain = asyncio.ensure_future(server.drain(0.1, 5))
        await asyncio.sleep(0)
        changed.set()
        async with asyncio.timeout(10):
            # A stream that ended well would be over for good, and nobody come back.
            with pytest.raises(ServiceError) as ended:
                await drained(stream)
            await drain
        assert (Code.UNAVAILABLE, "DRAINING") == (ended.value.code, ended.value.reason)
        await channel.close()


class FigureCounter:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.servicer = Servicer(self.list_records)

    async def list_records(self, request):
        """Answers after a moment."""
        self.asked += 1
        await asyncio.sleep(0.002)
        return read_pb.ListRecordsResponse()


@asynccontextmanager
async def under_load(port0: int, port1: int) -> AsyncIterator[list[ServiceError]]:
    """Eight callers that never pause, balanced over two servers; what fails is kept."""
    channel = Connection(f"ipv4:127.0.0.1:{port0},127.0.0.1:{port1}")
    records = remote("records", "test", channel, [READ])
    failures: list[ServiceError] = []
    stop = asyncio.Event()

    async def caller() -> None:
        while not stop.is_set():
            try:
                await records.ListRecords(REQUEST)
            except ServiceError as error:
                failures.append(error)
                await asyncio.sleep(0.01)

    async with asyncio.timeout(30):
        callers = [asyncio.ensure_future(caller()) for _ in range(8)]
        try:
            yield failures
        finally:
            stop.set()
            await asyncio.gather(*callers)
    await channel.close()


async def test_a_drain_under_load_loses_no_call():
    """While one of two servers drains, the other takes over: health moves the traffic before the port closes."""
    one, other = FigureCounter(), FigureCounter()
    async with (
        running(one.servicer) as (first, port0),
        running(other.servicer) as (_, port1),
        under_load(port0, port1) as failures,
    ):
        while min(one.asked, other.asked) < 50:
            await asyncio.sleep(0.01)
        await first.drain(0.5, 5)
        drained = one.asked, other.asked
        while other.asked < drained[1] + 50:
            await asyncio.sleep(0.01)
    assert ([], drained[0]) == (failures, one.asked)


async def test_traffic_leaves_a_sick_server(monkeypatch):
    """A server whose store is down still answers, but is asked no longer; once well, it is asked again."""
    monkeypatch.setattr(server_module, "PING_SECONDS", 0.05)
    one, other = FigureCounter(), FigureCounter()
    trouble: list[Exception] = []

    async def store() -> None:
        if trouble:
            raise trouble[0]

    async with (
        running(one.servicer, {"store": store}) as (_, port0),
        running(other.servicer) as (_, port1),
        under_load(port0, port1) as failures,
    ):
        while min(one.asked, other.asked) < 50:
            await asyncio.sleep(0.01)
        trouble.append(ConnectionError("gone"))
        quiet = 0
        while quiet < 5:
            before = one.asked
            await asyncio.sleep(0.05)
            quiet = quiet + 1 if one.asked == before else 0
        served = other.asked
        trouble.clear()
        while one.asked < before + 50 or other.asked <= served:
            await asyncio.sleep(0.01)
    assert [] == failures


async def test_a_service_keeps_its_background_work_going_and_closes_what_it_holds():
    """Background work runs meanwhile, is cancelled at the end, and only then is the store closed."""
    events: list[str] = []
    begun = asyncio.Event()

    async def follow() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            events.append("work ended")

    async def close() -> None:
        events.append("closed")

    async with Service("records", [], background=[follow], close=close).running():
        await asyncio.wait_for(begun.wait(), 10)
    assert ["work ended", "closed"] == events


class EndingPeers:
    """Knows every caller for a short while."""

    async def caller(self, context):
        """A name that is proven for a fifth of a second more."""
        return Caller("test", ends=time.monotonic() + 0.2)


async def test_a_stream_ends_with_what_proves_its_callers_name():
    """One request or many: whoever reads on proves its name anew, and a server does not wait for the next change."""

    async def echo(requests):
        async for _ in requests:
            yield intake_pb.StreamRecordsResponse()

    server = Server("records", bindings(Servicer(answer, forever, echo)), security=Security(EndingPeers()))
    channel = Connection(f"127.0.0.1:{await server.start('127.0.0.1:0')}")
    records = remote("records", "test", channel, [FEED, INTAKE])

    async def requests():
        yield intake_pb.StreamRecordsRequest(purpose=Purpose.PURPOSE_RECORD_KEEPING)
        await asyncio.Event().wait()

    for stream in (records.WatchChanges(feed_pb.WatchChangesRequest()), records.StreamRecords(requests())):
        async with asyncio.timeout(10):
            with pytest.raises(ServiceError) as ended:
                await drained(stream)
        assert (Code.UNAUTHENTICATED, "CREDENTIAL_ENDED") == (ended.value.code, ended.value.reason)
    await channel.close()
    await server.drain(0, 0)
