"""Acknowledged records outlive the process that acknowledged them, however it ends."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import asyncpg
import pytest
from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import BatchSubmitRecordsRequest

from cli.mesh.ports import free_port
from services.common.errors import ServiceError
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock
from tests.testkit.builders.records import KEEP, SHOW, person, result, sampling, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.tools import ROOT


async def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """Batches are submitted until SIGKILL strikes between or within them; all that were answered are there."""
    process = RecordsProcess("430000", sqlite_url(tmp_path))
    await process.start()
    acknowledged: list[tuple[bytes, str]] = []
    enough, killed = asyncio.Event(), asyncio.Event()
    content = sampling()
    content.sampled_at.CopyFrom(to_timestamp(Instant(system_clock() - HOUR)))

    async def submit(writer: int) -> None:
        for number in range(1000):
            rows = [(person(writer * 50 + n), f"W{writer}-{number}-{n}") for n in range(50)]
            request = BatchSubmitRecordsRequest(
                submissions=[submission(source_id, key, content) for key, source_id in rows], purpose=KEEP
            )
            await process.calls.BatchSubmitRecords(request)
            acknowledged.extend(rows)
            if len(acknowledged) > 2000:
                enough.set()
            if killed.is_set():
                # Its channel is closed: to begin another call would be this test's own mistake.
                return

    writers = [asyncio.ensure_future(submit(writer)) for writer in range(4)]
    await asyncio.wait_for(enough.wait(), 30)
    killed.set()
    assert await process.end(signal.SIGKILL) == -signal.SIGKILL
    ends = await asyncio.gather(*writers, return_exceptions=True)
    assert {type(end) for end in ends if end is not None} <= {ServiceError, asyncio.CancelledError}

    await process.start()
    people = [person(number) for number in range(200)]
    request = BatchListRecordsRequest(subjects=[Subject(person_key=key) for key in people], purpose=SHOW)
    answer = await process.calls.BatchListRecords(request)
    stored = {(entry.person_key, record.source_id) for entry in answer.people for record in entry.records}
    assert set(acknowledged) - stored == set()
    assert await process.end() == 0


async def test_broken_connections_are_replaced(postgres_url: str) -> None:
    """When PostgreSQL drops its connections, a call may fail as unavailable, and the service recovers by itself."""
    async with opened(postgres_url) as store:
        records = Records(store, ManualClock())
        submitted = (await records.submit("S1", person(1), result())).record
        killer = await asyncpg.connect(postgres_url)
        await killer.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        await killer.close()
        failures: list[str] = []
        for _ in range(10):
            try:
                assert [submitted] == await records.of(person(1))
                break
            except ServiceError as error:
                failures.append(error.reason)
        else:
            pytest.fail(f"did not recover: {failures}")
        assert set(failures) <= {"STORE_UNAVAILABLE"}


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    """A service whose PostgreSQL cannot be reached starts all the same, and says so to who asks."""
    async with opened(f"postgresql://hutong@127.0.0.1:{free_port()}/none") as store:
        with pytest.raises(ServiceError) as caught:
            await Records(store, ManualClock()).of(person(1))
        assert caught.value.reason == "STORE_UNAVAILABLE"


async def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """A process that cannot run as it was told says which variable is wrong, and ends with status 2."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.records"),
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", "HUTONG_REGION": "430000", "HUTONG_MESH_SECRET": "short"},
        cwd=ROOT,
        stderr=PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert said.decode().strip() == "hutong records: HUTONG_MESH_SECRET: the mesh's secret needs at least 16 bytes"


async def test_a_process_ends_cleanly_when_told_to(tmp_path: Path) -> None:
    """SIGTERM drains and ends with status 0."""
    process = RecordsProcess("430000", sqlite_url(tmp_path))
    await process.start()
    assert await process.end(signal.SIGTERM) == 0
