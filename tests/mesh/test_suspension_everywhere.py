"""A laboratory's suspension voids its results in every store and in every answer, and lifting it restores them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_pb2 import RecordContent
from hutong.verdict.v1 import verdict_service_pb2
from hutong.verdict.v1.verdict_pb2 import Status

from cli.mesh import embedded, processes
from cli.mesh.client import MeshClient
from services.common.instants import to_timestamp
from services.runtime.clock import system_clock
from services.runtime.rpc.connection import Connection
from tests.testkit.builders.mesh_records import BEIJING, HUNAN, LABORATORY, content, subject
from tests.testkit.builders.records import KEEP
from tests.testkit.calls import remote
from tests.testkit.waiting import until

WHO = Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="SUSPEND01"))
IMPORTED, EARLIER = (subject(name) for name in (b"imported", b"earlier!"))
OFF_THE_MESH = "360000"
_VERDICTS = verdict_service_pb2.DESCRIPTOR.services_by_name["VerdictService"]


class Mesh:
    """A mesh as these tests ask it: its stores, verdicts in Beijing, and the codes of its gateway."""

    def __init__(self, client: MeshClient, verdicts: Any, http: httpx.AsyncClient) -> None:
        self.hunan, self.beijing, self.nation = (client.records(code) for code in (HUNAN, BEIJING, "nation"))
        self._verdicts = verdicts
        self._http = http

    async def status(self, who: Subject, scope: Scope.ValueType = Scope.SCOPE_NATIONAL) -> Status.ValueType:
        """Returns somebody's status in Beijing."""
        query = verdict_service_pb2.VerdictQuery(subject=who, region=BEIJING, scope=scope)
        request = verdict_service_pb2.ComputeVerdictRequest(query=query, purpose=Purpose.PURPOSE_SHOW_CODE)
        status: Status.ValueType = (await self._verdicts.ComputeVerdict(request)).verdict.status
        return status

    async def shown(self, who: Subject) -> Status.ValueType:
        """Returns the status that the gateway shows, as a phone asks it."""
        document = {"type": "PASSPORT", "number": who.document.number}
        reply = await self._http.post("/v1/healthCode:show", json={"document": document, "region": BEIJING})
        return Status.Value(f"STATUS_{reply.json()['status']}")


@pytest.fixture(params=["one process", "process per service"])
async def mesh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Mesh]:
    """Both ways of running a mesh, asked over its ports."""
    run = embedded if request.param == "one process" else processes
    async with (
        run(tmp_path) as running,
        MeshClient(running.endpoints, "test") as client,
        Connection(running.endpoints.verdict) as channel,
        httpx.AsyncClient(base_url=running.http) as http,
    ):
        yield Mesh(client, remote("verdict", "test", channel, [_VERDICTS]), http)


async def filed(records: Any, region: str, source_id: str, who: Subject, said: RecordContent) -> None:
    """A region that keeps a laboratory's result from a file."""
    submission = wpb.RecordSubmission(region=region, source_id=source_id, subject=who, content=said)
    await records.SubmitRecord(wpb.SubmitRecordRequest(submission=submission, purpose=KEEP))


async def test_a_suspension_voids_what_other_regions_keep(mesh: Mesh) -> None:
    """Results of the laboratory that Beijing, and a region off the mesh, have by file are void as well, for their own
    code and at the gateway; what it sampled outside the interval counts, and so does the rest once it is lifted. A
    namesake that another region registers outvotes nothing."""
    for records, region in ((mesh.hunan, HUNAN), (mesh.beijing, BEIJING)):
        name = LocalizedText(zh="湘雅", en="Xiangya")
        # The nation refuses the second: it knows the laboratory as Hunan's. Beijing's own store has its own.
        put = wpb.PutLaboratoryRequest(region=region, laboratory=LABORATORY, display_name=name)
        await records.PutLaboratory(put)
    await filed(mesh.beijing, BEIJING, "IN", WHO, content())
    await filed(mesh.nation, OFF_THE_MESH, "FILE", IMPORTED, content())
    before = content()
    before.sampled_at.FromNanoseconds(before.sampled_at.ToNanoseconds() - 3_600_000_000_000)
    await filed(mesh.beijing, BEIJING, "OUT", EARLIER, before)

    async def are(inside: Status.ValueType, outside: Status.ValueType) -> bool:
        answers = [await mesh.status(WHO, scope) for scope in (Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL)]
        answers += [await mesh.shown(WHO), await mesh.status(IMPORTED), await mesh.status(EARLIER)]
        return answers == [inside] * 4 + [outside]

    good, void = Status.STATUS_RECOGNISED, Status.STATUS_NOT_RECOGNISED
    await until(lambda: are(good, good), 10)
    morning = content().sampled_at
    await mesh.hunan.SuspendLaboratory(
        wpb.SuspendLaboratoryRequest(
            laboratory=LABORATORY,
            suspension_id="licence",
            sampled=Interval(**{"from": morning}, to=to_timestamp(system_clock())),
            cause="licence lost",
        )
    )
    await until(lambda: are(void, good), 5)
    await mesh.hunan.LiftSuspension(
        wpb.LiftSuspensionRequest(laboratory=LABORATORY, suspension_id="licence", cause="appeal granted")
    )
    await until(lambda: are(good, good), 5)
