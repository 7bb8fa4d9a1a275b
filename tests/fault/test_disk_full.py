"""A store's disk is full, under intake, and has room again: what is acknowledged is kept, and the intake goes on."""

import asyncio
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4

import pytest
from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1.record_pb2 import TestRecord
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import SubmitRecordRequest

from bench.servers.postgres import CannotStartError, PostgresServer, start
from services.common.errors import Code, ServiceError
from services.records.store.values.feed import ChangeRow
from services.runtime.rpc.call import enter, leave, within
from tests.testkit.builders.records import KEEP, SHOW, person, result, submission
from tests.testkit.faults.recording import Measured
from tests.testkit.needs import missing
from tests.testkit.servers.forks import Forks
from tests.testkit.servers.full_disks import BoundedFiles, small_disk
from tests.testkit.servers.intake_client import BATCH, source_id
from tests.testkit.servers.intake_progress import acknowledged, progress
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.servers.records_service import opened

TestRecord.__test__ = False  # type: ignore[attr-defined]  # a message, not a class of tests

REGION = "430000"
SOMEBODY = person(1)
CALL_SECONDS = 10.0
FULL_SECONDS = 90.0
PAUSE = "0.02"
"""Seconds after each batch: the intake need not take all of a machine."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Disk(Protocol):
    """Something that can be full."""

    def fill(self) -> None:
        """Takes its room."""

    def free(self) -> None:
        """Gives it back."""


class Stored(NamedTuple):
    """A store's URL, where it is; the server that has it, if there is one; its disk, if it is known before the process
    is started."""

    url: str
    file: Path
    server: PostgresServer | None
    disk: Disk | None


@pytest.fixture(params=["sqlite", "sqlite-bounded", pytest.param("postgres", marks=pytest.mark.postgres)])
def stored(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stored]:
    """An empty store on a disk that can be full."""
    with ExitStack() as stack:
        if request.param == "sqlite-bounded":
            file = tmp_path / "records.db"
            yield Stored(f"sqlite:///{file}", file, None, None)
            return
        sqlite = request.param == "sqlite"
        disk = stack.enter_context(small_disk(32 if sqlite else 256))
        file = disk.path / "records.db"
        if sqlite:
            yield Stored(f"sqlite:///{file}", file, None, disk)
            return
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(disk.path))
            try:
                # Its log too: as on the one volume of a pod. Segments are not kept in stock, or it is long never full.
                server = start("min_wal_size=32MB", "max_wal_size=64MB")
            except CannotStartError as error:
                missing(f"no PostgreSQL: {error}")
        stack.callback(server.stop)
        yield Stored(asyncio.run(server.create_database()), file, server, disk)


async def _submit(records: RecordsProcess, name: str) -> str:
    """Submits one record; returns the reason, or another code than UNAVAILABLE, when it is refused."""
    token = enter(within(CALL_SECONDS))
    try:
        await records.calls.SubmitRecord(
            SubmitRecordRequest(submission=submission(name, SOMEBODY, result()), purpose=KEEP)
        )
    except ServiceError as error:
        return error.reason if error.code is Code.UNAVAILABLE else error.code.name
    finally:
        leave(token)
    return ""


async def _submitted(records: RecordsProcess, name: str) -> None:
    """Submits one record until it is acknowledged, as a laboratory does: the same again is a no-op."""
    async with asyncio.timeout(FULL_SECONDS):
        while await _submit(records, name):
            await asyncio.sleep(0.1)


async def _read(records: RecordsProcess) -> int:
    """Returns how many records somebody has, -1 where that cannot be said: it is never said that there are none."""
    token = enter(within(CALL_SECONDS))
    try:
        answer = await records.calls.BatchListRecords(
            BatchListRecordsRequest(subjects=[Subject(person_key=SOMEBODY)], purpose=SHOW)
        )
    except ServiceError as error:
        if error.code not in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
            raise
        return -1
    finally:
        leave(token)
    return len(answer.people[0].records)


async def test_a_full_disk_loses_and_doubles_nothing_and_the_intake_goes_on(
    stored: Stored, tmp_path: Path, measured: Measured
) -> None:
    """Writes are UNAVAILABLE meanwhile, reads go on where the database can; afterwards nobody does anything but make
    room, and start a PostgreSQL that ended."""
    records = RecordsProcess(REGION, stored.url)
    forks = Forks(tmp_path / "log")
    await forks.start()
    file, session = tmp_path / "acknowledged", str(uuid4())
    file.touch()
    submitted: dict[str, str] = {}
    try:
        await records.start()
        disk = stored.disk or BoundedFiles(records.pid, stored.file)
        laboratory = await forks.fork("laboratory", records.address, session, "0", str(file), PAUSE)
        await progress([file], 10)
        await _submitted(records, "before")
        stood = await _read(records)
        disk.fill()
        async with asyncio.timeout(FULL_SECONDS):
            while not any(submitted.values()):
                name = f"meanwhile-{len(submitted)}"
                submitted[name] = await _submit(records, name)
                await asyncio.sleep(0.05)
        assert {"", "STORE_UNAVAILABLE", "DEADLINE_EXCEEDED"} >= set(submitted.values())
        read = await _read(records)
        assert read >= stood or (read == -1 and stored.server is not None)
        disk.free()
        if stored.server is not None:
            # Without room for its log it ends, and recovers as far as it has room.
            await asyncio.sleep(1.0)
            if stored.server.process.poll() is not None:
                await asyncio.to_thread(stored.server.revive)
        await progress([file], 10)
        await _submitted(records, "after")
        assert await forks.kill(laboratory) == -signal.SIGKILL
        assert await records.end() == 0
        async with opened(stored.url, REGION) as store:
            head = await store.head()
            changes: list[ChangeRow] = []
            while len(changes) < head.sequence:
                changes += await store.changes(len(changes), 5000)
            stand = await store.batches(f"laboratory/{session}")
    finally:
        await forks.close()
        await records.end()
    assert list(range(1, head.sequence + 1)) == [change.sequence for change in changes]
    kept = Counter(TestRecord.FromString(change.body).source_id for change in changes)
    assert 0 < acknowledged(file) <= stand
    expected = Counter(source_id(0, n) for n in range(stand * BATCH))
    expected.update(name for name, reason in submitted.items() if not reason)
    expected.update(("before", "after"))
    # What was refused may have been done all the same, once.
    perhaps = Counter(name for name, reason in submitted.items() if reason)
    measured.of().saw("rows acknowledged", acknowledged(file) * BATCH)
    measured.of().saw("changes in the feed", head.sequence)
    measured.of().lose((expected - kept).total() + (kept - expected - perhaps).total())
    assert (Counter(), Counter()) == (expected - kept, kept - expected - perhaps)
