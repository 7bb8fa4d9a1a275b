"""The cost of a code: cached in memory, cached in Redis, and uncached through all services."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, perf_counter
from typing import Any, NamedTuple

import grpc
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import BatchSubmitRecordsRequest, RecordSubmission

from bench.keepalive import Keepalive
from bench.load import post, send_all
from bench.protocol import CannotRunError, in_turn
from bench.report import Measure, Report, Series
from bench.servers import bare_grpc, redis
from bench.servers.program import cpu_seconds, program, thread_seconds
from cli.mesh.client import MeshClient
from cli.mesh.endpoints import read_endpoints
from services.common.errors import Text
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock

CONNECTIONS = 64
CACHED = 15_000
"""Requests in each round of a cached code and of its yardstick."""
PAIRS, SLICE = 20, 1_000
"""In each round the cost of the trail is told by so many pairs of slices, one with it and one without, of so many
requests each: what the machine does besides meets both halves of a pair alike."""
UNCACHED = 4_000
"""People in each round, each asked for once, and calls of the yardstick."""
HOME, ASKED = "430000", "110000"
"""Where people were tested and where their code is asked for."""
CACHED_BOUND, UNCACHED_BOUND = 60.0, 200.0
"""Microseconds of CPU."""
AUDIT_BOUND = 10.0
"""Microseconds of CPU that the trail may add to a cached code."""
SETTLE_SECONDS = 60.0

_SHOW = "/v1/healthCode:show"
_BATCH = 1000


class _Found(NamedTuple):
    """The figures of one round: microseconds of CPU a request, and requests a second."""

    cpu: float
    rate: float
    beside: float = 0.0
    """Microseconds of CPU a request of a process beside the one that serves."""


async def _round(pid: int, count: int, load: Awaitable[None], beside: int | None = None) -> _Found:
    began, used, used_beside = perf_counter(), cpu_seconds(pid), cpu_seconds(beside) if beside else 0.0
    await load
    seconds = perf_counter() - began
    more = cpu_seconds(beside) - used_beside if beside else 0.0
    return _Found((cpu_seconds(pid) - used) / count * 1e6, count / seconds, more / count * 1e6)


class _Pair(NamedTuple):
    """Microseconds of CPU a request of two neighbours in time."""

    without: float
    audited: float

    @property
    def difference(self) -> float:
        """Returns what the trail cost."""
        return self.audited - self.without


async def _pairs(without: "_Mesh", audited: "_Mesh") -> tuple[_Pair, ...]:
    """Measures in turn, every other pair the other way round."""
    pairs = []
    for number in range(PAIRS):
        if number % 2:
            later = await audited.slice()
            pairs.append(_Pair(await without.slice(), later))
        else:
            pairs.append(_Pair(await without.slice(), await audited.slice()))
    return tuple(pairs)


def _question(person: int) -> bytes:
    return json.dumps({"document": {"type": "PASSPORT", "number": f"K{person:08d}"}, "region": ASKED}).encode()


def _submission(person: int, sampled: Instant) -> RecordSubmission:
    return RecordSubmission(
        region=HOME,
        source_id=f"bench-{person:08d}",
        subject=Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=f"K{person:08d}")),
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


class _Mesh:
    """All services in one process, and people who are tested in one region and ask in another."""

    def __init__(self, pid: int, http: str, client: MeshClient) -> None:
        self._pid = pid
        self._http = http
        self._client = client
        self._next = 1
        """The first person nobody asked for yet; person 0 is the one whose code is cached."""

    async def populate(self, people: int) -> None:
        """Gives each a test; returns when the nation has all of them and the first one's code is cached."""
        store = self._client.records(HOME)
        sampled = Instant(system_clock() - 10 * HOUR)
        for start in range(0, people, _BATCH):
            request = BatchSubmitRecordsRequest(purpose=Purpose.PURPOSE_RECORD_KEEPING)
            request.submissions.extend(
                _submission(person, sampled) for person in range(start, min(people, start + _BATCH))
            )
            await store.BatchSubmitRecords(request)
        stored, end = system_clock(), monotonic() + SETTLE_SECONDS
        async with Keepalive(self._http) as connection:
            while (await self._client.nation_as_of() or 0) < stored or not await self._cached(connection):
                if monotonic() > end:
                    raise CannotRunError("国家库未跟上", "The nation did not catch up")
                await asyncio.sleep(0.1)

    async def _cached(self, connection: Keepalive) -> bool:
        reply = await connection.post(_SHOW, _question(0))
        return reply.startswith(b'{"freshness":"CACHED"') and b'"status":"RECOGNISED"' in reply

    async def reply_size(self) -> int:
        """The length of the body of a cached code."""
        async with Keepalive(self._http) as connection:
            return len(await connection.post(_SHOW, _question(0)))

    def cached(self, beside: int | None = None) -> Awaitable[_Found]:
        """Asks for one person's code, which is cached, again and again."""
        requests = repeat(post(_SHOW, _question(0)), CACHED)
        return _round(self._pid, CACHED, send_all(self._http, requests, CONNECTIONS), beside)

    async def slice(self) -> float:
        """Returns the CPU of a cached code, in microseconds, of all threads of the process, over a short while."""
        used = thread_seconds(self._pid)
        await send_all(self._http, repeat(post(_SHOW, _question(0)), SLICE), CONNECTIONS)
        return (thread_seconds(self._pid) - used) / SLICE * 1e6

    def uncached(self) -> Awaitable[_Found]:
        """Asks for the code of people nobody has asked for."""
        start, self._next = self._next, self._next + UNCACHED
        requests: Iterator[bytes] = iter([post(_SHOW, _question(start + person)) for person in range(UNCACHED)])
        return _round(self._pid, UNCACHED, send_all(self._http, requests, CONNECTIONS))


@asynccontextmanager
async def _running(people: int, redis_url: str = "", *, audits: bool = False) -> AsyncIterator[_Mesh]:
    async with AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hutong-bench-")))
        arguments = ["cli", "up", "--port", "0", "--data", str(data), "--no-samples", "--no-limits"]
        arguments += [] if audits else ["--no-audit"]
        arguments += ["--redis", redis_url] if redis_url else []
        pid, _ = await stack.enter_async_context(program(arguments, data / "bench.log"))
        endpoints = read_endpoints(data)
        assert endpoints is not None
        client = await stack.enter_async_context(MeshClient(endpoints, "hutong-bench"))
        mesh = _Mesh(pid, endpoints.http, client)
        await mesh.populate(people)
        yield mesh


async def _call_empty(channel: grpc.aio.Channel) -> None:
    calls = iter(range(UNCACHED))
    call: Any = channel.unary_unary(bare_grpc.METHOD)

    async def work() -> None:
        for _ in calls:
            await call(b"", timeout=10)

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


class _Codes:
    title = Text("一个码的开销：服务进程自身的 CPU", "What a code costs: CPU of the processes that serve it")

    async def run(self, rounds: int) -> Report:
        """See Benchmark."""
        executable = redis.binary()
        if executable is None:
            raise CannotRunError("没有 redis-server", "There is no redis-server")
        async with AsyncExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hutong-bench-")))
            cache = redis.RedisServer(executable, directory)
            cache.start()
            stack.callback(cache.kill)
            memory = await stack.enter_async_context(_running(1 + (rounds + 1) * UNCACHED))
            shared = await stack.enter_async_context(_running(1, cache.url))
            audited = await stack.enter_async_context(_running(1 + (rounds + 1) * UNCACHED, audits=True))
            log = directory / "yardsticks.log"
            size = await memory.reply_size()
            http, http_address = await stack.enter_async_context(program(["bench.servers.bare_http", str(size)], log))
            calls, calls_address = await stack.enter_async_context(program(["bench.servers.bare_grpc"], log))
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(calls_address))
            bare = post(_SHOW, _question(0))

            def bare_http() -> Awaitable[_Found]:
                return _round(http, CACHED, send_all(http_address, repeat(bare, CACHED), CONNECTIONS))

            def bare_call() -> Awaitable[_Found]:
                return _round(calls, UNCACHED, _call_empty(channel))

            def in_redis() -> Awaitable[_Found]:
                return shared.cached(cache.pid)

            measures: list[Callable[[], Awaitable[_Found]]] = [
                bare_http,
                memory.cached,
                audited.cached,
                in_redis,
                bare_call,
                memory.uncached,
                audited.uncached,
            ]
            figures = await in_turn(rounds, *measures)
            trail = await in_turn(rounds, partial(_pairs, memory, audited))
            return _report(size, *figures, pairs=trail[0])


def _measures(
    title: Text, ours: tuple[_Found, ...], yardstick: Text, bare: tuple[_Found, ...], bound: float
) -> list[Measure]:
    return [
        Measure(
            unit="µs CPU",
            ours=Series(title, tuple(one.cpu for one in ours)),
            yardstick=Series(yardstick, tuple(one.cpu for one in bare)),
            bound=bound,
        ),
        Measure(
            unit="requests/s",
            ours=Series(title, tuple(one.rate for one in ours)),
            yardstick=Series(yardstick, tuple(one.rate for one in bare)),
            higher_is_better=True,
        ),
    ]


def _report(
    size: int,
    http: tuple[_Found, ...],
    memory: tuple[_Found, ...],
    audited: tuple[_Found, ...],
    shared: tuple[_Found, ...],
    calls: tuple[_Found, ...],
    uncached: tuple[_Found, ...],
    uncached_audited: tuple[_Found, ...],
    *,
    pairs: tuple[tuple[_Pair, ...], ...],
) -> Report:
    low, middle, high = quantiles([one.difference for series in pairs for one in series], n=4, method="inclusive")
    bare_http = Text(f"标尺：裸 uvicorn，同样 {size} 字节", f"yardstick: bare uvicorn, the same {size} bytes")
    bare_call = Text("标尺：空的 grpc.aio 调用", "yardstick: an empty grpc.aio call")
    return Report(
        (
            *_measures(Text("已缓存，内存", "cached, in memory"), memory, bare_http, http, CACHED_BOUND),
            *_measures(Text("已缓存，Redis", "cached, in Redis"), shared, bare_http, http, CACHED_BOUND),
            Measure(
                "µs CPU", Series(Text("其中 Redis 自身，另计", "Redis's own, besides"), tuple(r.beside for r in shared))
            ),
            *_measures(
                Text("未缓存，四个服务在一个进程", "uncached, four services in one process"),
                uncached,
                bare_call,
                calls,
                UNCACHED_BOUND,
            ),
            Measure(
                "µs CPU",
                Series(
                    Text("已缓存，有审计日志", "cached, with the audit trail"),
                    tuple(median(one.audited for one in series) for series in pairs),
                ),
                Series(
                    Text("标尺：无审计日志", "yardstick: without it"),
                    tuple(median(one.without for one in series) for series in pairs),
                ),
            ),
            Measure(
                "µs CPU",
                Series(
                    Text("其中审计日志：相邻两段之差", "the trail's own: the difference of neighbours"),
                    tuple(median(one.difference for one in series) for series in pairs),
                ),
                bound=AUDIT_BOUND,
            ),
            Measure(
                "requests/s",
                Series(Text("已缓存，有审计日志", "cached, with the audit trail"), tuple(one.rate for one in audited)),
                Series(Text("标尺：无审计日志", "yardstick: without it"), tuple(one.rate for one in memory)),
                higher_is_better=True,
            ),
            Measure(
                "µs CPU",
                Series(
                    Text("未缓存，四个服务都有审计日志", "uncached, with the audit trails of all four services"),
                    tuple(one.cpu for one in uncached_audited),
                ),
                Series(Text("标尺：无审计日志", "yardstick: without them"), tuple(one.cpu for one in uncached)),
            ),
        ),
        (
            Text(
                f"CPU 为服务进程的用户与系统时间，不含客户端；{CONNECTIONS} 个连接；"
                f"每轮已缓存 {CACHED} 次、未缓存 {UNCACHED} 人",
                f"CPU: user and system time of the serving process, without the client; {CONNECTIONS} connections; "
                f"each round {CACHED} cached codes, {UNCACHED} people uncached",
            ),
            Text(
                f"未缓存者各有一份 {HOME} 的检测结果，在 {ASKED} 亮码，每人只问一次",
                f"Uncached: each person has one result in {HOME}, stands in {ASKED}, and is asked for once",
            ),
            Text(
                f"审计日志：每轮 {PAIRS} 对，每对有无审计各 {SLICE} 次，先后交替，CPU 含写盘线程；"
                f"全部各对之差的四分位数 {low:.1f}、{middle:.1f}、{high:.1f} µs",
                f"The trail: each round {PAIRS} pairs of {SLICE} codes with it and {SLICE} without, in changing order, "
                f"its writer's thread included; quartiles of all differences {low:.1f}, {middle:.1f}, {high:.1f} µs",
            ),
            Text(
                "客户端与服务共用机器的核，请求数/秒受二者限制",
                "Client and server share the machine's cores; both limit the requests a second",
            ),
        ),
    )


BENCHMARK = _Codes()
