"""A servicer and its doors for tests of what surrounds every call: the contract is real, the answers are the test's."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1 import change_feed_service_pb2 as feed_pb
from hutong.records.v1 import intake_service_pb2 as intake_pb
from hutong.records.v1 import record_read_service_pb2 as read_pb

from services.runtime.rpc.binding import Binding
from services.runtime.rpc.connection import Connection
from services.runtime.rpc.server import Server
from services.runtime.rpc.streams import STREAM_LIMITS, StreamLimits
from tests.testkit.calls import local, remote

READ = read_pb.DESCRIPTOR.services_by_name["RecordReadService"]
INTAKE = intake_pb.DESCRIPTOR.services_by_name["RecordIntakeService"]
FEED = feed_pb.DESCRIPTOR.services_by_name["ChangeFeedService"]

REQUEST = read_pb.ListRecordsRequest(purpose=Purpose.PURPOSE_SHOW_CODE)


class Servicer:
    """Serves three contracts: list, watch and intake do what the test says, everything else what the list does."""

    def __init__(
        self,
        list_records: Callable[[Any], Awaitable[Message]],
        watch_changes: Callable[[Any], AsyncIterator[Message]] | None = None,
        stream_records: Callable[[AsyncIterator[Any]], AsyncIterator[Message]] | None = None,
    ) -> None:
        self.ListRecords = list_records
        self.WatchChanges = watch_changes
        self.StreamRecords = stream_records

    def __getattr__(self, name: str) -> Any:
        """The methods a test does not care about."""
        return self.ListRecords


def bindings(servicer: Servicer) -> Sequence[Binding]:
    """All contracts, bound."""
    return [Binding(READ, servicer), Binding(FEED, servicer), Binding(INTAKE, servicer)]


@asynccontextmanager
async def over_a_wire(
    servicer: Servicer, caller: str = "test", streams: StreamLimits = STREAM_LIMITS
) -> AsyncIterator[Any]:
    """The servicer behind a server and a channel."""
    server = Server("records", bindings(servicer), streams=streams)
    port = await server.start("127.0.0.1:0")
    channel = Connection(f"127.0.0.1:{port}")
    try:
        yield remote("records", caller, channel, [READ, FEED, INTAKE])
    finally:
        await channel.close()
        await server.drain(0, 0)


@asynccontextmanager
async def in_one_process(servicer: Servicer, caller: str = "test") -> AsyncIterator[Any]:
    """The servicer with no wire between."""
    yield local("records", caller, bindings(servicer))


TRANSPORTS = {"wire": over_a_wire, "process": in_one_process}
