"""Each service of a mesh of real processes is killed, or hangs, under a load of codes and an intake.

Each run takes some of them; with `KILLED=all`, or where what was seen is recorded (`FAULT_RECORD`), every one.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import httpx
import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import BatchSubmitRecordsRequest, RecordSubmission

from cli.mesh import processes
from cli.mesh.client import MeshClient
from cli.mesh.per_process import ProcessMesh
from services.common.errors import ServiceError
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock
from services.runtime.rpc.call import enter, leave, within
from tests.testkit.faults.recording import Case, Measured

HOME, ASKED = "430000", "110000"
SAMPLED = Instant(system_clock() - 10 * HOUR)
PEOPLE = 2_000
CALLERS = 3
AWAY_SECONDS = 1.0
PATIENCE_SECONDS = 90.0
SOME = 6
"""So many codes in a row that are as they should be: it is over."""

WHOLE = os.environ.get("KILLED") == "all" or "FAULT_RECORD" in os.environ

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def _person(number: int) -> Subject:
    return Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=f"K{number:08d}"))


def _submissions(numbers: range) -> BatchSubmitRecordsRequest:
    content = RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(SAMPLED),
        reported_at=to_timestamp(Instant(SAMPLED + 2 * HOUR)),
        result=TestResult.TEST_RESULT_NEGATIVE,
        tube=Tube.TUBE_SINGLE,
        laboratory="430000-fault",
        site=HOME,
        channel=Channel.CHANNEL_LABORATORY,
    )
    request = BatchSubmitRecordsRequest(purpose=Purpose.PURPOSE_RECORD_KEEPING)
    request.submissions.extend(
        RecordSubmission(region=HOME, source_id=f"S{number}", subject=_person(number), content=content)
        for number in numbers
    )
    return request


class Holders:
    """Holders who show their codes without a pause, every second one for the first time. `case` takes what they see,
    `wrong` what nobody may; `right_in_a_row` counts since anything else came."""

    def __init__(self, http: str) -> None:
        self._client = httpx.AsyncClient(base_url=http, timeout=10)
        self._next = count(1)
        self.case = Case()
        self.wrong: list[str] = []
        self.right_in_a_row = 0
        self._last_right = time.monotonic()

    async def show(self) -> None:
        """Shows one code, and says how it was."""
        number = next(self._next)
        document = {"type": "PASSPORT", "number": f"K{number % PEOPLE if number % 2 else 0:08d}"}
        try:
            reply = await self._client.post("/v1/healthCode:show", json={"document": document, "region": ASKED})
        except httpx.HTTPError:
            self._saw("no answer")
            await asyncio.sleep(0.05)
            return
        code = reply.json()
        if reply.status_code != 200:
            self._saw("errors")
            await asyncio.sleep(0.05)
        elif code["status"] == "UNDETERMINED":
            self._saw("UNDETERMINED")
        elif code["status"] != "RECOGNISED":
            self.wrong.append(json.dumps(code))
        elif code["freshness"] == "STALE":
            self._saw("last known (STALE)")
        else:
            self._saw("right")

    def _saw(self, what: str) -> None:
        self.case.saw(what)
        if what != "right":
            self.right_in_a_row = 0
            return
        self.right_in_a_row += 1
        now = time.monotonic()
        self.case.took(now - self._last_right)
        self._last_right = now

    async def are_well(self) -> None:
        """Waits until codes are as they should be again."""
        self.right_in_a_row = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.right_in_a_row < SOME * CALLERS:
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Ends the connections."""
        await self._client.aclose()


class Intake:
    """A laboratory that submits one batch after another, and goes on where it was refused."""

    def __init__(self, client: MeshClient, first: int) -> None:
        self._store = client.records(HOME)
        self._first = first
        self.acknowledged = 0

    async def submit(self) -> None:
        """Submits the next ten; who is not acknowledged is submitted again."""
        start = self._first + self.acknowledged
        token = enter(within(5.0))
        try:
            answer = await self._store.BatchSubmitRecords(_submissions(range(start, start + 10)))
            self.acknowledged += sum(row.revision > 0 for row in answer.rows)
        except ServiceError:
            pass
        finally:
            leave(token)
        await asyncio.sleep(0.05)


@asynccontextmanager
async def going_on(*work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Does each again and again meanwhile."""
    stopped = asyncio.Event()

    async def go_on(one: Callable[[], Awaitable[None]]) -> None:
        while not stopped.is_set():
            await one()

    tasks = [asyncio.create_task(go_on(one)) for one in work]
    try:
        yield
    finally:
        stopped.set()
        await asyncio.gather(*tasks)


async def _kill(mesh: ProcessMesh, name: str) -> None:
    await mesh.kill(name)
    await asyncio.sleep(AWAY_SECONDS)
    await mesh.start(name)


async def _hang(mesh: ProcessMesh, name: str) -> None:
    pid = mesh.pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(2 * AWAY_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)


async def _stop(mesh: ProcessMesh, name: str) -> None:
    await mesh.stop(name)
    await asyncio.sleep(2 * AWAY_SECONDS)
    await mesh.start(name)


async def test_whatever_service_is_killed_or_hangs_no_code_is_wrong_and_nothing_is_lost(
    tmp_path: Path, measured: Measured
) -> None:
    """Each is killed in turn (kill -9), a region hangs, the nation hangs and is down: holders see right codes, the last
    known, UNDETERMINED or an error, and right ones again; each acknowledged record is there once, in both stores."""
    faults = [(f"{name} killed", _kill, name) for name in (HOME, "nation", "lookup", "verdict", "gateway")]
    faults += [(f"{HOME} hangs", _hang, HOME), ("nation hangs", _hang, "nation"), ("nation down", _stop, "nation")]
    if not WHOLE:
        faults = faults[3:6]
    async with processes(tmp_path) as mesh, MeshClient(mesh.endpoints, "test") as client:
        for start in range(0, PEOPLE, 1000):
            await client.records(HOME).BatchSubmitRecords(_submissions(range(start, start + 1000)))
        holders, intake = Holders(mesh.http), Intake(client, PEOPLE)
        try:
            async with going_on(*[holders.show] * CALLERS, intake.submit):
                # Until the nation has followed, codes may be of before.
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while holders.right_in_a_row < SOME * CALLERS:
                        await asyncio.sleep(0.05)
                holders.wrong.clear()
                for fault, happen, name in faults:
                    holders.case = measured.of(fault)
                    await happen(mesh, name)
                    await holders.are_well()
        finally:
            await holders.close()
        assert [] == holders.wrong
        numbers = range(PEOPLE, PEOPLE + intake.acknowledged)
        assert numbers
        for name in (HOME, "nation"):
            kept = await _kept(client, name, numbers)
            measured.of("intake").saw(f"rows acknowledged in {name}", len(numbers))
            measured.of("intake").lose(sum(one != 1 for one in kept))
        assert 0 == measured.of("intake").lost


async def _kept(client: MeshClient, name: str, numbers: range) -> list[int]:
    """Returns how many records of each person a store has; it may have to catch up, and whom it lacks at the end of
    that time fails the test."""
    kept: list[int] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(kept) < len(numbers):
            subjects = [_person(number) for number in numbers[len(kept) : len(kept) + 500]]
            asked = BatchListRecordsRequest(subjects=subjects, purpose=Purpose.PURPOSE_SUPERVISION)
            try:
                answer = await client.records(name).BatchListRecords(asked)
            except ServiceError:
                await asyncio.sleep(0.1)
                continue
            some = [len(person.records) for person in answer.people]
            if 0 in some:
                await asyncio.sleep(0.1)
            else:
                kept += some
    return kept
