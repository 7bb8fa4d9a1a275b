"""A laboratory as a process of its own, to be killed: sends numbered rows in a session, and writes down what was
acknowledged, one line a batch, before it goes on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest

from services.common.errors import ServiceError
from services.runtime.rpc.connection import Connection
from tests.testkit.builders.records import KEEP, person, result, submission
from tests.testkit.calls import remote
from tests.testkit.servers.records_process import CONTRACTS

BATCH = 20
PEOPLE = 50


def source_id(laboratory: int, number: int) -> str:
    """The id of a row, numbered over the whole session."""
    return f"L{laboratory}-{number:07d}"


async def send(calls: Any, session: str, laboratory: int, acknowledged: Path, pause: float) -> None:
    """Opens the session and sends on from where it stands, without end, `pause` seconds after each batch."""
    opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    room = asyncio.Semaphore(3)

    async def requests() -> AsyncIterator[StreamRecordsRequest]:
        yield StreamRecordsRequest(session_id=session, purpose=KEEP)
        batch = await opened
        while True:
            await room.acquire()
            batch += 1
            numbers = range((batch - 1) * BATCH, batch * BATCH)
            rows = [submission(source_id(laboratory, n), person(n % PEOPLE + 1), result()) for n in numbers]
            yield StreamRecordsRequest(batch=batch, submissions=rows)
            await asyncio.sleep(pause)

    with acknowledged.open("a", encoding="utf-8") as out:
        async for answer in calls.StreamRecords(requests()):
            if not opened.done():
                # What stands is acknowledged too, however its own acknowledgement went.
                opened.set_result(answer.batch)
            out.write(f"{answer.batch}\n")
            out.flush()
            room.release()


async def main(address: str, session: str, laboratory: int, acknowledged: Path, pause: float) -> None:
    """Sends until it is killed; the server may come and go meanwhile."""
    while True:
        async with Connection(address) as channel:
            try:
                calls = remote("records", "laboratory", channel, CONTRACTS)
                await send(calls, session, laboratory, acknowledged, pause)
            except ServiceError:
                await asyncio.sleep(0.02)


def run(arguments: Sequence[str]) -> None:
    """Runs `main` with its arguments as texts, after the name; without the last it never pauses."""
    _, address, session, laboratory, acknowledged, *pause = arguments
    asyncio.run(main(address, session, int(laboratory), Path(acknowledged), float(pause[0]) if pause else 0.0))
