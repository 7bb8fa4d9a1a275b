"""Watches that nobody reads cost nobody else: what changes is encoded once for all, and who does not read is ended and
goes on where it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1 import change_feed_service_pb2_grpc as feed_grpc

from services.common.errors import ServiceError
from services.records.servicers import message_bytes
from services.runtime.rpc.errors import from_rpc_error
from services.runtime.rpc.server import Server
from services.runtime.rpc.streams import StreamLimits
from tests.testkit.builders.records import person, result, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.waiting import until

WATCHES = 1_000
WRITES = 500
CALLER = [("hutong-caller", "test")]
NARROW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]
"""A client that takes no more than this ahead of its reader."""


@asynccontextmanager
async def watched(directory: Path, limits: StreamLimits) -> AsyncIterator[tuple[Records, Any]]:
    """A records service, and a stub of its feed on one connection."""
    async with opened(sqlite_url(directory)) as store:
        records = Records(store, ManualClock())
        server = Server(records.service.name, records.service.bindings, streams=limits)
        port = await server.start("127.0.0.1:0")
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=NARROW) as channel:
                yield records, feed_grpc.ChangeFeedServiceStub(channel)
        finally:
            await server.drain(0, 0)


async def reason_of(stream: Any) -> str:
    """Returns the reason for which a stream ends."""
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        while True:
            await stream.read()
    return from_rpc_error(ended.value, "records").reason


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_thousand_unread_watches_cost_about_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change is put into a message once, whoever watches; every write is acknowledged."""
    put = message_bytes.change
    messages = 0

    def counting(row: Any) -> fpb.Change:
        nonlocal messages
        messages += 1
        return put(row)

    monkeypatch.setattr(message_bytes, "change", counting)
    async with watched(tmp_path, StreamLimits(WATCHES, WATCHES, 60.0)) as (records, stub):
        streams = [stub.WatchChanges(fpb.WatchChangesRequest(), metadata=CALLER) for _ in range(WATCHES)]
        for stream in streams:
            await stream.read()
        for number in range(WRITES):
            await records.submit(f"S{number}", person(number + 1), result())
        assert len((await records.calls.ListChanges(fpb.ListChangesRequest(page_size=5_000))).changes) == WRITES
        # What was listed just now counts as well. A watch that joined between two readings may need a few for itself.
        assert messages <= 2 * WRITES + WATCHES
        for stream in streams:
            stream.cancel()


async def test_a_reader_that_does_not_read_is_ended_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """It is told why; with the cursor of the last message it read it misses nothing and hears nothing twice."""
    async with watched(tmp_path, StreamLimits(reader_seconds=0.2)) as (records, stub):
        for batch in range(12):
            rows = range(500 * batch + 1, 500 * batch + 501)
            await records.submit_many([submission(f"S{row}", person(row), result()) for row in rows])
        numbers: list[int] = []
        cursor = fpb.FeedCursor()
        reasons: list[str] = []
        while len(numbers) < 6_000:
            stream = stub.WatchChanges(fpb.WatchChangesRequest(cursor=cursor), metadata=CALLER)
            try:
                await asyncio.sleep(0.0 if reasons else 1.0)
                while len(numbers) < 6_000:
                    message = await stream.read()
                    numbers += [change.sequence for change in message.changes]
                    cursor = message.cursor
            except grpc.aio.AioRpcError as error:
                reasons.append(f"{error.code().name} {from_rpc_error(error, 'records').reason}")
            stream.cancel()
        assert numbers == list(range(1, 6_001))
        assert set(reasons) == {"ABORTED READER_TOO_SLOW"}


@pytest.mark.parametrize("limits", [StreamLimits(per_caller=3), StreamLimits(per_connection=3)])
async def test_streams_are_bounded(tmp_path: Path, limits: StreamLimits) -> None:
    """One too many is refused, with a reason; when one has ended, there is room again."""
    async with watched(tmp_path, limits) as (_, stub):
        streams = [stub.WatchChanges(fpb.WatchChangesRequest(), metadata=CALLER) for _ in range(3)]
        for stream in streams:
            await stream.read()
        assert await reason_of(stub.WatchChanges(fpb.WatchChangesRequest(), metadata=CALLER)) == "TOO_MANY_STREAMS"
        streams.pop().cancel()

        async def has_room() -> bool:
            one_more = stub.WatchChanges(fpb.WatchChangesRequest(), metadata=CALLER)
            try:
                await one_more.read()
            except grpc.aio.AioRpcError as error:
                refused: ServiceError = from_rpc_error(error, "records")
                assert refused.reason == "TOO_MANY_STREAMS"
                return False
            streams.append(one_more)
            return True

        await until(has_room, 5)
        for stream in streams:
            stream.cancel()
