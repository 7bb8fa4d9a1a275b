"""A region's file is replaced by an older one, or is gone: nobody who is positive is anything else for a moment, in
both kinds of mesh; and addresses that are swapped are no wrong answer."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1 import following_service_pb2 as fpb
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.record_pb2 import RecordContent, TestResult
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.verdict.v1 import verdict_service_pb2
from hutong.verdict.v1.verdict_pb2 import Status, Verdict

from cli.mesh import embedded, per_process, processes
from cli.mesh.child import ChildFailedError
from cli.mesh.client import MeshClient
from cli.mesh.data import DataDirectoryError
from cli.mesh.directory import write_directory
from cli.mesh.plan import Plan
from services.common.errors import Unavailable
from services.records.store.sqlite.schema import SCHEMA
from services.runtime.rpc.connection import Connection
from services.runtime.storage.sqlite.file import make_or_migrate
from tests.testkit.builders.mesh_records import BEIJING, HUNAN, content, subject
from tests.testkit.calls import remote
from tests.testkit.waiting import until

KEEP = Purpose.PURPOSE_RECORD_KEEPING
SICK, WELL = (subject(name) for name in (b"sick", b"well"))
POSITIVE, NEGATIVE = content(TestResult.TEST_RESULT_POSITIVE), content(TestResult.TEST_RESULT_NEGATIVE)
_VERDICTS = [verdict_service_pb2.DESCRIPTOR.services_by_name["VerdictService"]]
_FOLLOWING = [fpb.DESCRIPTOR.services_by_name["FollowingService"]]


async def patiently(call: Callable[[], Awaitable[Any]]) -> Any:
    """Calls until the service can be reached, which was perhaps just started."""
    for _ in range(50):
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(0.1)
    return await call()


class Mesh:
    """A running mesh, asked over its ports."""

    def __init__(self, running: Any, client: MeshClient, verdicts: Any, following: Any) -> None:
        self.running = running
        self.client = client
        self.following = following
        self._verdicts = verdicts

    @property
    def file(self) -> Path:
        """The file of Hunan's store."""
        path: Path = self.running.plan.store_file(HUNAN)
        return path

    async def submit(self, region: str, source_id: str, who: Subject, said: RecordContent) -> None:
        """A laboratory sends a result."""
        submission = wpb.RecordSubmission(region=region, source_id=source_id, subject=who, content=said)
        request = wpb.SubmitRecordRequest(submission=submission, purpose=KEEP)
        await patiently(lambda: self.client.records(region).SubmitRecord(request))

    async def records(self, store: str, who: Subject = SICK) -> list[str]:
        """The ids of a person's records in a store."""
        request = BatchListRecordsRequest(subjects=[who], purpose=KEEP)
        [person] = (await patiently(lambda: self.client.records(store).BatchListRecords(request))).people
        return sorted(record.source_id for record in person.records)

    async def verdict(self, region: str, who: Subject = SICK) -> Verdict:
        """The verdict there now."""
        query = verdict_service_pb2.VerdictQuery(subject=who, region=region)
        request = verdict_service_pb2.ComputeVerdictRequest(query=query, purpose=Purpose.PURPOSE_SHOW_CODE)
        answer: Verdict = (await self._verdicts.ComputeVerdict(request)).verdict
        return answer

    def replace(self, other: Path | None) -> None:
        """Puts another file in the place of Hunan's, or none."""
        for path in self.file.parent.glob(f"{self.file.name}*"):
            path.unlink()
        if other is not None:
            shutil.copy(other, self.file)


@pytest.fixture(params=["one process", "process per service"])
async def mesh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Mesh]:
    """Both ways of running a mesh."""
    run = embedded if request.param == "one process" else processes
    async with (
        run(tmp_path) as running,
        MeshClient(running.endpoints, "test") as client,
        Connection(running.endpoints.verdict) as verdicts,
        Connection(running.endpoints.records["nation"]) as nation,
    ):
        yield Mesh(
            running,
            client,
            remote("verdict", "test", verdicts, _VERDICTS),
            remote("records-nation", "test", nation, _FOLLOWING),
        )


async def positive_everywhere(mesh: Mesh, milder: list[str]) -> None:
    """Asks without end, at home and elsewhere, and notes every answer that is not POSITIVE."""
    while True:
        for region in (HUNAN, BEIJING):
            status = (await mesh.verdict(region)).status
            if status != Status.STATUS_POSITIVE:
                milder.append(f"{region} {Status.Name(status)}")
        await asyncio.sleep(0.01)


async def sick_in_hunan(mesh: Mesh, backup: Path) -> None:
    """A backup of Hunan's file, and after it a positive that the nation has heard of."""
    await mesh.submit(HUNAN, "X0", SICK, NEGATIVE)
    await mesh.running.stop(HUNAN)
    shutil.copy(mesh.file, backup)
    await mesh.running.start(HUNAN)
    await mesh.submit(HUNAN, "X1", SICK, POSITIVE)

    async def known() -> bool:
        return await mesh.records("nation") == ["X0", "X1"]

    await until(known)


async def test_a_file_restored_from_a_backup_makes_nobody_milder(mesh: Mesh, tmp_path: Path) -> None:
    """What was acknowledged after the backup is in the region again, by itself; and positive it was all along."""
    backup = tmp_path / "backup"
    await sick_in_hunan(mesh, backup)
    milder: list[str] = []
    watching = asyncio.create_task(positive_everywhere(mesh, milder))
    try:
        await mesh.running.stop(HUNAN)
        mesh.replace(backup)
        await mesh.running.start(HUNAN)

        async def given_back() -> bool:
            return await mesh.records(HUNAN) == ["X0", "X1"]

        await until(given_back, 20)
        await asyncio.sleep(0.1)
        assert not watching.done()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert milder == []


async def test_a_file_that_is_gone_is_not_made_anew(mesh: Mesh, tmp_path: Path) -> None:
    """The service does not start, and says so; an empty store that somebody makes is not taken for the region's until
    it is confirmed, and then it is given everything back. Positive it was all along."""
    await sick_in_hunan(mesh, tmp_path / "backup")
    milder: list[str] = []
    watching = asyncio.create_task(positive_everywhere(mesh, milder))
    try:
        await mesh.running.stop(HUNAN)
        mesh.replace(None)
        with pytest.raises(DataDirectoryError, match="is gone"):
            await mesh.running.start(HUNAN)
        assert not mesh.file.exists()
        make_or_migrate(mesh.file, SCHEMA)
        await mesh.running.start(HUNAN)

        async def met() -> str:
            response = await mesh.following.ListFollowedRegions(fpb.ListFollowedRegionsRequest())
            [feed_id] = [region.met_feed_id for region in response.regions if region.region == HUNAN]
            return str(feed_id)

        async def changed() -> bool:
            return await met() != ""

        await until(changed, 20)
        assert await mesh.records(HUNAN) == []
        await mesh.following.AcceptFeed(
            fpb.AcceptFeedRequest(region=HUNAN, feed_id=await met(), cause="a new disk", purpose=KEEP)
        )

        async def given_back() -> bool:
            return await mesh.records(HUNAN) == ["X0", "X1"]

        await until(given_back, 20)
        assert not watching.done()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert milder == []


async def test_swapped_addresses_are_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stores' addresses are exchanged in the directory: lookup is never ready with it, and names both."""

    def swapped(plan: Plan) -> None:
        write_directory(plan)
        hunan, beijing = plan.address(HUNAN), plan.address(BEIJING)
        pieces = (piece.replace(beijing, hunan) for piece in plan.directory.read_text().split(hunan))
        plan.directory.write_text(beijing.join(pieces))

    monkeypatch.setattr(per_process, "write_directory", swapped)
    with pytest.raises(ChildFailedError, match="lookup"):
        async with processes(tmp_path):
            pass
    log = (tmp_path / "logs" / "lookup.log").read_text()
    assert all(f"{name}: WRONG_STORE" in log for name in (HUNAN, BEIJING)), log
