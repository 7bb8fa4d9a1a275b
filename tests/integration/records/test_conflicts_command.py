"""`hutong records conflicts` against a records process, as people run it."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1.record_pb2 import RevisionAction
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import BatchSubmitRecordsRequest

from cli.mesh.endpoints import Endpoints, write_endpoints
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock
from tests.testkit.builders.records import KEEP, person, sampling, submission
from tests.testkit.directories import directory_file
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.tools import ROOT

RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED


async def hutong(*arguments: str) -> tuple[int, str, str]:
    """One command to its end: exit status, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "cli", "records", "conflicts", *arguments),
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", "PATH": "/usr/bin:/bin"},
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_conflicts_are_listed_and_settled(tmp_path: Path) -> None:
    """A conflict is shown with its id, settled by it, and then shown only when asked for."""
    store = RecordsProcess("430000", f"sqlite:///{tmp_path / 'records'}.db")
    await store.start()
    try:
        first, other = sampling(), sampling()
        first.sampled_at.CopyFrom(to_timestamp(Instant(system_clock() - HOUR)))
        other.sampled_at.CopyFrom(to_timestamp(Instant(system_clock() - 2 * HOUR)))
        rows = [submission("S1", person(1), first), submission("S1", person(1), other)]
        await store.calls.BatchSubmitRecords(BatchSubmitRecordsRequest(submissions=rows, purpose=KEEP))

        status, shown, _ = await hutong("list", "--to", store.address)
        assert status == 0
        assert "430000/S1  r1  RECORD_CONFLICT" in shown
        assert person(1).hex() in shown
        assert "1 conflicts" in shown
        conflict = shown.split()[0]
        # Whoever settles it sees both sides.
        stored, offered = [line.split("sampled_at ")[1][:32] for line in shown.splitlines() if "sampled_at" in line]
        assert "已存 stored:  r1" in shown
        assert stored > offered
        assert (0, shown, "") == await hutong("--to", store.address)
        assert (0, shown, "") == await hutong("--to", store.address, "list")

        cause = ("--cause", "the tube was read again")
        status, shown, _ = await hutong("settle", conflict, "--take", *cause, "--to", store.address)
        assert status == 0
        assert "taken: the tube was read again" in shown
        status, _, wrong = await hutong("settle", conflict, "--keep", *cause, "--to", store.address)
        assert (status, "settled the other way" in wrong) == (2, True)
        assert "0 conflicts" in (await hutong("list", "--to", store.address))[1]
        assert conflict in (await hutong("list", "--all", "--to", store.address))[1]
    finally:
        await store.end()


async def test_another_persons_test_is_taken(tmp_path: Path) -> None:
    """Settled so, the record is the other person's, here and in the nation, and the first person's is retracted."""
    store = RecordsProcess("430000", f"sqlite:///{tmp_path / 'records'}.db")
    nation = RecordsProcess(
        "nation",
        f"sqlite:///{tmp_path / 'nation'}.db",
        directory_file(tmp_path / "directory.yaml", {"430000": store.address}),
    )
    await store.start()
    try:
        await nation.start()
        content = sampling()
        content.sampled_at.CopyFrom(to_timestamp(Instant(system_clock() - HOUR)))
        rows = [submission("S1", person(1), content), submission("S1", person(2), content)]
        await store.calls.BatchSubmitRecords(BatchSubmitRecordsRequest(submissions=rows, purpose=KEEP))
        _, shown, _ = await hutong("list", "--to", store.address)
        assert "430000/S1  r1  PERSON_CONFLICT" in shown
        cause = ("--cause", "the labels were swapped")
        status, shown, _ = await hutong("settle", shown.split()[0], "--take", *cause, "--to", store.address)
        assert (status, "taken: the labels were swapped" in shown) == (0, True)

        request = BatchListRecordsRequest(
            subjects=[Subject(person_key=person(number)) for number in (1, 2)], purpose=KEEP
        )
        wanted = [[(2, True)], [(3, False)]]
        for calls in (store.calls, nation.calls):
            for _ in range(200):
                people = (await calls.BatchListRecords(request)).people
                said = [[(r.revision, r.action == RETRACTED) for r in entry.records] for entry in people]
                if said == wanted:
                    break
                await asyncio.sleep(0.05)
            assert said == wanted
    finally:
        await nation.end()
        await store.end()


async def test_every_stores_conflicts_are_listed_and_settled(tmp_path: Path) -> None:
    """Without --store: those of all stores, each named; one that is away is said to be, and the others are listed."""
    stores = {region: RecordsProcess(region, f"sqlite:///{tmp_path / region}.db") for region in ("430000", "110000")}
    try:
        for region, store in stores.items():
            await store.start()
            first, other = sampling(), sampling()
            first.sampled_at.CopyFrom(to_timestamp(Instant(system_clock() - HOUR)))
            other.sampled_at.CopyFrom(to_timestamp(Instant(system_clock() - 2 * HOUR)))
            rows = [submission("S1", person(1), content, region) for content in (first, other)]
            await store.calls.BatchSubmitRecords(BatchSubmitRecordsRequest(submissions=rows, purpose=KEEP))
        records = {region: store.address for region, store in stores.items()}
        mesh = {"http": "", "operations": "", "gateway": "", "verdict": "", "lookup": "", "pid": os.getpid()}
        write_endpoints(Endpoints(**mesh, records=records | {"nation": "127.0.0.1:1"}), tmp_path)  # type: ignore[arg-type]  # by name
        status, shown, wrong = await hutong("--data", str(tmp_path))
        assert (status, "nation" in wrong, "2 conflicts" in shown) == (4, True, True)
        for region in stores:
            assert f"{region}/S1  r1  RECORD_CONFLICT  记录库 store {region}" in shown
        write_endpoints(Endpoints(**mesh, records=records), tmp_path)  # type: ignore[arg-type]  # by name
        [conflict] = [line.split()[0] for line in shown.splitlines() if "110000/S1" in line]
        status, _, wrong = await hutong("--data", str(tmp_path), "settle", conflict, "--keep", "--cause", "asked")
        assert (status, wrong) == (0, "")
        status, shown, _ = await hutong("--data", str(tmp_path), "--store", "110000")
        assert (status, "0 conflicts" in shown) == (0, True)
        status, _, wrong = await hutong("--data", str(tmp_path), "settle", "nothing", "--keep", "--cause", "asked")
        assert (status, "no such conflict" in wrong) == (2, True)
    finally:
        for store in stores.values():
            await store.end()


@pytest.mark.parametrize(
    "arguments", [("--data", "/nowhere"), ("list", "--data", "/nowhere"), ("list", "--to", "127.0.0.1:1")]
)
async def test_a_store_that_is_not_there(arguments: tuple[str, ...]) -> None:
    """It says that the store cannot be reached, and ends with 4."""
    status, _, wrong = await hutong(*arguments)
    assert status == 4
    assert wrong.startswith("hutong: ")
