"""Acknowledged records are there after the process was killed."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import BatchSubmitRecordsRequest, RecordSubmission

from cli.mesh import processes
from cli.mesh.child import healthy
from cli.mesh.client import MeshClient
from cli.samples.model import resident_id
from services.common.errors import ServiceError
from services.common.instants import HOUR, MINUTE, Instant, parse_rfc3339, to_timestamp
from services.runtime.rpc.call import enter, leave, within

REGION = "430000"
ROWS = 200
SAMPLED = parse_rfc3339("2022-08-05T13:20:00+08:00")


def person(batch: int) -> Subject:
    """The one person of a batch."""
    number = resident_id("430102", f"190{batch % 9 + 1}{batch // 9 % 12 + 1:02d}15", batch % 1000)
    return Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number=number))


def request(batch: int) -> BatchSubmitRecordsRequest:
    """The rows of a batch, all of one person."""
    content = RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(Instant(SAMPLED + batch * MINUTE)),
        reported_at=to_timestamp(Instant(SAMPLED + batch * MINUTE + 6 * HOUR)),
        result=TestResult.TEST_RESULT_NEGATIVE,
        tube=Tube.TUBE_SINGLE,
        laboratory="430000-test",
        site="430102",
        channel=Channel.CHANNEL_LABORATORY,
    )
    return BatchSubmitRecordsRequest(
        submissions=[
            RecordSubmission(region=REGION, source_id=f"B{batch:04d}-{row:03d}", subject=person(batch), content=content)
            for row in range(ROWS)
        ],
        purpose=Purpose.PURPOSE_RECORD_KEEPING,
    )


@dataclass
class Submitting:
    """Batches submitted one after another until the store fails."""

    client: MeshClient
    acknowledged: list[int] = field(default_factory=list)

    async def run(self, first: int) -> None:
        """Submits batches from `first` on, for as long as they are acknowledged."""
        store = self.client.records(REGION)
        # Until the channel has found the store again, nothing is acknowledged, and nothing begins.
        await stored(self.client, REGION, [first])
        for batch in range(first, first + 1000):
            token = enter(within(5.0))
            try:
                await store.BatchSubmitRecords(request(batch))
            except ServiceError:
                return
            finally:
                leave(token)
            self.acknowledged.append(batch)

    async def after(self, count: int) -> None:
        """Waits until so many batches are acknowledged."""
        async with asyncio.timeout(30):
            while len(self.acknowledged) < count:
                await asyncio.sleep(0.002)


async def stored(client: MeshClient, store: str, batches: list[int]) -> dict[int, int]:
    """Returns the number of rows of each batch in a store; one that was just started is reached within a second."""
    asked = BatchListRecordsRequest(subjects=[person(batch) for batch in batches], purpose=Purpose.PURPOSE_SUPERVISION)
    async with asyncio.timeout(10):
        while True:
            try:
                response = await client.records(store).BatchListRecords(asked)
                break
            except ServiceError as error:
                if error.reason != "SERVICE_UNREACHABLE":
                    raise
            await asyncio.sleep(0.05)
    return {
        batch: len({record.source_id for record in found.records})
        for batch, found in zip(batches, response.people, strict=True)
    }


@pytest.mark.parametrize("rounds", [2])
async def test_a_killed_records_process_loses_nothing_it_acknowledged(tmp_path: Path, rounds: int) -> None:
    """SIGKILL in the middle of intake, again and again: every acknowledged batch is whole afterwards, in the region
    and, once it has followed, in the nation; a batch that was not acknowledged is there as a whole or not at all."""
    async with processes(tmp_path) as mesh, MeshClient(mesh.endpoints, "test") as client:
        submitting = Submitting(client)
        first = 0
        for _ in range(rounds):
            task = asyncio.create_task(submitting.run(first))
            await submitting.after(len(submitting.acknowledged) + 5)
            await mesh.kill(REGION)
            await task
            await mesh.start(REGION)
            assert await healthy(mesh.grpc[REGION])
            batches = list(range(submitting.acknowledged[-1] + 2))
            found = await stored(client, REGION, batches)
            assert {batch: found[batch] for batch in submitting.acknowledged} == dict.fromkeys(
                submitting.acknowledged, ROWS
            )
            assert set(found.values()) <= {0, ROWS}
            first = len(batches)
        expected = await stored(client, REGION, list(range(first)))
        followed: dict[int, int] = {}
        for _ in range(200):
            followed = await stored(client, "nation", list(range(first)))
            if followed == expected:
                break
            await asyncio.sleep(0.05)
        assert followed == expected


async def test_a_killed_nation_catches_up(tmp_path: Path) -> None:
    """The nation is killed while it follows; started again, it has every record once, those submitted meanwhile too."""
    async with processes(tmp_path) as mesh, MeshClient(mesh.endpoints, "test") as client:
        store = client.records(REGION)
        for batch in range(3):
            await store.BatchSubmitRecords(request(batch))
        await mesh.kill("nation")
        for batch in range(3, 6):
            await store.BatchSubmitRecords(request(batch))
        await mesh.start("nation")
        found: dict[int, int] = {}
        for _ in range(200):
            found = await stored(client, "nation", list(range(6)))
            if set(found.values()) == {ROWS}:
                break
            await asyncio.sleep(0.05)
        assert found == dict.fromkeys(range(6), ROWS)
