"""Intake in bulk: rows a second into PostgreSQL, over gRPC, validated and deduplicated, beside a bare COPY.

Yardstick: asyncpg's `copy_records_to_table`, 5,000 rows a batch, each batch its own transaction, nothing checked, into
the same indexed and partitioned table in a database of its own. Ours: a records service in a process of its own takes
the same number of rows through RecordIntakeService, 5,000 a batch: it checks every field, makes person keys of document
numbers, finds duplicates, numbers the feed, and acknowledges after the commit. Both begin with messages or tuples that
are made beforehand; serialising them is measured. The server keeps fsync on.

Into a store that is there, such as a cluster's, the yardstick is the same stream into one server of its own.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from hashlib import blake2b
from time import perf_counter
from typing import Any
from uuid import uuid4

import asyncpg
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import RecordSubmission

from bench.protocol import CannotRunError, in_turn
from bench.report import Measure, Report, Series
from bench.servers.postgres import PostgresServer, start
from bench.servers.records import serving
from cli.importing.sending import RecordIntake
from cli.samples.model import resident_id
from services.common.errors import Text
from services.common.instants import HOUR, Instant, to_timestamp
from services.records.domain.content import digest, placed_at, stamp
from services.records.domain.revisions import RecordId, first
from services.runtime.clock import system_clock
from services.runtime.rpc.channel import remote
from services.runtime.rpc.connection import Connection
from services.runtime.tls.identity import UNPROVEN

BATCH = 5_000
BATCHES = 20
"""A round is 100,000 rows."""
LABORATORIES = 2
"""Streams at once."""
REGION = "430000"
RATIO = 0.5
_COLUMNS = (
    "person_key region source_id revision sequence recorded_at placed_at retracted laboratory digest body".split()
)


def _content(rng: random.Random, laboratory: str, now: Instant) -> RecordContent:
    sampled = Instant(now - rng.randrange(6 * HOUR, 24 * HOUR))
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(sampled),
        reported_at=to_timestamp(Instant(sampled + rng.randrange(HOUR, 6 * HOUR))),
        result=TestResult.TEST_RESULT_NEGATIVE,
        tube=rng.choice((Tube.TUBE_SINGLE, Tube.TUBE_POOL_10)),
        laboratory=laboratory,
        site="430102",
        channel=Channel.CHANNEL_LABORATORY,
    )


def _requests(rng: random.Random, laboratory: str, batches: int, now: Instant) -> list[StreamRecordsRequest]:
    """Batches of new rows, each of a person of its own."""
    run = uuid4().hex[:12]

    def submission(number: int) -> RecordSubmission:
        birth = f"{rng.randrange(1850, 1910)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
        number_of = resident_id("430102", birth, rng.randrange(1000))
        return RecordSubmission(
            region=REGION,
            source_id=f"{run}-{number:08d}",
            subject=Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number=number_of)),
            content=_content(rng, laboratory, now),
        )

    return [
        StreamRecordsRequest(batch=b + 1, submissions=[submission(b * BATCH + n) for n in range(BATCH)])
        for b in range(batches)
    ]


def _tuples(rng: random.Random, sequence: int, now: Instant) -> list[list[tuple[Any, ...]]]:
    """The same kind of rows as the service stores, ready to be copied."""
    run, suffix = uuid4().hex[:12], stamp(now, UNPROVEN)
    batches = []
    for b in range(BATCHES):
        batch = []
        for n in range(BATCH):
            content = _content(rng, "430000-bench", now)
            key = blake2b(rng.randbytes(18), digest_size=16).digest()
            record = first(RecordId(REGION, f"{run}-{b * BATCH + n:08d}"), key, content, digest(content))
            sequence += 1
            batch.append(
                (
                    *(key, REGION, record.id.source_id, 1, sequence, now, placed_at(content), False),
                    *("430000-bench", record.digest, record.body + suffix),
                )
            )
        batches.append(batch)
    return batches


class _Bare:
    """The yardstick."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sequence = 0
        self._rng = random.Random(1)

    async def measure(self) -> float:
        """Rows a second of one round."""
        batches = _tuples(self._rng, self._sequence, system_clock())
        self._sequence += BATCH * BATCHES
        connection = await asyncpg.connect(self._url)
        try:
            began = perf_counter()
            for batch in batches:
                await connection.copy_records_to_table("revision", records=batch, columns=_COLUMNS)
            return BATCH * BATCHES / (perf_counter() - began)
        finally:
            await connection.close()


class _Stream:
    """Ours: rows through a service at an address."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._rng = random.Random(2)

    async def measure(self) -> float:
        """Rows a second of one round."""
        now = system_clock()
        share = BATCHES // LABORATORIES
        files = [_requests(self._rng, f"430000-bench-{n}", share, now) for n in range(LABORATORIES)]
        async with Connection(self._address) as channel:
            await asyncio.wait_for(channel.ready(), 30)
            calls = remote(RecordIntake, channel, service="records", caller="bench")
            began = perf_counter()
            stored = sum(await asyncio.gather(*(sent(calls, batches) for batches in files)))
            seconds = perf_counter() - began
        if stored != BATCH * share * LABORATORIES:
            raise RuntimeError(f"{stored} rows were stored")
        return stored / seconds


async def sent(calls: RecordIntake, batches: Iterable[StreamRecordsRequest]) -> int:
    """Sends batches in a session of their own; how many rows became new records."""

    async def requests() -> AsyncIterator[StreamRecordsRequest]:
        yield StreamRecordsRequest(session_id=str(uuid4()), purpose=Purpose.PURPOSE_RECORD_KEEPING)
        for batch in batches:
            yield batch

    return sum([response.created async for response in calls.StreamRecords(requests())])


class Intake:
    """See the module."""

    title = Text("批量入库：流式接收与裸 COPY 之比", "Bulk intake: the stream beside a bare COPY")

    async def run(self, rounds: int) -> Report:
        """Measures both in turn. Raises CannotRunError without a PostgreSQL."""
        server = await asyncio.to_thread(start, durable=True)
        try:
            return await _measured(server, rounds)
        finally:
            await asyncio.to_thread(server.stop)


async def _measured(server: PostgresServer, rounds: int) -> Report:
    from services.records.store.schemas import SCHEMAS
    from services.runtime.storage.migration_command import migrate

    bare, streamed = [await server.create_database() for _ in range(2)]
    for url in (bare, streamed):
        await migrate(SCHEMAS, url)
    async with serving(streamed, REGION) as records:
        try:
            yardstick, ours = await in_turn(rounds, _Bare(bare).measure, _Stream(records.address).measure)
        except TimeoutError:
            raise CannotRunError("记录服务未能启动", "The records service did not start") from None
    return Report(
        (
            Measure(
                "rows/s",
                Series(Text("经 gRPC 校验去重入库", "over gRPC, validated, deduplicated"), ours),
                Series(Text("裸 COPY", "bare COPY"), yardstick),
                higher_is_better=True,
                ratio_bound=RATIO,
            ),
        )
    )


class IntakeInto:
    """The same stream into the store at a URL, whose tables are there, beside one into a server of this run's own."""

    title = Text("批量入库：给定的库与单节点之比", "Bulk intake: a given store beside one node")

    def __init__(self, store_url: str) -> None:
        self._store_url = store_url

    async def run(self, rounds: int) -> Report:
        """Measures both in turn. Raises CannotRunError without a PostgreSQL, and where the store is not served."""
        from services.records.store.schemas import SCHEMAS
        from services.runtime.storage.migration_command import migrate

        server = await asyncio.to_thread(start, durable=True)
        try:
            url = await server.create_database()
            await migrate(SCHEMAS, url)
            async with serving(self._store_url, REGION) as given, serving(url, REGION) as own:
                try:
                    ours, yardstick = await in_turn(
                        rounds, _Stream(given.address).measure, _Stream(own.address).measure
                    )
                except TimeoutError:
                    raise CannotRunError("记录服务未能启动", "The records service did not start") from None
        finally:
            await asyncio.to_thread(server.stop)
        into = Series(Text("入给定的库", "into the store given"), ours)
        return Report(
            (Measure("rows/s", into, Series(Text("入单节点", "into one node"), yardstick), higher_is_better=True),)
        )


BENCHMARK = Intake()
