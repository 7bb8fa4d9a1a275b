"""A real hot standby: what is read there, what is not, and what is said of it when either server is gone."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple, Protocol

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import SubmitRecordRequest
from hutong.verdict.v1.verdict_pb2 import Status
from hutong.verdict.v1.verdict_service_pb2 import ComputeVerdictRequest, VerdictQuery

from bench.servers.postgres import CannotStartError, PostgresServer, start
from services.common.errors import Code, ServiceError, Unavailable
from services.common.instants import SECOND, Instant, from_timestamp, to_timestamp
from services.lookup.composition import build as build_lookup
from services.lookup.ports import RecordsIntake, RecordsSource
from services.records.domain.selection import Selection
from services.records.store.postgres.store import PostgresStore
from services.records.store.replica import LOOK_SECONDS
from services.records.store.values.records import People
from services.runtime.clock import system_clock
from services.runtime.rpc.channel import Channels
from services.runtime.rpc.server import Server
from services.runtime.service import Service
from services.runtime.tls.identity import store_of
from services.verdict.composition import build as build_verdict
from services.verdict.settings import Settings as VerdictSettings
from tests.testkit.builders.records import KEEP, SHOW, person, result, submission
from tests.testkit.calls import local
from tests.testkit.directories import directory_file
from tests.testkit.needs import missing
from tests.testkit.secret import SECRET
from tests.testkit.servers.lookup_service import settings as lookup_settings
from tests.testkit.servers.postgres_standby import caught_up, pause_replay, resume_replay, standby_of
from tests.testkit.servers.proxy import Proxy
from tests.testkit.servers.records_service import Records

pytestmark = pytest.mark.postgres

PAST = -9_000.0
"""Hours from the noon of the other tests: long ago on the system's clock."""


ASKED = BatchListRecordsRequest(subjects=[Subject(person_key=person(1))], purpose=SHOW)


class Store(RecordsSource, RecordsIntake, Protocol):
    """A store as lookup asks it."""


class Pair(NamedTuple):
    """A primary and its standby."""

    primary: PostgresServer
    standby: PostgresServer


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A pair of servers; the standby lets no query delay what it replays."""
    try:
        primary = start()
    except CannotStartError as error:
        missing(f"no PostgreSQL: {error}")
    try:
        standby = standby_of(primary, "max_standby_streaming_delay=0")
        yield Pair(primary, standby)
        standby.stop()
    finally:
        primary.stop()


class Counted(PostgresStore):
    """A store that counts how often it gave people's records."""

    given = 0

    async def people(
        self,
        person_keys: Sequence[bytes],
        known_at: Instant,
        *,
        original: bool = False,
        selection: Selection | None = None,
    ) -> People:
        """As it does, and counted."""
        found = await super().people(person_keys, known_at, original=original, selection=selection)
        self.given += 1
        return found


class Pod:
    """One process of the service, with both stores."""

    def __init__(self, url: str, read_url: str) -> None:
        self.original = Counted(url, migrates=True)
        self.replica = Counted(read_url, is_replica=True)
        self.records = Records(self.original, system_clock, replica=self.replica)  # type: ignore[arg-type]  # nobody moves this one

    async def close(self) -> None:
        """Closes both."""
        await self.replica.close()
        await self.original.close()

    async def of(self, who: bytes) -> tuple[list[int], Instant]:
        """The revision of each of a person's records, and the instant as of which that is said."""
        response = await self.records.batch([who])
        return [one.revision for one in response.people[0].records], from_timestamp(response.as_of)


class Mesh(NamedTuple):
    """A database with two pods of the service."""

    servers: Pair
    url: str
    pod: Pod
    other: Pod


@pytest.fixture
async def mesh(pair: Pair) -> AsyncIterator[Mesh]:
    """An empty database on both servers, which has S1 of person 1."""
    url = await pair.primary.create_database()
    read_url = pair.standby.dsn(url.rpartition("/")[2])
    pods = Pod(url, read_url), Pod(url, read_url)
    await pods[0].records.submit("S1", person(1), result(PAST, PAST))
    await caught_up(*pair)
    yield Mesh(pair, url, *pods)
    for pod in pods:
        await pod.close()
    await pair.primary.drop_database(url)


async def test_people_are_read_from_the_standby_while_it_keeps_up(mesh):
    """And the primary is spared; what is given is true as of a moment ago, never later."""
    for pod in (mesh.pod, mesh.other):
        before = system_clock()
        given = pod.original.given
        revisions, as_of = await pod.of(person(1))
        assert ([1], True) == (revisions, before - LOOK_SECONDS * SECOND <= as_of <= system_clock())
        assert (given, 1) == (pod.original.given, pod.replica.given)


async def test_who_wrote_reads_it_while_the_standby_lags(mesh):
    """With replay paused the writer's process gives what it wrote; another gives that too, or says that what it gives
    is from before. Once replay goes on, the standby is read again."""
    await mesh.other.of(person(1))
    await pause_replay(mesh.servers.standby)
    try:
        for revision in range(1, 6):
            amended = await mesh.pod.records.amend("S1", revision, result(PAST, PAST + revision))
            assert [revision + 1] == (await mesh.pod.of(person(1)))[0]
            revisions, as_of = await mesh.other.of(person(1))
            assert [revision + 1] == revisions or as_of < from_timestamp(amended.recorded_at)
        async with asyncio.timeout(20):
            while [6] != (await mesh.other.of(person(1)))[0]:
                await asyncio.sleep(0.05)
    finally:
        await resume_replay(mesh.servers.standby)
    await caught_up(*mesh.servers)
    original, replica = mesh.pod.original.given, mesh.pod.replica.given
    assert [6] == (await mesh.pod.of(person(1)))[0]
    assert (original, replica + 1) == (mesh.pod.original.given, mesh.pod.replica.given)


async def test_the_standby_dies_and_comes_back(mesh):
    """Meanwhile the primary is read, and writes go on; afterwards the standby is read again."""
    assert [1] == (await mesh.pod.of(person(1)))[0]
    await asyncio.to_thread(mesh.servers.standby.crash)
    try:
        original = mesh.pod.original.given
        for revision in range(1, 4):
            await mesh.pod.records.amend("S1", revision, result(PAST, PAST + revision))
            assert [revision + 1] == (await mesh.pod.of(person(1)))[0]
        assert original + 3 == mesh.pod.original.given
    finally:
        await asyncio.to_thread(mesh.servers.standby.revive)
    await caught_up(*mesh.servers)
    replica = mesh.pod.replica.given
    async with asyncio.timeout(20):
        while replica == mesh.pod.replica.given:
            assert [4] == (await mesh.pod.of(person(1)))[0]
            await asyncio.sleep(0.05)


async def test_a_wire_that_is_down_costs_one_reader_a_second(mesh):
    """Neither a primary nor a standby that says nothing keeps readers waiting one after another: the other is read."""
    assert [1] == (await mesh.pod.of(person(1)))[0]
    async with (
        Proxy(f"127.0.0.1:{mesh.servers.primary.port}") as one,
        Proxy(f"127.0.0.1:{mesh.servers.standby.port}") as two,
    ):
        name = mesh.url.rpartition("/")[2]
        pod = Pod(f"postgresql://hutong@{one.address}/{name}", f"postgresql://hutong@{two.address}/{name}")
        assert [1] == (await pod.of(person(1)))[0]
        for wire in (one, two):
            wire.swallow()
            async with asyncio.timeout(15):
                for _ in range(3):
                    found = await asyncio.gather(*(pod.of(person(1)) for _ in range(20)))
                    assert [[1]] * 20 == [revisions for revisions, _ in found]
                    await asyncio.sleep(LOOK_SECONDS)
            wire.mend()
            await pod.replica.ping()
            await pod.original.ping()
        await pod.close()


async def test_the_primary_dies_and_comes_back(mesh):
    """Reads go on from the standby and say how old they are, however long that lasts: as of this process's last look at
    the primary, or, of one that has never seen it, as of the standby's last commit. Nothing is written. Afterwards what
    is read is of now again."""
    last = from_timestamp((await mesh.pod.records.history("S1"))[-1].recorded_at)
    await mesh.pod.of(person(1))
    before = system_clock()
    await asyncio.to_thread(mesh.servers.primary.crash)
    try:
        until = system_clock() + 1.5 * LOOK_SECONDS * SECOND
        said = set()
        while system_clock() < until:
            revisions, as_of = await mesh.pod.of(person(1))
            assert ([1], True) == (revisions, last < as_of <= before)
            said.add(as_of)
            assert ([1], last) == await mesh.other.of(person(1))
        assert 1 == len(said)
        with pytest.raises(Unavailable):
            await mesh.pod.records.submit("S2", person(2), result(PAST, PAST))
    finally:
        await asyncio.to_thread(mesh.servers.primary.revive)
    for pod in (mesh.pod, mesh.other):
        async with asyncio.timeout(20):
            while (await pod.of(person(1)))[1] <= before:
                await asyncio.sleep(0.05)
    await mesh.pod.records.submit("S2", person(2), result(PAST, PAST))
    assert [1] == (await mesh.pod.of(person(2)))[0]


async def test_a_store_whose_primary_is_gone_is_still_asked_by_callers_that_heed_health(mesh):
    """Over the wire, as the mesh asks: the whole and the contract of reads are SERVING, and give what the standby has,
    as of when that was true; what writes is NOT_SERVING, and says why."""
    service = mesh.pod.records.service
    server = Server(service.name, service.bindings, service.pings)
    address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    try:
        async with (
            Channels("test") as channels,
            grpc.aio.insecure_channel(address) as channel,
        ):
            health = health_pb2_grpc.HealthStub(channel)

            async def serving(contract: str) -> bool:
                reply = await health.Check(health_pb2.HealthCheckRequest(service=contract))
                return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

            store = channels.remote(Store, address, service="records", peer=store_of("430000"))
            assert [1] == [one.revision for one in (await store.BatchListRecords(ASKED)).people[0].records]
            before = system_clock()
            await asyncio.to_thread(mesh.servers.primary.crash)
            try:
                async with asyncio.timeout(20):
                    while await serving("hutong.records.v1.RecordWriteService"):
                        await asyncio.sleep(0.05)
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    answer = await store.BatchListRecords(ASKED)
                    assert [1] == [one.revision for one in answer.people[0].records]
                    assert from_timestamp(answer.as_of) <= before
                    assert await serving("")
                    assert await serving("hutong.records.v1.RecordReadService")
                    await asyncio.sleep(0.1)
                with pytest.raises(ServiceError) as refused:
                    await store.SubmitRecord(
                        SubmitRecordRequest(submission=submission("S3", person(3), result(PAST, PAST)), purpose=KEEP)
                    )
                assert (Code.UNAVAILABLE, "STORE_UNAVAILABLE") == (refused.value.code, refused.value.reason)
            finally:
                await asyncio.to_thread(mesh.servers.primary.revive)
            async with asyncio.timeout(20):
                while not await serving("hutong.records.v1.RecordWriteService"):
                    await asyncio.sleep(0.05)
    finally:
        await server.drain(0, 0)


async def test_the_mesh_judges_by_the_standby_and_says_as_of_when(mesh, tmp_path):
    """Verdict asks lookup, and lookup the store, over wires whose callers heed health: the primary is gone, and who was
    negative is still recognised, from an answer whose `as_of` is from before; a write says why it cannot be done."""
    now = system_clock()
    fresh = result(PAST, PAST)
    fresh.sampled_at.CopyFrom(to_timestamp(Instant(now - 7_200 * SECOND)))
    fresh.reported_at.CopyFrom(to_timestamp(Instant(now - 3_600 * SECOND)))
    await mesh.pod.records.submit("S1-fresh", person(4), fresh)
    await caught_up(*mesh.servers)
    async with AsyncExitStack() as stack:

        async def serve(service: Service) -> str:
            await stack.enter_async_context(service.running())
            server = Server(service.name, service.bindings, service.pings)
            address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
            stack.push_async_callback(server.drain, 0, 0)
            return address

        records = await serve(mesh.pod.records.service)
        directory = directory_file(tmp_path / "directory.yaml", {"430000": records})
        lookup = await serve(build_lookup(lookup_settings(tmp_path, directory=directory, plaintext=True)))
        verdict = build_verdict(VerdictSettings(mesh_secret=SECRET, lookup=lookup, plaintext=True))
        await stack.enter_async_context(verdict.running())
        verdicts = local(verdict.name, "tests", verdict.bindings)
        query = VerdictQuery(subject=Subject(person_key=person(4)), region="430000")

        async def judged() -> tuple[Status.ValueType, Instant]:
            answer = (await verdicts.ComputeVerdict(ComputeVerdictRequest(query=query, purpose=SHOW))).verdict
            (of_store,) = (source for source in answer.coverage if source.source == "430000")
            return answer.status, from_timestamp(of_store.as_of)

        async with asyncio.timeout(30):
            while True:
                try:
                    if (await judged())[0] == Status.STATUS_RECOGNISED:
                        break
                except ServiceError:
                    # Who is asked may not have been looked at yet.
                    await asyncio.sleep(0.1)
        before = system_clock()
        await asyncio.to_thread(mesh.servers.primary.crash)
        try:
            until = time.monotonic() + 3
            while time.monotonic() < until:
                status, as_of = await judged()
                assert (Status.STATUS_RECOGNISED, True) == (status, as_of <= before)
                await asyncio.sleep(0.1)
            channels = await stack.enter_async_context(Channels("test"))
            store = channels.remote(Store, records, service="records", peer=store_of("430000"))
            with pytest.raises(ServiceError) as refused:
                await store.SubmitRecord(
                    SubmitRecordRequest(submission=submission("S5", person(5), result(PAST, PAST)), purpose=KEEP)
                )
            assert (Code.UNAVAILABLE, "STORE_UNAVAILABLE") == (refused.value.code, refused.value.reason)
        finally:
            await asyncio.to_thread(mesh.servers.primary.revive)


async def test_a_query_that_replay_cancels_is_asked_again(mesh):
    """A lock of the primary is replayed and ends what reads the table on the standby; the reader does not notice."""
    primary = await asyncpg.connect(mesh.url)
    attempts = 0

    async def read(connection: asyncpg.Connection) -> int:
        nonlocal attempts
        attempts += 1
        slow = "select count(*) from revision cross join pg_sleep($1)"
        try:
            return int(await connection.fetchval(slow, 4.0 if attempts == 1 else 0.0))
        except asyncpg.SerializationError as error:
            said.append(error.args[0])
            raise

    said: list[str] = []
    reading = asyncio.create_task(mesh.pod.replica._run(read))
    watching = await asyncpg.connect(mesh.servers.standby.dsn())
    async with asyncio.timeout(20):
        while not await watching.fetchval("select count(*) from pg_stat_activity where wait_event = 'PgSleep'"):
            await asyncio.sleep(0.02)
    async with primary.transaction():
        await primary.execute("lock table revision in access exclusive mode")
    assert (1, 2) == (await reading, attempts)
    assert ["canceling statement due to conflict with recovery"] == said
    await watching.close()
    await primary.close()
