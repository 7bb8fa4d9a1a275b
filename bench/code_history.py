"""The cost of a code that nobody cached, by the length of the holder's past, and by how often a record was amended."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    BatchSubmitRecordsRequest,
    RecordSubmission,
)

from bench.load import post, send_all
from bench.protocol import CannotRunError
from bench.report import Measure, Report, Series
from bench.servers import postgres
from bench.servers.program import cpu_seconds, program, thread_seconds
from cli.mesh.client import MeshClient
from cli.mesh.endpoints import read_endpoints
from services.common.errors import Text
from services.common.instants import HOUR, Instant, to_timestamp
from services.common.regions import NATION
from services.runtime.clock import system_clock

HOME, ASKED = "430000", "110000"
"""Where people were tested and where their code is asked for."""
EVERY_HOURS = 48
PEOPLE = 40
"""With a past of each length."""
ASKED_ANEW = 1_200
"""Codes of each group asked for in a round, each past the cache: everybody in turn."""
SLICES = 5
"""A round asks for so many slices of each group in turn: what else the machine does meets all of them alike."""
CONNECTIONS = 16
"""Fewer than people, so that nobody is asked about twice at once."""
AMENDMENTS = (1, 100)
BOUND, LONG_BOUND = 1.15, 1.3
"""The greatest cost of a past of up to LONG tests, and of a longer one, as a multiple of the shortest one's."""
LONG = 200
SETTLE_SECONDS = 300.0
IDLE = 0.15
"""Seconds of CPU in one second that are none of counting."""

_SHOW = "/v1/healthCode:show"
_BATCH = 1000
_WRITERS = 4


def _document(group: int, person: int) -> str:
    return f"K{group:03d}{person:05d}"


def _source_id(group: int, person: int, test: int) -> str:
    return f"bench-{group}-{person}-{test}"


def _content(sampled: Instant, reported_hours: float = 2.0) -> RecordContent:
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(sampled),
        reported_at=to_timestamp(Instant(sampled + round(reported_hours * HOUR))),
        result=TestResult.TEST_RESULT_NEGATIVE,
        tube=Tube.TUBE_SINGLE,
        laboratory=f"{HOME}-bench",
        site=HOME,
        channel=Channel.CHANNEL_LABORATORY,
    )


class _Mesh:
    """All services in one process, over one kind of store."""

    def __init__(self, pid: int, http: str, client: MeshClient) -> None:
        self._pid = pid
        self._http = http
        self._client = client

    async def populate(self, lengths: Sequence[int]) -> None:
        """Gives each group its past: one of each length, then one of each count of amendments. Returns when the nation
        has all of it and the stores have counted it."""
        store = self._client.records(HOME)
        newest = Instant(system_clock() - 10 * HOUR)
        groups = [*lengths, *(1 for _ in AMENDMENTS)]
        rows = [
            RecordSubmission(
                region=HOME,
                source_id=_source_id(group, person, test),
                subject=Subject(
                    document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=_document(group, person))
                ),
                content=_content(Instant(newest - test * EVERY_HOURS * HOUR)),
            )
            for group, length in enumerate(groups)
            for person in range(PEOPLE)
            for test in range(length)
        ]
        for start in range(0, len(rows), _BATCH):
            request = BatchSubmitRecordsRequest(purpose=Purpose.PURPOSE_RECORD_KEEPING)
            request.submissions.extend(rows[start : start + _BATCH])
            await store.BatchSubmitRecords(request)
        for group, amendments in enumerate(AMENDMENTS, len(lengths)):
            for start in range(0, PEOPLE, _WRITERS):
                people = range(start, start + _WRITERS)
                await asyncio.gather(*(self._amend(group, person, amendments, newest) for person in people))
        stored, end = system_clock(), monotonic() + SETTLE_SECONDS
        while (await self._client.nation_as_of() or 0) < stored:
            if monotonic() > end:
                raise CannotRunError("国家库未跟上", "The nation did not catch up")
            await asyncio.sleep(0.2)
        # Laboratories' figures are counted in the background, at the expense of what is measured.
        busy = 1.0
        while busy > IDLE:
            if monotonic() > end:
                raise CannotRunError("后台统计未完", "The stores went on counting")
            used = cpu_seconds(self._pid)
            await asyncio.sleep(1)
            busy = cpu_seconds(self._pid) - used

    async def _amend(self, group: int, person: int, amendments: int, newest: Instant) -> None:
        store = self._client.records(HOME)
        for revision in range(1, amendments + 1):
            await store.AmendRecord(
                AmendRecordRequest(
                    region=HOME,
                    source_id=_source_id(group, person, 0),
                    revision=revision,
                    content=_content(newest, 2.0 + revision / 1000),
                    cause="bench",
                    purpose=Purpose.PURPOSE_RECORD_KEEPING,
                )
            )

    async def miss(self, groups: Sequence[int]) -> list[float]:
        """Returns, for each group, the microseconds of CPU of a code that is computed anew."""
        used = dict.fromkeys(groups, 0.0)
        count = ASKED_ANEW // SLICES
        for slice_ in range(SLICES):
            for group in groups if slice_ % 2 == 0 else reversed(groups):
                requests = iter([_asked(group, number % PEOPLE) for number in range(count)])
                before = thread_seconds(self._pid)
                await send_all(self._http, requests, CONNECTIONS)
                used[group] += thread_seconds(self._pid) - before
        return [used[group] / (count * SLICES) * 1e6 for group in groups]


def _asked(group: int, person: int) -> bytes:
    document = {"type": "PASSPORT", "number": _document(group, person)}
    return post(_SHOW, json.dumps({"document": document, "region": ASKED, "refresh": True}).encode())


async def _start(stack: AsyncExitStack, stores: Sequence[str]) -> _Mesh:
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hutong-bench-")))
    pid, _ = await stack.enter_async_context(program(["bench.servers.mesh", str(data), *stores], data / "bench.log"))
    endpoints = read_endpoints(data)
    if endpoints is None:
        raise CannotRunError("没有地址文件", "The mesh has written no addresses")
    client = await stack.enter_async_context(MeshClient(endpoints, "hutong-bench"))
    return _Mesh(pid, endpoints.http, client)


class CodeHistory:
    """Codes of people with pasts of these lengths, the shortest first."""

    title = Text("一个码的开销与检测历史的长短", "What a code costs, by the length of the holder's past")

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = sorted(set(lengths))

    async def run(self, rounds: int) -> Report:
        """See Benchmark."""
        measures = await self._engine("SQLite", rounds, [])
        notes = [
            Text(
                f"每组{PEOPLE}人，每{EVERY_HOURS}小时一次，均在{HOME}检测，在{ASKED}亮码；"
                f"每轮{ASKED_ANEW}次，均绕过缓存；CPU 为服务进程自身",
                f"{PEOPLE} people in each group, tested every {EVERY_HOURS} h in {HOME}, asked about in {ASKED}; each"
                f" round {ASKED_ANEW} codes, all past the cache; CPU of the serving process",
            )
        ]
        try:
            server = await asyncio.to_thread(postgres.start)
        except postgres.CannotStartError as error:
            notes.append(error.text)
            return Report(tuple(measures), tuple(notes))
        try:
            urls = [f"{store}={await server.create_database()}" for store in (HOME, ASKED, NATION)]
            measures += await self._engine("PostgreSQL", rounds, urls)
        finally:
            server.stop()
        return Report(tuple(measures), tuple(notes))

    async def _engine(self, engine: str, rounds: int, stores: Sequence[str]) -> list[Measure]:
        async with AsyncExitStack() as stack:
            mesh = await _start(stack, stores)
            await mesh.populate(self._lengths)
            groups = range(len(self._lengths) + len(AMENDMENTS))
            await mesh.miss(groups)
            costs = list(zip(*[await mesh.miss(groups) for _ in range(rounds)], strict=True))
        titles = [Text(f"{engine}，历史 {length} 次", f"{engine}, {length} tests") for length in self._lengths]
        titles += [Text(f"{engine}，更正 {n} 次", f"{engine}, amended {n} times") for n in AMENDMENTS]
        bounds = [BOUND if length <= LONG else LONG_BOUND for length in self._lengths] + [BOUND, BOUND]
        base = len(self._lengths)
        return [
            Measure(
                unit="µs CPU",
                ours=Series(title, costs[group]),
                yardstick=Series(titles[first], costs[first]) if group != first else None,
                ratio_bound=bounds[group] if group != first else None,
            )
            for group, title in enumerate(titles)
            for first in [0 if group < base else base]
        ]
