"""A refusal is explained afterwards: asked as known then, the gateway says what it said."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.gateway.v1.health_code_service_pb2 import (
    HealthCodeQuery,
    ShowHealthCodeRequest,
)
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import AmendRecordRequest, RecordSubmission, SubmitRecordRequest
from hutong.verdict.v1.verdict_pb2 import Verdict

from cli.mesh import embedded
from cli.mesh.client import MeshClient
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock

NUMBER = "THEN00001"
HOME, ELSEWHERE = "430000", "110000"
SUBJECT = Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=NUMBER))
PURPOSE = Purpose.PURPOSE_RECORD_KEEPING


def _content(result: TestResult.ValueType) -> RecordContent:
    now = system_clock()
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(Instant(now - 10 * HOUR)),
        reported_at=to_timestamp(Instant(now - 8 * HOUR)),
        result=result,
        tube=Tube.TUBE_SINGLE,
        laboratory="430000-then",
        site=HOME,
        channel=Channel.CHANNEL_LABORATORY,
    )


async def test_a_code_as_known_then_is_the_code_given_then(tmp_path: Path) -> None:
    """A laboratory corrected a positive: the refusal of before can be explained after, over HTTP and gRPC."""
    async with embedded(tmp_path) as mesh, MeshClient(mesh.endpoints, "test") as client:
        store = client.records(HOME)
        positive = _content(TestResult.TEST_RESULT_POSITIVE)
        submission = RecordSubmission(region=HOME, source_id="S1", subject=SUBJECT, content=positive)
        await store.SubmitRecord(SubmitRecordRequest(submission=submission, purpose=PURPOSE))
        async with httpx.AsyncClient(base_url=mesh.http) as http:
            given = {region: await _until(http, region, "POSITIVE") for region in (HOME, ELSEWHERE)}
            told = {region: await _over_grpc(mesh.grpc["gateway"], region) for region in given}
            # Time enough for whatever came a little later to be told from what was known then.
            await asyncio.sleep(0.05)
            amend = AmendRecordRequest(
                region=HOME,
                source_id="S1",
                revision=1,
                content=_content(TestResult.TEST_RESULT_NEGATIVE),
                cause="samples were mixed up",
                purpose=PURPOSE,
            )
            await store.AmendRecord(amend)
            for region, then in given.items():
                assert (await _until(http, region, "RECOGNISED"))["newestTest"]["revision"] == 2
                past = {"at": then["at"], "knownAt": then["computedAt"]}
                again = await _show(http, region, **past)
                assert again["freshness"] == "COMPUTED"
                assert _judged(again) == _judged(then)
                # What was known then says nothing of now.
                assert (await _show(http, region))["status"] == "RECOGNISED"
                before = told[region]
                retold = await _over_grpc(mesh.grpc["gateway"], region, at=before.at, known_at=before.computed_at)
                assert retold.SerializeToString(deterministic=True) == before.SerializeToString(deterministic=True)


async def _show(http: httpx.AsyncClient, region: str, **options: str) -> dict[str, Any]:
    question = {"document": {"type": "PASSPORT", "number": NUMBER}, "region": region, **options}
    reply = await http.post("/v1/healthCode:show", json=question)
    assert reply.status_code == 200, reply.text
    code: dict[str, Any] = reply.json()
    return code


async def _until(http: httpx.AsyncClient, region: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while (code := await _show(http, region))["status"] != status:
            await asyncio.sleep(0.02)
    return code


def _judged(code: dict[str, Any]) -> dict[str, Any]:
    """All of a code but how it was come by."""
    return {name: value for name, value in code.items() if name not in ("freshness", "age")}


async def _over_grpc(
    address: str, region: str, *, at: Timestamp | None = None, known_at: Timestamp | None = None
) -> Verdict:
    query = HealthCodeQuery(document=SUBJECT.document, region=region, at=at, known_at=known_at)
    async with grpc.aio.insecure_channel(address) as channel:
        reply = await HealthCodeServiceStub(channel).ShowHealthCode(
            ShowHealthCodeRequest(query=query), metadata=[("hutong-caller", "test")], timeout=10
        )
    verdict: Verdict = reply.verdict
    return verdict
