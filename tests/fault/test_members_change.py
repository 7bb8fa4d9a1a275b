"""A region joins a running mesh and leaves it again, under questions: each change is one list, looked over before it
counts, and nobody's code is false on the way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.record_write_service_pb2_grpc import RecordWriteServiceStub

from cli.diagnosis.asking import Addresses, ask_all
from cli.diagnosis.judgement import findings
from services.common.mesh_directory import MeshDirectory, parse_directory
from services.common.mesh_secret import parse_mesh_secret
from services.verdict.policy.files import DEFAULT_DIRECTORY
from tests.testkit.directories import directory_file
from tests.testkit.secret import SECRET
from tests.testkit.wrong_settings.mesh import STORES, SmallMesh, no_signals
from tests.testkit.wrong_settings.people import NEGATIVE, POSITIVE, Taken, document

NEWCOMER = "430000"
WELL, SICK, ITS_WELL, ITS_SICK, NOBODY = range(5)
TESTS = {
    WELL: Taken("110000", result=NEGATIVE),
    SICK: Taken("110000", result=POSITIVE),
    ITS_WELL: Taken(NEWCOMER, result=NEGATIVE),
    ITS_SICK: Taken(NEWCOMER, result=POSITIVE),
}
BEFORE = ["RECOGNISED", "POSITIVE", "NOT_RECOGNISED", "NOT_RECOGNISED", "NOT_RECOGNISED"]
JOINED = ["RECOGNISED", "POSITIVE", "RECOGNISED", "POSITIVE", "NOT_RECOGNISED"]
HONEST = "UNDETERMINED"
PATIENCE_SECONDS = 30.0


class Questions:
    """Somebody who asks about everybody all the time, as a client does that tries again when nobody answers."""

    def __init__(self, http: str) -> None:
        self._http = http
        self.allowed = [{status} for status in BEFORE]
        self.false: list[tuple[int, str]] = []
        self.last: list[str] = []
        self.asked = 0

    async def ask(self) -> None:
        """Asks once about everybody. Raises TimeoutError when nobody answers for long."""
        queries = [
            {"document": {"type": "RESIDENT_ID", "number": document(person).number}, "region": "110000"}
            for person in range(5)
        ]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    async with httpx.AsyncClient(base_url=self._http, timeout=10) as http:
                        reply = await http.post("/v1/healthCode:batchShow", json={"queries": queries})
                except httpx.HTTPError:
                    # The only gateway is being replaced.
                    await asyncio.sleep(0.1)
                    continue
                outcomes = reply.json().get("outcomes", [])
                if outcomes and all("code" in outcome for outcome in outcomes):
                    break
                await asyncio.sleep(0.1)
        self.last = [outcome["code"]["status"] for outcome in outcomes]
        self.asked += 1
        self.false += [
            (person, status)
            for person, (status, allowed) in enumerate(zip(self.last, self.allowed, strict=True))
            if status != HONEST and status not in allowed
        ]

    async def ask_on(self) -> None:
        """Asks without end."""
        while True:
            await self.ask()
            await asyncio.sleep(0.05)

    async def until(self, statuses: list[str]) -> None:
        """Returns once these are what is told; from then on nothing else is right."""
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            while self.last != statuses:
                await asyncio.sleep(0.05)
        self.allowed = [{status} for status in statuses]


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[SmallMesh]:
    """A mesh of two regions; the third's store runs and is not on it."""
    made = SmallMesh(tmp_path / "mesh", SECRET, DEFAULT_DIRECTORY)
    _listed(made, without=NEWCOMER)
    with no_signals():
        try:
            await made.start_all()
            yield made
        finally:
            await made.stop_all()


def _listed(mesh: SmallMesh, without: str = "") -> None:
    """Replaces the list of members, as one change."""
    new = Path(mesh.directory).with_suffix(".new")
    directory_file(new, {name: mesh.addresses[name] for name in STORES if name != without})
    new.replace(mesh.directory)


def _members(path: str) -> MeshDirectory:
    return parse_directory(Path(path).read_bytes())


async def _looked_over(mesh: SmallMesh, members: MeshDirectory) -> set[tuple[str, str]]:
    """Returns what `hutong doctor` finds wrong: with whom, and why."""
    facts = await ask_all(members, Addresses(mesh.addresses["lookup"], mesh.addresses["verdict"]))
    return {(finding.subject, finding.reason) for finding in findings(members, facts, parse_mesh_secret(SECRET))}


async def _in_force(mesh: SmallMesh) -> None:
    """Lets everybody who reads the list read it again, the nation first."""
    for service in ("nation", "lookup", "gateway"):
        await mesh.restart(service)
    members = _members(mesh.directory)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await _looked_over(mesh, members):
            await asyncio.sleep(0.2)


async def _store(mesh: SmallMesh) -> None:
    for person, taken in TESTS.items():
        submission = wpb.RecordSubmission(
            region=taken.region,
            source_id=f"S{person}",
            subject=Subject(document=document(person)),
            content=taken.content(),
        )
        async with grpc.aio.insecure_channel(mesh.addresses[taken.region]) as channel:
            request = wpb.SubmitRecordRequest(submission=submission, purpose=Purpose.PURPOSE_RECORD_KEEPING)
            await RecordWriteServiceStub(channel).SubmitRecord(request, metadata=[("hutong-caller", "test")])


@pytest.mark.timeout(300)
async def test_a_region_joins_and_leaves_under_questions(mesh: SmallMesh) -> None:
    """Before the list counts, the newcomer's store is who it should be; then its people are known to all; when it has
    left, what the nation has of them stays in force. No code is false, none stays away."""
    await _store(mesh)
    questions = Questions(mesh.http)
    questions.allowed = [{BEFORE[person], "NOT_RECOGNISED"} for person in range(5)]
    asking = asyncio.create_task(questions.ask_on())
    try:
        await questions.until(BEFORE)
        whole = {name: mesh.addresses[name] for name in STORES}
        proposed = _members(directory_file(mesh.folder / "proposed.yaml", whole))
        # Those who do not know of it yet, and nobody else.
        not_yet = {(NEWCOMER, "REGION_NOT_FOLLOWED"), ("lookup", "DIRECTORY_DIFFERS")}
        assert not_yet == await _looked_over(mesh, proposed)
        questions.allowed = [{before, joined} for before, joined in zip(BEFORE, JOINED, strict=True)]
        _listed(mesh)
        await _in_force(mesh)
        await questions.until(JOINED)
        _listed(mesh, without=NEWCOMER)
        await _in_force(mesh)
        await mesh.stop(NEWCOMER)
        for asked in range(questions.asked, questions.asked + 3):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while questions.asked <= asked:
                    await asyncio.sleep(0.05)
        await questions.until(JOINED)
        assert not asking.done()
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert [] == questions.false
