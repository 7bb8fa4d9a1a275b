"""Laboratories' figures of a day: all of them, asked over gRPC, beside the barest count of the same rows in SQL.

A million records of one day and 300 laboratories, of which one in a hundred still waits for its result, are put into
PostgreSQL with their feed; then the feed is counted, and how fast is told. Yardstick: `count(*)` by laboratory over the
day's rows, which tells neither a turnaround nor an overdue sample nor a contradiction. Ours: every laboratory's figures
of the day, page by page, of a records service in a process of its own; and the hundred oldest overdue samples.
"""

import asyncio
import random
from time import perf_counter

import asyncpg
from hutong.records.v1 import laboratory_quality_service_pb2 as pb
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestRecord, TestResult, Tube

from bench.protocol import CannotRunError, in_turn
from bench.report import Measure, Report, Series
from bench.servers.postgres import PostgresServer, start
from bench.servers.records import serving
from cli.commands.laboratory.query import LaboratoryFigures
from services.common.errors import Text
from services.common.instants import DAY, HOUR, Instant, calendar_day, start_of_day, to_timestamp
from services.records.domain.content import digest, latest_at, placed_at
from services.records.domain.revisions import FirstRevision, RecordId, first_body
from services.records.domain.weight import weight_of
from services.records.quality.figure_counter import FigureCounter
from services.records.servicers.quality import day_text
from services.records.store.postgres.store import PostgresStore
from services.records.store.unit_of_work import Known, Plan, Touch
from services.runtime.clock import system_clock
from services.runtime.rpc.channel import remote
from services.runtime.rpc.connection import Connection

ROWS = 1_000_000
BATCH = 5_000
LABORATORIES = 300
REGION = "430000"
RATIO = 1.0
_HEAD = TestRecord(region=REGION).SerializeToString()
_OUTCOMES = (TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE)
_COUNT = "select laboratory, count(*) from revision where placed_at >= $1 and placed_at < $2 group by laboratory"


def _content(rng: random.Random, day: int) -> RecordContent:
    sampled = Instant(start_of_day(day) + rng.randrange(DAY))
    waits = rng.random() < 0.01
    return RecordContent(
        kind=RecordKind.RECORD_KIND_SAMPLING if waits else RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(sampled),
        reported_at=None if waits else to_timestamp(Instant(sampled + rng.randrange(2 * HOUR, 20 * HOUR))),
        result=TestResult.TEST_RESULT_UNSPECIFIED
        if waits
        else rng.choices((TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE), (998, 2))[0],
        tube=rng.choice((Tube.TUBE_SINGLE, Tube.TUBE_POOL_10)),
        laboratory=f"430000-bench-{rng.randrange(LABORATORIES):03d}",
        site="430102",
        channel=Channel.CHANNEL_LABORATORY,
    )


def _record(rng: random.Random, number: int, day: int) -> FirstRevision:
    content = _content(rng, day)
    source_id, key = f"Q{number:08d}", rng.randbytes(16)
    body = first_body(_HEAD, source_id, key, content.SerializeToString())
    return FirstRevision(
        REGION,
        source_id,
        key,
        placed_at(content),
        latest_at(content),
        weight_of(content),
        content.laboratory,
        digest(content),
        body,
    )


async def _fill(store: PostgresStore, day: int) -> None:
    rng = random.Random(1)
    for start_ in range(0, ROWS, BATCH):
        firsts = [_record(rng, number, day) for number in range(start_, start_ + BATCH)]
        touch = Touch({RecordId(REGION, new.source_id): new.person_key for new in firsts})

        def decide(_: Known, firsts: list[FirstRevision] = firsts) -> Plan:
            return Plan(lambda _: b"", firsts=firsts)

        await store.commit(touch, decide, system_clock)


async def _counted(store: PostgresStore) -> float:
    """Counts all there is; changes a second."""
    counting = FigureCounter("bench", store, store.figures, system_clock)
    began = perf_counter()
    while (standing := await counting.step()).sequence < standing.head:
        pass
    return standing.head / (perf_counter() - began)


class _Asking:
    """Questions of a service at an address."""

    def __init__(self, calls: LaboratoryFigures, day: int) -> None:
        self._calls = calls
        self._days = pb.DayRange(first=day_text(day), last=day_text(day))

    async def figures(self) -> float:
        """Milliseconds for all laboratories' figures."""
        began = perf_counter()
        request = pb.ListLaboratoryQualityRequest(days=self._days, page_size=100)
        counted = 0
        while True:
            page = await self._calls.ListLaboratoryQuality(request)
            counted += sum(quality.records for quality in page.quality)
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        if counted != ROWS:
            raise RuntimeError(f"{counted} records were counted")
        return (perf_counter() - began) * 1000

    async def overdue(self) -> float:
        """Milliseconds for the hundred oldest overdue samples."""
        began = perf_counter()
        page = await self._calls.ListOverdueSamples(pb.ListOverdueSamplesRequest(days=self._days))
        if len(page.samples) != 100:
            raise RuntimeError(f"{len(page.samples)} samples are overdue")
        return (perf_counter() - began) * 1000


class Quality:
    """See the module."""

    title = Text(
        "检测机构质量：一天百万样本的指标", "Quality of laboratories: the figures of a day of a million samples"
    )

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

    url = await server.create_database()
    await migrate(SCHEMAS, url)
    day = calendar_day(system_clock()) - 3
    store = PostgresStore(url)
    try:
        await _fill(store, day)
        rate = await _counted(store)
    finally:
        await store.close()
    bare = await asyncpg.connect(url)

    async def count() -> float:
        began = perf_counter()
        await bare.fetch(_COUNT, start_of_day(day), start_of_day(day + 1))
        return (perf_counter() - began) * 1000

    try:
        await bare.execute("vacuum analyze")
        async with serving(url, REGION) as records, Connection(records.address) as channel:
            await asyncio.wait_for(channel.ready(), 30)
            asking = _Asking(remote(LaboratoryFigures, channel, service="records", caller="bench"), day)
            yardstick, figures, overdue = await in_turn(rounds, count, asking.figures, asking.overdue)
    except TimeoutError:
        raise CannotRunError("记录服务未能启动", "The records service did not start") from None
    finally:
        await bare.close()
    shown = Series(Text("全部机构当日指标", "all laboratories' figures"), figures)
    sql = Series(Text("SQL 按机构计数", "count(*) by laboratory in SQL"), yardstick)
    return Report(
        (
            Measure("ms", shown, sql, ratio_bound=RATIO),
            Measure("ms", Series(Text("最久的 100 份逾期样本", "the 100 oldest overdue samples"), overdue)),
        ),
        (Text(f"计入变更流：每秒 {rate:,.0f} 条", f"the feed was counted at {rate:,.0f} changes/s"),),
    )


BENCHMARK = Quality()
