"""No code that a change has outdated is shown as current for longer than the stated bound, whatever is cut off: real
processes, with wires that can be cut."""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from time import perf_counter

import httpx
import pytest
import pytest_asyncio
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1 import record_write_service_pb2
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import AmendRecordRequest, RecordSubmission, SubmitRecordRequest

from cli.mesh.child import Child, inherited_environment
from cli.mesh.ports import free_ports
from gateway.codes.cache.entry import BOUND_SECONDS
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock
from services.runtime.rpc.connection import Connection
from tests.testkit.calls import remote
from tests.testkit.directories import directory_file
from tests.testkit.faults.recording import Measured
from tests.testkit.secret import SECRET
from tests.testkit.servers.proxy import Proxy
from tests.testkit.servers.redis import RedisServer

pytestmark = [pytest.mark.mesh, pytest.mark.slow, pytest.mark.timeout(300)]

HOME, ELSEWHERE = "430000", "110000"
WRITES = [record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"]]
LATE = BOUND_SECONDS + 3.0
"""Looked at for so long after a change, in seconds: what is outdated must not come back either."""
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 60.0
SLACK_SECONDS = 0.3
"""An answer that was true when it left may take so long to be received on a busy machine."""


def _content(hours: int) -> RecordContent:
    sampled = system_clock() - hours * HOUR
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(Instant(sampled)),
        reported_at=to_timestamp(Instant(sampled + HOUR)),
        result=TestResult.TEST_RESULT_NEGATIVE,
        tube=Tube.TUBE_SINGLE,
        laboratory="430000-fault",
        site=HOME,
        channel=Channel.CHANNEL_LABORATORY,
    )


class Pieces:
    """Two regions, the nation, lookup, verdict and a gateway, each a process. Between them are wires by the names of
    their ends, such as "430000-nation"."""

    def __init__(self, http: str, home: str, wires: Mapping[str, Proxy], nation: Child, nation_file: Path) -> None:
        self.wires = wires
        self._nation = nation
        self._nation_file = nation_file
        self._client = httpx.AsyncClient(base_url=http, timeout=2.0)
        self._channel = Connection(home)
        self._store = remote("records", "test", self._channel, WRITES)

    async def close(self) -> None:
        await self._client.aclose()
        await self._channel.close()

    async def submit(self, person: "Person") -> None:
        """A person is tested at home."""
        subject = Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=person.number))
        submission = RecordSubmission(region=HOME, source_id=person.source_id, subject=subject, content=_content(10))
        await self._store.SubmitRecord(
            SubmitRecordRequest(submission=submission, purpose=Purpose.PURPOSE_RECORD_KEEPING)
        )

    async def amend(self, person: "Person") -> None:
        """The test is amended at home; returns when the region has acknowledged it."""
        await self._store.AmendRecord(
            AmendRecordRequest(
                region=HOME,
                source_id=person.source_id,
                revision=1,
                content=_content(11),
                cause="mistyped",
                purpose=Purpose.PURPOSE_RECORD_KEEPING,
            )
        )

    def back_up_the_nation(self) -> None:
        """Copies the nation's store as it is."""
        with (
            sqlite3.connect(self._nation_file) as source,
            sqlite3.connect(self._nation_file.with_suffix(".backup")) as copy,
        ):
            source.backup(copy)

    async def restore_the_nation(self) -> None:
        """The nation is killed, its store is the backup, and it is started again."""
        self._nation.signal(signal.SIGKILL)
        await self._nation.ended()
        self._put_back()
        await self._nation.spawn()

    def _put_back(self) -> None:
        for name in ("-wal", "-shm"):
            Path(f"{self._nation_file}{name}").unlink(missing_ok=True)
        self._nation_file.with_suffix(".backup").replace(self._nation_file)

    async def shown(self, number: str, region: str) -> tuple[str, int] | None:
        """The freshness of the code shown and the revision it rests on; None when there is none."""
        question = {"document": {"type": "PASSPORT", "number": number}, "region": region}
        try:
            reply = await self._client.post("/v1/healthCode:show", json=question)
        except httpx.HTTPError:
            return None
        if reply.status_code != 200:
            return None
        code = reply.json()
        return code["freshness"], 0 if code["newestTest"] is None else code["newestTest"]["revision"]

    def mend(self) -> None:
        """Makes every wire whole."""
        for wire in self.wires.values():
            wire.mend()


class Person:
    """Somebody with one test, and the codes that the mesh shows of them."""

    def __init__(self, pieces: Pieces, number: int) -> None:
        self._pieces = pieces
        self.number = f"FAULT{number:04d}"
        self.source_id = f"S{number}"

    async def tested(self) -> None:
        """Returns when they were tested at home, and both regions' codes are cached."""
        await self._pieces.submit(self)
        await self.warm()

    async def amend(self) -> None:
        """Their test is amended at home; returns when the region has acknowledged it."""
        await self._pieces.amend(self)

    async def warm(self) -> None:
        """Waits until both regions' codes are cached with the first revision."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for region in (HOME, ELSEWHERE):
                while await self._pieces.shown(self.number, region) != ("CACHED", 1):
                    await asyncio.sleep(POLL_SECONDS)

    async def last_outdated(self, since: float) -> dict[str, float]:
        """Returns how many seconds after a change its codes were last shown as current without it, by region; asks
        a while after the bound."""
        last = dict.fromkeys((HOME, ELSEWHERE), 0.0)
        while perf_counter() - since < LATE:
            for region in last:
                asked = perf_counter() - since
                answer = await self._pieces.shown(self.number, region)
                if answer is not None and answer[0] != "STALE" and answer[1] != 2:
                    last[region] = asked
            await asyncio.sleep(POLL_SECONDS)
        return last

    async def follows_again(self) -> None:
        """Waits until both codes are right, and cached again."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for region in (HOME, ELSEWHERE):
                while await self._pieces.shown(self.number, region) != ("CACHED", 2):
                    await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def in_pieces(data: Path, *, redis_url: str = "", region_feeds: bool = True) -> AsyncIterator[Pieces]:
    """A mesh whose parts can be cut off one by one."""
    ports = iter(free_ports().values())
    at = {
        name: f"127.0.0.1:{next(ports)}" for name in (HOME, ELSEWHERE, "nation", "lookup", "verdict", "gateway", "http")
    }
    async with AsyncExitStack() as stack:
        wires: dict[str, Proxy] = {}
        for wire in (f"{HOME}-nation", "nation-gateway", "lookup-gateway", "verdict-gateway", f"{HOME}-gateway"):
            wires[wire] = await stack.enter_async_context(Proxy(at[wire.partition("-")[0]]))
        # Each part reaches the others by wires of its own.
        feeds = {"nation": wires["nation-gateway"].address, ELSEWHERE: at[ELSEWHERE]}
        if region_feeds:
            feeds[HOME] = wires[f"{HOME}-gateway"].address
        stores = {name: at[name] for name in (HOME, ELSEWHERE, "nation")}
        follow = {HOME: wires[f"{HOME}-nation"].address, ELSEWHERE: at[ELSEWHERE]}
        settings: dict[str, tuple[str, dict[str, str]]] = {
            name: (
                "services.records",
                {"REGION": name, "STORE_URL": f"sqlite:///{data / name}.db", "STORE_MIGRATE": "true"},
            )
            for name in (HOME, ELSEWHERE, "nation")
        }
        # Lookup takes its list while the nation goes by the same one; the nation's wire to a region comes after that.
        settings["nation"][1]["DIRECTORY"] = directory_file(data / "nation.yaml", stores)
        settings["lookup"] = (
            "services.lookup",
            {
                "DIRECTORY": directory_file(data / "lookup.yaml", stores),
                "STORE_URL": f"sqlite:///{data / 'lookup'}.db",
                "STORE_MIGRATE": "true",
            },
        )
        settings["verdict"] = ("services.verdict", {"LOOKUP": at["lookup"]})
        settings["gateway"] = (
            "gateway",
            {
                "HTTP_LISTEN": at["http"],
                "LOOKUP": wires["lookup-gateway"].address,
                "VERDICT": wires["verdict-gateway"].address,
                "DIRECTORY": directory_file(data / "gateway.yaml", feeds),
                "REDIS_URL": redis_url,
                "COMPUTE_SECONDS": "1.0",
                "DEVELOPMENT": str(data / "development"),
            },
        )
        children: dict[str, Child] = {}
        for name, (module, own) in settings.items():
            environ = inherited_environment() | {"HUTONG_LISTEN": at[name], "HUTONG_MESH_SECRET": SECRET}
            environ |= {f"HUTONG_{key}": value for key, value in own.items()}
            child = children[name] = Child(name, module, at[name], environ, data / f"{name}.log")
            stack.push_async_callback(child.stop)
            await child.spawn()
            await child.ready()
            if name == "lookup":
                directory_file(data / "nation.yaml", follow)
                await children["nation"].stop()
                await children["nation"].spawn()
                await children["nation"].ready()
        pieces = Pieces(f"http://{at['http']}", at[HOME], wires, children["nation"], data / "nation.db")
        stack.push_async_callback(pieces.close)
        yield pieces
        # Proxies are mended before processes end, so that they end at once.
        pieces.mend()


def _cut(*names: str) -> Callable[[Pieces], None]:
    def cut(pieces: Pieces) -> None:
        for name in names:
            pieces.wires[name].cut()

    return cut


def _swallow(*names: str) -> Callable[[Pieces], None]:
    def swallow(pieces: Pieces) -> None:
        for name in names:
            pieces.wires[name].swallow()

    return swallow


_NUMBERS = count(1)


@asynccontextmanager
async def somebody_in(pieces: Pieces) -> AsyncIterator[Person]:
    """Somebody new whose codes are cached; afterwards every wire is whole."""
    person = Person(pieces, next(_NUMBERS))
    await person.tested()
    try:
        yield person
    finally:
        pieces.mend()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pieces]:
    """One mesh for all faults after which it is whole again; each has a person of its own."""
    async with in_pieces(tmp_path_factory.mktemp("mesh")) as pieces:
        yield pieces


GATEWAYS = ("nation-gateway", "lookup-gateway", "verdict-gateway", f"{HOME}-gateway")


def _take(measured: Measured, last: Mapping[str, float]) -> None:
    measured.of().saw("codes watched", len(last))
    measured.of().took(max(last.values()))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(_cut("nation-gateway"), id="the nation's feed cut"),
        pytest.param(_swallow("nation-gateway"), id="the nation's feed silent"),
        pytest.param(_swallow("nation-gateway", f"{HOME}-gateway"), id="both feeds silent"),
        pytest.param(_cut(f"{HOME}-nation"), id="region cut from nation"),
        pytest.param(_swallow(f"{HOME}-nation"), id="region silent to nation"),
        pytest.param(_swallow(*GATEWAYS), id="gateway cut from everything"),
    ],
)
async def test_nothing_outdated_is_shown_for_longer_than_the_bound(
    mesh: Pieces, fault: Callable[[Pieces], None], measured: Measured
) -> None:
    """A change right after a cut, when everything still looks fresh."""
    async with somebody_in(mesh) as person:
        fault(mesh)
        await person.amend()
        last = await person.last_outdated(perf_counter())
        _take(measured, last)
        assert max(last.values()) <= BOUND_SECONDS + SLACK_SECONDS, last
        mesh.mend()
        await person.follows_again()


async def test_region_the_gateway_does_not_hear_is_cut_from_the_nation(tmp_path: Path) -> None:
    """Nobody tells the gateway: the nation's news, which stand still, must."""
    async with in_pieces(tmp_path, region_feeds=False) as pieces, somebody_in(pieces) as person:
        pieces.wires[f"{HOME}-nation"].swallow()
        await person.amend()
        last = await person.last_outdated(perf_counter())
        assert max(last.values()) <= BOUND_SECONDS + SLACK_SECONDS, last


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("wire", [f"{HOME}-nation", f"{HOME}-gateway"])
async def test_nation_restored_from_a_backup_brings_nothing_outdated_back(mesh: Pieces, wire: str) -> None:
    """It comes back without a change that is older than the bound, and cannot hear the region, or it alone can: what it
    lacks is asked of the region itself, and who was shown the change is not shown anything else."""
    async with somebody_in(mesh) as person:
        mesh.back_up_the_nation()
        await person.amend()
        await asyncio.sleep(BOUND_SECONDS)
        await person.follows_again()
        mesh.wires[wire].cut()
        since = perf_counter()
        await mesh.restore_the_nation()
        last = await person.last_outdated(since)
        assert max(last.values()) == 0, last
        mesh.mend()
        await person.follows_again()


@pytest.mark.redis
async def test_restarted_redis_brings_nothing_outdated_back(
    tmp_path: Path, redis_server: RedisServer, measured: Measured
) -> None:
    """Killed before a change and started after it, empty; news that came meanwhile found nowhere to go."""
    async with in_pieces(tmp_path, redis_url=redis_server.url) as pieces, somebody_in(pieces) as person:
        redis_server.kill()
        await person.amend()
        since = perf_counter()
        redis_server.start()
        last = await person.last_outdated(since)
        _take(measured, last)
        assert max(last.values()) <= BOUND_SECONDS + SLACK_SECONDS, last
        await person.follows_again()


@pytest.mark.redis
async def test_redis_that_was_stopped_shows_nothing_outdated_when_it_goes_on(
    tmp_path: Path, redis_server: RedisServer, measured: Measured
) -> None:
    """Frozen before a change and thawed after it, with all that it held."""
    async with in_pieces(tmp_path, redis_url=redis_server.url) as pieces, somebody_in(pieces) as person:
        redis_server.freeze()
        try:
            await person.amend()
            since = perf_counter()
            await asyncio.sleep(1.0)
        finally:
            redis_server.thaw()
        last = await person.last_outdated(since)
        _take(measured, last)
        assert max(last.values()) <= BOUND_SECONDS + SLACK_SECONDS, last
        await person.follows_again()
