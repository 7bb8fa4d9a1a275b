"""A copy follows its origin, a suspension voids copies too, any answer can be given again: in both kinds of mesh."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Purpose
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.lookup.v1.holder_service_pb2 import ClaimResultRequest
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_pb2 import (
    RecordContent,
    RevisionAction,
    TestRecord,
    TestResult,
)
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.verdict.v1 import verdict_service_pb2
from hutong.verdict.v1.verdict_pb2 import Status, Verdict

from cli.mesh import embedded, processes
from cli.mesh.client import MeshClient
from services.common.errors import ServiceError
from services.common.instants import to_timestamp
from services.runtime.clock import system_clock
from services.runtime.rpc.connection import Connection
from services.verdict.composition import build
from services.verdict.settings import Settings
from tests.testkit.builders.mesh_records import BEIJING, HUNAN, LABORATORY, content, subject
from tests.testkit.calls import local, remote
from tests.testkit.waiting import until

TestRecord.__test__ = False  # type: ignore[attr-defined]  # a message, not a class of tests
TestResult.__test__ = False  # type: ignore[attr-defined]

KEEP = Purpose.PURPOSE_RECORD_KEEPING
WHO = subject(b"correction")
_VERDICTS = verdict_service_pb2.DESCRIPTOR.services_by_name["VerdictService"]


class Mesh:
    """A mesh as these tests ask it, with every verdict it gave."""

    def __init__(self, client: MeshClient, verdicts: Any, others: Any) -> None:
        """`others` is a verdict service that has given none of the verdicts."""
        self.hunan, self.beijing, self.nation = (client.records(code) for code in (HUNAN, BEIJING, "nation"))
        self.holders = client.holders()
        self._verdicts = verdicts
        self._others = others
        self.given: list[Verdict] = []

    async def verdict(self, scope: Scope.ValueType) -> Verdict:
        """The verdict in Beijing now."""
        query = verdict_service_pb2.VerdictQuery(subject=WHO, region=BEIJING, scope=scope)
        verdict = await self._compute(self._verdicts, query)
        self.given.append(verdict)
        return verdict

    async def again(self, given: Verdict) -> Verdict:
        """The verdict of a question asked before, as known then: the same wherever it is asked."""
        query = verdict_service_pb2.VerdictQuery(
            subject=WHO, region=BEIJING, scope=given.scope, at=given.at, known_at=given.computed_at
        )
        there = await self._compute(self._others, query)
        here = await self._compute(self._verdicts, query)
        assert here == there
        return here

    async def _compute(self, verdicts: Any, query: verdict_service_pb2.VerdictQuery) -> Verdict:
        request = verdict_service_pb2.ComputeVerdictRequest(query=query, purpose=Purpose.PURPOSE_SHOW_CODE)
        answer: Verdict = (await verdicts.ComputeVerdict(request)).verdict
        return answer

    async def local_status(self) -> Status.ValueType:
        """Returns the status by Beijing's own database."""
        return (await self.verdict(Scope.SCOPE_LOCAL)).status

    async def copy(self) -> TestRecord:
        """The copy in Beijing's own store."""
        request = BatchListRecordsRequest(subjects=[WHO], purpose=KEEP)
        record: TestRecord
        [record] = (await self.beijing.BatchListRecords(request)).people[0].records
        assert record.region == BEIJING
        return record

    async def claim(self) -> TestRecord:
        """The holder uploads the result."""
        request = ClaimResultRequest(
            subject=WHO,
            region=BEIJING,
            origin_region=HUNAN,
            origin_source_id="X1",
            purpose=Purpose.PURPOSE_HOLDER_DECISION,
        )
        record: TestRecord = (await self.holders.ClaimResult(request)).record
        return record


@pytest.fixture(params=["one process", "process per service"])
async def mesh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Mesh]:
    """Both ways of running a mesh, asked over its ports, and a verdict service more."""
    run = embedded if request.param == "one process" else processes
    async with (
        run(tmp_path) as running,
        MeshClient(running.endpoints, "test") as client,
        Connection(running.endpoints.verdict) as channel,
    ):
        another = build(Settings(mesh_secret=running.plan.secret, lookup=running.endpoints.lookup))
        async with another.running():
            yield Mesh(
                client, remote("verdict", "test", channel, [_VERDICTS]), local("verdict", "test", another.bindings)
            )


async def submit(mesh: Mesh, said: RecordContent) -> wpb.SubmitRecordResponse:
    """Hunan's laboratory sends a result."""
    submission = wpb.RecordSubmission(region=HUNAN, source_id="X1", subject=WHO, content=said)
    response: wpb.SubmitRecordResponse = await mesh.hunan.SubmitRecord(
        wpb.SubmitRecordRequest(submission=submission, purpose=KEEP)
    )
    return response


async def amend(mesh: Mesh, revision: int, said: RecordContent) -> None:
    """Hunan corrects the result."""
    await mesh.hunan.AmendRecord(
        wpb.AmendRecordRequest(
            region=HUNAN, source_id="X1", revision=revision, content=said, cause="mixed up", purpose=KEEP
        )
    )


async def test_a_copy_follows_its_origin(mesh: Mesh) -> None:
    """Claimed, amended, amended back, retracted, sent late: Beijing's copy and its LOCAL code follow each time, by
    themselves; and every answer given on the way is given again, byte for byte."""
    said = content()
    await submit(mesh, said)
    claimed = await mesh.claim()
    assert claimed.region == BEIJING
    assert await mesh.local_status() == Status.STATUS_RECOGNISED

    await amend(mesh, 1, content(TestResult.TEST_RESULT_INCONCLUSIVE))

    async def amended() -> bool:
        return (await mesh.copy()).revision == 2

    assert await until(amended, 5) < 5
    copy = await mesh.copy()
    assert copy.content.result == TestResult.TEST_RESULT_INCONCLUSIVE
    assert copy.content.channel == claimed.content.channel
    assert (copy.content.origin.region, copy.content.origin.source_id, copy.content.origin.revision) == (HUNAN, "X1", 2)
    assert "430000/X1" in copy.cause
    assert "mixed up" in copy.cause
    assert await mesh.local_status() == Status.STATUS_NOT_RECOGNISED

    await amend(mesh, 2, said)

    async def recognised() -> bool:
        return await mesh.local_status() == Status.STATUS_RECOGNISED

    await until(recognised, 5)
    await mesh.verdict(Scope.SCOPE_NATIONAL)

    await mesh.hunan.RetractRecord(
        wpb.RetractRecordRequest(region=HUNAN, source_id="X1", revision=3, cause="another person's", purpose=KEEP)
    )

    async def retracted() -> bool:
        return (await mesh.copy()).action == RevisionAction.REVISION_ACTION_RETRACTED

    await until(retracted, 5)
    assert "430000/X1" in (await mesh.copy()).cause
    assert await mesh.local_status() == Status.STATUS_NOT_RECOGNISED

    late = await submit(mesh, said)
    assert late.outcome == wpb.SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED
    submission = wpb.RecordSubmission(region=BEIJING, source_id=claimed.source_id, subject=WHO, content=claimed.content)
    late = await mesh.beijing.SubmitRecord(wpb.SubmitRecordRequest(submission=submission, purpose=KEEP))
    assert late.outcome == wpb.SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED
    with pytest.raises(ServiceError):
        await mesh.claim()
    assert await mesh.local_status() == Status.STATUS_NOT_RECOGNISED
    assert (await mesh.copy()).action == RevisionAction.REVISION_ACTION_RETRACTED

    assert len(mesh.given) >= 6
    for given in mesh.given:
        assert await mesh.again(given) == given
        assert (await mesh.again(given)).SerializeToString(deterministic=True) == given.SerializeToString(
            deterministic=True
        )


async def test_a_suspension_voids_copies_too(mesh: Mesh) -> None:
    """What a suspended laboratory sampled counts nowhere, claimed or not, and counts again when that is lifted."""
    await mesh.hunan.PutLaboratory(
        wpb.PutLaboratoryRequest(
            region=HUNAN, laboratory=LABORATORY, display_name=LocalizedText(zh="湘雅", en="Xiangya")
        )
    )
    await submit(mesh, content())
    await mesh.claim()
    assert await mesh.local_status() == Status.STATUS_RECOGNISED
    await mesh.hunan.SuspendLaboratory(
        wpb.SuspendLaboratoryRequest(
            laboratory=LABORATORY,
            suspension_id="licence",
            sampled=Interval(to=to_timestamp(system_clock())),
            cause="licence lost",
        )
    )

    async def void() -> bool:
        answers = [(await mesh.verdict(scope)).status for scope in (Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL)]
        return answers == [Status.STATUS_NOT_RECOGNISED] * 2

    await until(void, 5)
    assert (await mesh.copy()).revision == 1
    await mesh.hunan.LiftSuspension(
        wpb.LiftSuspensionRequest(laboratory=LABORATORY, suspension_id="licence", cause="appeal granted")
    )

    async def counts() -> bool:
        answers = [(await mesh.verdict(scope)).status for scope in (Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL)]
        return answers == [Status.STATUS_RECOGNISED] * 2

    await until(counts, 5)
    for given in mesh.given:
        assert await mesh.again(given) == given
