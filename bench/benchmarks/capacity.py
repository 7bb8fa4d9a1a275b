"""The capacity of a mesh: processor time and latency of a code by rate, rows kept and share of hits, service by
service, in the composition that is deployed. `python -m bench.capacity` makes docs/capacity.md of its JSON."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from statistics import quantiles
from time import monotonic, perf_counter
from typing import NamedTuple

import redis.asyncio
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import BatchSubmitRecordsRequest, RecordSubmission

from bench.paced import send_paced
from bench.protocol import CannotRunError
from bench.report import Measure, Report, Series
from bench.servers.process_mesh import DeployedMesh, deployed_mesh
from services.common.errors import Text
from services.common.instants import HOUR, Instant, to_timestamp
from services.common.regions import NATION
from services.runtime.clock import system_clock

ROWS = (10_000, 100_000)
HITS = (0, 50, 90, 99)
"""Percent of the codes that are in the cache."""
RATES = (50, 200, 1_000)
"""Codes a second."""
SECONDS = 6.0
CONNECTIONS = 64
WARM = 1_000
"""People whose codes are in the cache."""
HOME, ASKED = "430000", "110000"
"""Where people were tested and where their codes are asked for."""
SETTLE_SECONDS = 600.0
IDLE_SECONDS = 5.0
BUSY = 0.5
"""Cores that a mesh which has nothing left to do may still use."""

_SHOW = "/v1/healthCode:show"
_BATCH = 1_000


class Cell(NamedTuple):
    """One place of the matrix. `processor` has microseconds a code by service, without what the mesh uses when idle;
    latencies are in milliseconds; `rate` is what was offered, `achieved` what was answered in the time it took."""

    rows: int
    hits: int
    rate: int
    achieved: float
    processor: Mapping[str, float]
    p50: float
    p95: float


class _Rows(NamedTuple):
    """Figures of one mesh with so many rows: `intake` is microseconds a row by service, `idle` cores by service, and
    bytes that a row takes in each database, and a code in the cache."""

    rows: int
    intake: Mapping[str, float]
    idle: Mapping[str, float]
    row_bytes: Mapping[str, float]
    code_bytes: float


def _number(person: int) -> str:
    return f"K{person:08d}"


def _body(person: int, *, anew: bool) -> bytes:
    document = {"type": "PASSPORT", "number": _number(person)}
    return json.dumps({"document": document, "region": ASKED} | ({"refresh": True} if anew else {})).encode()


def _submission(person: int, sampled: Instant) -> RecordSubmission:
    return RecordSubmission(
        region=HOME,
        source_id=f"bench-{person:08d}",
        subject=Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=_number(person))),
        content=RecordContent(
            kind=RecordKind.RECORD_KIND_RESULT,
            sampled_at=to_timestamp(sampled),
            reported_at=to_timestamp(Instant(sampled + 2 * HOUR)),
            result=TestResult.TEST_RESULT_NEGATIVE,
            tube=Tube.TUBE_SINGLE,
            laboratory=f"{HOME}-bench",
            site=HOME,
            channel=Channel.CHANNEL_LABORATORY,
        ),
    )


def _since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    # PostgreSQL's processes come and go: one that has gone takes its time with it.
    return {name: max(0.0, after[name] - before.get(name, 0.0)) for name in after}


async def _populate(mesh: DeployedMesh, rows: int) -> Mapping[str, float]:
    """Gives each person one test; returns the microseconds a row by service, once the nation has all of them."""
    store = mesh.client.records(HOME)
    sampled = Instant(system_clock() - 10 * HOUR)
    before = mesh.processor_seconds()
    for start in range(0, rows, _BATCH):
        request = BatchSubmitRecordsRequest(purpose=Purpose.PURPOSE_RECORD_KEEPING)
        request.submissions.extend(_submission(person, sampled) for person in range(start, min(rows, start + _BATCH)))
        await store.BatchSubmitRecords(request)
    stored, end = system_clock(), monotonic() + SETTLE_SECONDS
    while (await mesh.client.nation_as_of() or 0) < stored:
        if monotonic() > end:
            raise CannotRunError("国家库未跟上", "The nation did not catch up")
        await asyncio.sleep(0.2)
    used = _since(before, mesh.processor_seconds())
    return {name: seconds / rows * 1e6 for name, seconds in used.items()}


async def _idle(mesh: DeployedMesh) -> Mapping[str, float]:
    """Returns the cores that each service uses with nothing asked, once what it does in the background has ended."""
    end = monotonic() + SETTLE_SECONDS
    while True:
        before = mesh.processor_seconds()
        await asyncio.sleep(IDLE_SECONDS)
        used = {name: one / IDLE_SECONDS for name, one in _since(before, mesh.processor_seconds()).items()}
        if sum(used.values()) < BUSY or monotonic() > end:
            return used


async def _warm(mesh: DeployedMesh) -> float:
    """Brings the codes of so many people into the cache; returns the bytes that one takes there."""
    async with redis.asyncio.Redis.from_url(mesh.redis_url) as client:
        before = int((await client.info("memory"))["used_memory"])
        await send_paced(mesh.http, _SHOW, [_body(person, anew=False) for person in range(WARM)], 1e9, CONNECTIONS)
        return (int((await client.info("memory"))["used_memory"]) - before) / WARM


async def _cell(mesh: DeployedMesh, rows: int, hits: int, rate: int, idle: Mapping[str, float]) -> Cell:
    chance = random.Random(f"{rows} {hits} {rate}")
    bodies = [
        _body(chance.randrange(WARM), anew=False)
        if chance.random() * 100 < hits
        else _body(chance.randrange(WARM, rows), anew=True)
        for _ in range(round(rate * SECONDS))
    ]
    begun, before = perf_counter(), mesh.processor_seconds()
    latencies = await send_paced(mesh.http, _SHOW, bodies, rate, CONNECTIONS)
    seconds = perf_counter() - begun
    used = _since(before, mesh.processor_seconds())
    parts = quantiles(latencies, n=20, method="inclusive")
    processor = {name: max(0.0, one - idle[name] * seconds) / len(bodies) * 1e6 for name, one in used.items()}
    return Cell(rows, hits, rate, len(bodies) / seconds, processor, parts[9] * 1e3, parts[18] * 1e3)


class Capacity:
    """The matrix, for these numbers of rows."""

    title = Text("容量：按速率、行数与命中率", "Capacity: by rate, rows and share of hits")

    def __init__(self, rows: Sequence[int] = ROWS) -> None:
        """Each more than WARM."""
        self._rows = sorted(set(rows))

    async def run(self, rounds: int) -> Report:
        """See Benchmark. There is no yardstick: the others have theirs."""
        meshes: list[_Rows] = []
        cells: list[list[Cell]] = []
        for rows in self._rows:
            async with deployed_mesh((HOME, ASKED)) as mesh:
                empty = {store: await mesh.database_bytes(store) for store in (HOME, NATION)}
                intake = await _populate(mesh, rows)
                idle = await _idle(mesh)
                code_bytes = await _warm(mesh)
                sizes = {store: (await mesh.database_bytes(store) - empty[store]) / rows for store in empty}
                meshes.append(_Rows(rows, intake, idle, sizes, code_bytes))
                for hits in HITS:
                    for rate in RATES:
                        cells.append([await _cell(mesh, rows, hits, rate, idle) for _ in range(rounds)])
        return _report(meshes, cells)


def _report(meshes: Sequence[_Rows], cells: Sequence[Sequence[Cell]]) -> Report:
    measures: list[Measure] = []
    for rounds in cells:
        rows, hits, rate = rounds[0][:3]
        title = Text(f"{rows:,} 行，每秒 {rate}，命中 {hits} %", f"{rows:,} rows, {rate}/s, {hits} % hits")
        measures += [
            Measure("µs CPU", Series(title, tuple(sum(cell.processor.values()) for cell in rounds))),
            Measure("ms p95", Series(title, tuple(cell.p95 for cell in rounds))),
        ]
    notes = (
        Text(
            "每个服务一个进程，无证书，有审计；PostgreSQL（fsync）与 Redis 的 CPU 计入；客户端不计；空闲时的消耗已减去",
            "A process for each service, without certificates, with audit trails; CPU of PostgreSQL (fsync) and of "
            "Redis is counted, the client's is not; what is used when idle is taken off",
        ),
        Text(
            f"{CONNECTIONS} 个连接，每格 {SECONDS:g} 秒；延迟自该发之时起算；未命中者均绕过缓存重算",
            f"{CONNECTIONS} connections, {SECONDS:g} s a cell; latencies from when a request was due; misses are "
            "computed anew, past the cache",
        ),
    )
    figures = {
        "meshes": [one._asdict() for one in meshes],
        "cells": [[cell._asdict() for cell in rounds] for rounds in cells],
    }
    return Report(tuple(measures), notes, figures)


BENCHMARK = Capacity()
