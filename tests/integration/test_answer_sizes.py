"""Answers have a size whatever a person's past: over a whole mesh with its stores, by HTTP and by gRPC."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
import pytest_asyncio
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.gateway.v1.health_code_service_pb2 import (
    BatchShowHealthCodesRequest,
    CheckDestinationsRequest,
    HealthCodeQuery,
    ShowHealthCodeRequest,
)
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hutong.lookup.v1.holder_service_pb2 import LinkDocumentsRequest
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_pb2 import Channel, Origin, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    BatchSubmitRecordsRequest,
    PutLaboratoryRequest,
    RecordSubmission,
    RetractRecordRequest,
    SuspendLaboratoryRequest,
)

from cli.mesh import embedded
from cli.mesh.client import MeshClient
from services.common.instants import HOUR, Instant, to_timestamp
from services.common.regions import NATION, divisions
from services.runtime.clock import system_clock

MOST_OF_A_CODE = 4_000
MOST_OF_DESTINATIONS = 16_000
MOST_OF_A_THOUSAND = 4_000_000

REGIONS = sorted(divisions())[:31]
HOME, HERE, OTHERS = "430000", "110000", ("310000", "340000", "440000", "510000")
KEEP = Purpose.PURPOSE_RECORD_KEEPING
RESULT, SAMPLING = RecordKind.RECORD_KIND_RESULT, RecordKind.RECORD_KIND_SAMPLING
NEGATIVE, POSITIVE = TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE
INCONCLUSIVE = TestResult.TEST_RESULT_INCONCLUSIVE
SINGLE, POOL_5, POOL_10 = Tube.TUBE_SINGLE, Tube.TUBE_POOL_5, Tube.TUBE_POOL_10
CHANNELS = (Channel.CHANNEL_LABORATORY, Channel.CHANNEL_NATIONAL_PLATFORM, Channel.CHANNEL_HEALTH_CODE)
SUSPENDED = "430000-suspended"


class Taken(NamedTuple):
    """A record of a past: hours before now, and what is not as usual."""

    hours: float
    result: TestResult.ValueType = NEGATIVE
    tube: Tube.ValueType = SINGLE
    region: str = HOME
    channel: Channel.ValueType = Channel.CHANNEL_LABORATORY
    laboratory: str = "430000-usual"
    reported_after: float | None = 2.0
    copied: bool = False


def every(hours: float, count: int, start: float = 5.0, **more: Any) -> list[Taken]:
    """Returns so many records, one each so many hours back."""
    return [Taken(start + hours * number, **more) for number in range(count)]


PASTS: dict[str, Sequence[Taken]] = {
    "no test": [],
    "one": every(48, 1),
    "all negative": every(48, 200),
    "all negative, none lately": every(48, 200, 700),
    "two thousand": every(9, 2_000),
    "pools": [*every(24, 60, tube=POOL_10), *every(24, 40, 17, tube=POOL_5, result=POSITIVE)],
    "mixed methods": [
        Taken(5 + 12.0 * n, NEGATIVE, (SINGLE, POOL_5, POOL_10)[n % 3], channel=CHANNELS[n % 2], reported_after=after)
        for n in range(150)
        for after in [None if n % 5 == 0 else 2.0]
    ],
    "many regions": [Taken(5 + 12.0 * n, region=(HOME, HERE, *OTHERS)[n % 6]) for n in range(150)],
    "inconclusive": every(12, 80, result=INCONCLUSIVE),
    "awaited": every(12, 80, reported_after=None),
    "retractions": every(24, 40),
    "amendments": every(24, 40),
    "conflicts": every(24, 40),
    "suspended laboratories": [*every(24, 60, laboratory=SUSPENDED), *every(48, 30, 12)],
    "late results": [*every(24, 50, 800, reported_after=790), *every(24, 20)],
    "open positives": [*every(24, 40), *every(100, 30, 13, result=POSITIVE)],
    "cleared positives": [*every(30, 60), *every(400, 20, 2_000, result=POSITIVE)],
    "copies": [*every(24, 40), *every(24, 40, copied=True, channel=Channel.CHANNEL_HEALTH_CODE, region=HERE)],
    "several documents": every(24, 80),
}
KINDS = tuple(PASTS)


def document(kind: str, number: int = 0) -> Document:
    """The document of the person with a kind of past."""
    return Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=f"SZ{KINDS.index(kind):03d}{number:03d}")


def _source_id(kind: str, place: int) -> str:
    # As long as such ids are in earnest.
    return f"XY-20220801-{KINDS.index(kind):04d}-{place:08d}"


def _content(kind: str, place: int, taken: Taken, now: Instant) -> RecordContent:
    sampled = Instant(now - round(taken.hours * HOUR))
    content = RecordContent(
        kind=SAMPLING if taken.reported_after is None else RESULT,
        sampled_at=to_timestamp(sampled),
        tube=taken.tube,
        laboratory=taken.laboratory,
        site=taken.region,
        channel=taken.channel,
    )
    if taken.reported_after is not None:
        content.result = taken.result
        content.reported_at.CopyFrom(to_timestamp(Instant(sampled + round(taken.reported_after * HOUR))))
    if taken.copied:
        original = place - len(PASTS[kind]) // 2
        content.origin.CopyFrom(Origin(region=HOME, source_id=_source_id(kind, original), revision=1))
        content.site = HOME
    return content


async def _write(client: MeshClient, now: Instant) -> None:
    rows: dict[str, list[RecordSubmission]] = {}
    for kind, past in PASTS.items():
        for place, taken in enumerate(past):
            number = place % 3 if kind == "several documents" else 0
            submission = RecordSubmission(
                region=taken.region,
                source_id=_source_id(kind, place),
                subject=Subject(document=document(kind, number)),
                content=_content(kind, place, taken, now),
            )
            rows.setdefault(taken.region, []).append(submission)
    for region, submissions in rows.items():
        for start in range(0, len(submissions), 1000):
            request = BatchSubmitRecordsRequest(purpose=KEEP, submissions=submissions[start : start + 1000])
            answer = await client.records(region).BatchSubmitRecords(request)
            assert not [row for row in answer.rows if row.violations]


async def _correct(client: MeshClient, now: Instant) -> None:
    store = client.records(HOME)
    for place, taken in enumerate(PASTS["retractions"]):
        if place % 2:
            source_id = _source_id("retractions", place)
            retract = RetractRecordRequest(region=HOME, source_id=source_id, revision=1, cause="mistyped", purpose=KEEP)
            await store.RetractRecord(retract)
        for revision in (1, 2):
            amended = _content("amendments", place, taken._replace(reported_after=2.0 + revision), now)
            await store.AmendRecord(
                AmendRecordRequest(
                    region=HOME,
                    source_id=_source_id("amendments", place),
                    revision=revision,
                    content=amended,
                    cause="mistyped",
                    purpose=KEEP,
                )
            )
        contrary = RecordSubmission(
            region=HOME,
            source_id=_source_id("conflicts", place),
            subject=Subject(document=document("conflicts")),
            content=_content("conflicts", place, taken._replace(tube=POOL_5, reported_after=4.0), now),
        )
        await store.BatchSubmitRecords(BatchSubmitRecordsRequest(purpose=KEEP, submissions=[contrary]))
    name = LocalizedText(zh="停业", en="Suspended")
    await store.PutLaboratory(PutLaboratoryRequest(region=HOME, laboratory=SUSPENDED, display_name=name))
    sampled = Interval(to=to_timestamp(now))
    suspend = SuspendLaboratoryRequest(laboratory=SUSPENDED, suspension_id="s1", sampled=sampled, cause="audit")
    await store.SuspendLaboratory(suspend)
    for number in (1, 2):
        link = LinkDocumentsRequest(
            subject=Subject(document=document("several documents")),
            other=Subject(document=document("several documents", number)),
            cause="passport renewed",
            purpose=Purpose.PURPOSE_HOLDER_DECISION,
        )
        await client.holders().LinkDocuments(link)


class Asked(NamedTuple):
    """The gateway of a mesh with people of every kind of past."""

    http: httpx.AsyncClient
    stub: HealthCodeServiceStub

    async def post(self, path: str, body: Any) -> httpx.Response:
        """Returns the answer, which is no refusal."""
        reply = await self.http.post(path, json=body)
        assert reply.status_code == 200, reply.text
        return reply

    async def call(self, method: str, request: Any) -> Any:
        """Returns the answer over gRPC."""
        call: Callable[..., Awaitable[Any]] = getattr(self.stub, method)
        return await call(request, metadata=[("hutong-caller", "test")], timeout=60)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    """The gateway of a mesh in which everybody's past has reached the nation."""
    directory: Path = tmp_path_factory.mktemp("mesh")
    now = system_clock()
    async with (
        embedded(directory) as mesh,
        MeshClient(mesh.endpoints, "test") as client,
        httpx.AsyncClient(base_url=mesh.http, timeout=60) as http,
        grpc.aio.insecure_channel(mesh.grpc["gateway"]) as channel,
    ):
        await _write(client, now)
        await _correct(client, now)
        written = system_clock()
        async with asyncio.timeout(120):
            while (await client.nation_as_of() or 0) < written:
                await asyncio.sleep(0.1)
        assert client.records(NATION)
        yield Asked(http, HealthCodeServiceStub(channel))


def _json(kind: str) -> dict[str, str]:
    return {"type": "PASSPORT", "number": document(kind).number}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_code_and_31_destinations_have_a_size(asked: Asked, kind: str) -> None:
    """In every region, by the provincial database as by the national; of what is older, only a count grows."""
    largest = ("", 0)
    for region in REGIONS:
        for scope in ("NATIONAL", "LOCAL"):
            body = {"document": _json(kind), "region": region, "scope": scope}
            size = len((await asked.post("/v1/healthCode:show", body)).content)
            largest = max(largest, (f"{region} {scope}", size), key=lambda one: one[1])
            query = HealthCodeQuery(document=document(kind), region=region, scope=Scope.Value(f"SCOPE_{scope}"))
            reply = await asked.call("ShowHealthCode", ShowHealthCodeRequest(query=query))
            assert reply.ByteSize() <= MOST_OF_A_CODE, (region, scope)
    assert largest[1] <= MOST_OF_A_CODE, largest
    basic = await asked.post("/v1/destinations:check", {"document": _json(kind), "regions": REGIONS})
    assert len(basic.content) <= MOST_OF_DESTINATIONS
    words: dict[str, str] = {}
    for one in basic.json()["destinations"]:
        summary = one["summary"]
        words |= {summary["reason"]: summary["text"]["zh"]} if summary["text"] else {}
        assert words[summary["reason"]]
    check = CheckDestinationsRequest(document=document(kind), regions=REGIONS)
    assert (await asked.call("CheckDestinations", check)).ByteSize() <= MOST_OF_DESTINATIONS


@pytest.mark.asyncio(loop_scope="module")
async def test_a_thousand_codes_have_a_size_and_go_compressed(asked: Asked) -> None:
    """Of all kinds together; whoever accepts it gets a tenth."""
    places = [(KINDS[n % len(KINDS)], REGIONS[n % 31]) for n in range(1000)]
    queries = [{"document": _json(kind), "region": region} for kind, region in places]
    request = asked.http.build_request("POST", "/v1/healthCode:batchShow", json={"queries": queries})
    batch = await asked.http.send(request)
    assert (200, "gzip") == (batch.status_code, batch.headers["content-encoding"])
    assert len(batch.content) <= MOST_OF_A_THOUSAND
    assert len(gzip.compress(batch.content)) < len(batch.content) / 10
    asking = BatchShowHealthCodesRequest(
        queries=[HealthCodeQuery(document=document(kind), region=region) for kind, region in places]
    )
    assert (await asked.call("BatchShowHealthCodes", asking)).ByteSize() <= MOST_OF_A_THOUSAND


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_older_is_counted_in_words(asked: Asked) -> None:
    """The newest three, and how many more there are: as many as there are tests."""
    body = {"document": _json("all negative, none lately"), "region": "320000"}
    code = (await asked.post("/v1/healthCode:show", body)).json()
    named = [reason for reason in code["reasons"] if reason["evidence"]]
    assert 200 == len(named) + sum(further["count"] for further in code["furtherReasons"])
    assert {"zh": "另有197次更早的检测已不在有效期内", "en": "and 197 older ones outside the window"} in [
        further["text"] for further in code["furtherReasons"]
    ]
