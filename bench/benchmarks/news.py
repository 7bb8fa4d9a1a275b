"""From a change acknowledged by a region to the changed code at a gateway that had the old one cached."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any, NamedTuple

from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.lookup.v1.holder_service_pb2 import ClaimResultRequest
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import AmendRecordRequest, RecordSubmission, SubmitRecordRequest

from bench.keepalive import Keepalive
from bench.protocol import CannotRunError
from bench.report import Measure, Report, Series
from bench.servers import redis
from cli.mesh.client import MeshClient
from cli.mesh.data import mesh_secret
from cli.mesh.per_process import ProcessMesh
from cli.mesh.plan import Plan
from cli.mesh.ports import free_ports
from services.common.errors import Text
from services.common.instants import HOUR, SECOND, Instant, to_timestamp
from services.runtime.clock import system_clock
from services.runtime.rpc.call import enter, leave, within

CHANGES = 100
"""In each round, for each place a code is asked for and for the yardstick."""
WORKERS = 4
"""Changes under way at a time."""
REGIONS = ("430000", "440000", "310000")
ELSEWHERE = "110000"
LOAD_CONNECTIONS = 4
LOAD_PER_SECOND = 400
"""Codes asked for meanwhile, all cached: a bounded load, so that two cores are not just full of it."""
POLL_SECONDS = 0.004
BOUND_MS = 300.0
LOST_SECONDS = 20.0

_PURPOSE = Purpose.PURPOSE_RECORD_KEEPING
_SHOW = "/v1/healthCode:show"


class _Person(NamedTuple):
    number: str
    region: str

    @property
    def subject(self) -> Subject:
        return Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=self.number))

    def question(self, region: str) -> bytes:
        return json.dumps({"document": {"type": "PASSPORT", "number": self.number}, "region": region}).encode()


def _content(region: str, minute: int) -> RecordContent:
    sampled = system_clock() - 10 * HOUR - minute * 60 * SECOND
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(Instant(sampled)),
        reported_at=to_timestamp(Instant(sampled + 2 * HOUR)),
        result=TestResult.TEST_RESULT_NEGATIVE,
        tube=Tube.TUBE_SINGLE,
        laboratory=f"{region}-bench",
        site=region,
        channel=Channel.CHANNEL_LABORATORY,
    )


class _Mesh:
    """A mesh of processes with people whose codes are cached, and a load on it."""

    def __init__(self, url: str, client: MeshClient) -> None:
        self.url = url
        self._client = client
        self._people, self._claimants = (
            [_Person(f"{kind}{number:07d}", REGIONS[number % len(REGIONS)]) for number in range(CHANGES)]
            for kind in "BC"
        )
        self._revisions = dict.fromkeys([*self._people, *self._claimants], 0)

    async def populate(self) -> None:
        """Gives everybody a test in their region, and claimants a copy of it elsewhere."""
        for person in self._revisions:
            submission = RecordSubmission(
                region=person.region,
                source_id=person.number,
                subject=person.subject,
                content=_content(person.region, 0),
            )
            request = SubmitRecordRequest(submission=submission, purpose=_PURPOSE)
            stored = await self._client.records(person.region).SubmitRecord(request)
            self._revisions[person] = stored.record.revision
        for person in self._claimants:
            claim = ClaimResultRequest(
                subject=person.subject,
                region=ELSEWHERE,
                origin_region=person.region,
                origin_source_id=person.number,
                purpose=Purpose.PURPOSE_HOLDER_DECISION,
            )
            await self._client.holders().ClaimResult(claim)

    async def load(self) -> None:
        """Asks for codes that are cached, at a steady pace, until cancelled."""
        async with Keepalive(self.url) as connection:
            at = 0
            while True:
                at += 1
                began = perf_counter()
                # Whoever is not being changed at the moment.
                person = self._people[at % len(self._people)]
                await connection.post(_SHOW, person.question(person.region))
                await asyncio.sleep(max(0.0, LOAD_CONNECTIONS / LOAD_PER_SECOND - (perf_counter() - began)))

    async def changes(self, where: str) -> list[float]:
        """Milliseconds from the acknowledgement of each change to the first changed answer: `home`, `elsewhere` and
        `copy` at the gateway, `store` at the region's own records."""
        waiting = iter(self._claimants if where == "copy" else self._people)
        taken: list[float] = []

        async def work() -> None:
            async with Keepalive(self.url) as connection:
                for person in waiting:
                    taken.append(await self._change(person, where, connection))

        await asyncio.gather(*(work() for _ in range(WORKERS)))
        return taken

    async def _change(self, person: _Person, where: str, connection: Keepalive) -> float:
        store = self._client.records(person.region)
        question = person.question(person.region if where == "home" else ELSEWHERE)
        shown = _copied_revision if where == "copy" else _revision
        if where != "store":
            await self._warm(connection, question, shown, self._revisions[person])
        revision = self._revisions[person]
        token = enter(within(LOST_SECONDS))
        try:
            request = AmendRecordRequest(
                region=person.region,
                source_id=person.number,
                revision=revision,
                content=_content(person.region, revision % 60),
                cause="benchmark",
                purpose=_PURPOSE,
            )
            changed = (await store.AmendRecord(request)).record.revision
            acknowledged = perf_counter()
            self._revisions[person] = changed
            if where == "store":
                read = BatchListRecordsRequest(subjects=[person.subject], purpose=Purpose.PURPOSE_SHOW_CODE)
                while (await store.BatchListRecords(read)).people[0].records[0].revision != changed:
                    pass
            else:
                while shown(await connection.post(_SHOW, question)) != changed:
                    if perf_counter() - acknowledged > LOST_SECONDS:
                        raise RuntimeError("a change never reached the gateway")
                    await asyncio.sleep(POLL_SECONDS)
            return (perf_counter() - acknowledged) * 1000
        finally:
            leave(token)

    async def _warm(self, connection: Keepalive, question: bytes, shown: Callable[[bytes], int], revision: int) -> None:
        """Asks until the code is cached and as it should be."""
        began = perf_counter()
        while True:
            reply = await connection.post(_SHOW, question)
            if reply.startswith(b'{"freshness":"CACHED"') and shown(reply) == revision:
                return
            if perf_counter() - began > LOST_SECONDS:
                raise RuntimeError("a code was never cached")
            await asyncio.sleep(POLL_SECONDS)


def _revision(reply: bytes) -> int:
    newest: dict[str, Any] | None = json.loads(reply)["newestTest"]
    return 0 if newest is None else int(newest["revision"])


def _copied_revision(reply: bytes) -> int:
    """Returns the revision of the region's own copy, which its days since test are counted from; each change of the
    original makes another revision."""
    days: dict[str, Any] | None = json.loads(reply)["daysEvidence"]
    return 0 if days is None or days["region"] != ELSEWHERE else int(days["revision"])


@asynccontextmanager
async def _running(redis_url: str) -> AsyncIterator[_Mesh]:
    async with AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hutong-bench-")))
        processes = ProcessMesh(Plan(data, mesh_secret(data), free_ports(), redis=redis_url))
        stack.push_async_callback(processes.stop_all)
        await processes.start_all()
        client = await stack.enter_async_context(MeshClient(processes.endpoints, "hutong-bench"))
        mesh = _Mesh(processes.http, client)
        await mesh.populate()
        loads = [asyncio.create_task(mesh.load()) for _ in range(LOAD_CONNECTIONS)]
        try:
            yield mesh
        finally:
            for load in loads:
                load.cancel()
            for ended in await asyncio.gather(*loads, return_exceptions=True):
                # A load that broke down was no load.
                if isinstance(ended, Exception):
                    raise ended


def _percentiles(taken: Sequence[float]) -> tuple[float, float, float]:
    cuts = quantiles(taken, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98]


_CACHES = {"memory": Text("内存缓存", "memory cache"), "redis": Text("Redis 缓存", "Redis cache")}
_PLACES = {
    "home": Text("检测所在地区的码", "the code in the region of the test"),
    "elsewhere": Text("外地的码，经国家库", "the code elsewhere, by way of the nation"),
    "copy": Text("外地的码，其本地副本随之更正", "the code elsewhere, by the copy there that follows"),
}
_SHARES = ("p50", "p95", "p99")


class _News:
    title = Text(
        "变更传播：从地区确认变更，到网关（原码已缓存）给出新码",
        "News: from a change acknowledged by a region to the changed code at a gateway that had the old one cached",
    )

    async def run(self, rounds: int) -> Report:
        """See Benchmark."""
        measures: list[Measure] = []
        executable = redis.binary()
        if executable is None:
            raise CannotRunError("没有 redis-server", "There is no redis-server")
        with tempfile.TemporaryDirectory(prefix="hutong-bench-") as directory:
            server = redis.RedisServer(executable, Path(directory))
            server.start()
            try:
                for cache, url in (("memory", ""), ("redis", server.url)):
                    async with _running(url) as mesh:
                        measures += await _measured(mesh, cache, rounds)
            finally:
                server.kill()
        notes = (
            Text(
                f"每个服务一个进程；{'、'.join(REGIONS)} 各有变更，同时 {WORKERS} 件；每轮每处 {CHANGES} 件；"
                f"负载为每秒 {LOAD_PER_SECOND} 次已缓存的码",
                f"A process for each service; changes in {', '.join(REGIONS)}, {WORKERS} at a time, {CHANGES} a round "
                f"and place; load: {LOAD_PER_SECOND} codes a second, cached",
            ),
            Text(
                "标尺：同样的变更直接从该地区的记录库读到，含一次 gRPC 调用",
                "Yardstick: the same change read directly from the region's records, one gRPC call included",
            ),
        )
        return Report(tuple(measures), notes)


async def _measured(mesh: _Mesh, cache: str, rounds: int) -> list[Measure]:
    figures: dict[str, list[tuple[float, float, float]]] = {"store": [], **{place: [] for place in _PLACES}}
    for place in figures:
        # The first changes open connections.
        await mesh.changes(place)
    for turn in range(rounds):
        for place in figures if turn % 2 == 0 else reversed(figures):
            figures[place].append(_percentiles(await mesh.changes(place)))
    return [
        Measure(
            unit="ms",
            ours=Series(
                Text(f"{share}，{title.zh}，{_CACHES[cache].zh}", f"{share}, {title.en}, {_CACHES[cache].en}"),
                tuple(one[at] for one in figures[place]),
            ),
            yardstick=Series(
                Text(f"{share}，直接读地区记录库", f"{share}, read from the region's records"),
                tuple(one[at] for one in figures["store"]),
            ),
            bound=BOUND_MS if share == "p99" else None,
        )
        for place, title in _PLACES.items()
        for at, share in enumerate(_SHARES)
    ]


BENCHMARK = _News()
