"""Supervision of a mesh: refusals are kept and opened again as known then, figures count people and not showings."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import RecordSubmission, SubmitRecordRequest

from cli.mesh import embedded
from cli.mesh.client import MeshClient
from services.common.errors import ServiceError
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(300)]

NUMBER = "SEEN00001"
SUBJECT = Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=NUMBER))
PURPOSE = Purpose.PURPOSE_RECORD_KEEPING
DOCUMENT = {"type": "PASSPORT", "number": NUMBER}
HENAN, HUNAN, XINJIANG = "410000", "430000", "650000"


class Supervised:
    """A mesh with its sample people, and its sample supervisor."""

    def __init__(self, http: httpx.AsyncClient, client: MeshClient, token: str) -> None:
        self.http = http
        self.client = client
        self.headers = {"authorization": f"Bearer {token}"}

    async def show(self, region: str, **more: Any) -> dict[str, Any]:
        """Shows the code of the tests' person."""
        reply = await self.http.post("/v1/healthCode:show", json={"document": DOCUMENT, "region": region, **more})
        assert 200 == reply.status_code, reply.text
        return dict(reply.json())

    async def get(self, path: str) -> httpx.Response:
        """Asks as the supervisor."""
        return await self.http.get(f"/v1/supervision/{path}", headers=self.headers)

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Decides as the supervisor."""
        return await self.http.post(f"/v1/supervision/{path}", json=body, headers=self.headers)

    async def rows(self, path: str, name: str) -> list[dict[str, Any]]:
        """Returns the rows of a table."""
        reply = await self.get(path)
        assert 200 == reply.status_code, reply.text
        return list(reply.json()[name])

    async def reopen(self, refusal: dict[str, Any]) -> dict[str, Any]:
        """Opens a refusal again."""
        body = {"refusalId": refusal["refusalId"]}
        reply = await self.post("refusals:reopen", body)
        assert 200 == reply.status_code, reply.text
        return dict(reply.json())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def supervised(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Supervised]:
    """A mesh in this process."""
    data = tmp_path_factory.mktemp("supervised")
    async with (
        embedded(data, samples=True) as mesh,
        MeshClient(mesh.endpoints, "test") as client,
        httpx.AsyncClient(base_url=mesh.http, timeout=30) as http,
    ):
        signed_in = await http.post("/v1/sampleSupervisor:signIn", json={})
        yield Supervised(http, client, signed_in.json()["token"])


async def report(
    client: MeshClient,
    source_id: str,
    hours: int = 2,
    outcome: TestResult.ValueType = TestResult.TEST_RESULT_NEGATIVE,
) -> None:
    """Reports a test of the person in Hunan."""
    now = system_clock()
    content = RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(Instant(now - (hours + 2) * HOUR)),
        reported_at=to_timestamp(Instant(now - hours * HOUR)),
        result=outcome,
        tube=Tube.TUBE_SINGLE,
        laboratory="430000-then",
        site=HUNAN,
        channel=Channel.CHANNEL_LABORATORY,
    )
    submission = RecordSubmission(region=HUNAN, source_id=source_id, subject=SUBJECT, content=content)
    await client.records(HUNAN).SubmitRecord(SubmitRecordRequest(submission=submission, purpose=PURPOSE))


def figures_at(rows: list[dict[str, Any]], region: str, scene: str | None) -> dict[str, Any]:
    """Returns the figures of a place today."""
    return next((row for row in rows if (row["region"], row["scene"]) == (region, scene)), {})


@pytest.mark.asyncio(loop_scope="module")
async def test_a_refusal_is_kept_and_opened_again_as_known_then(supervised: Supervised) -> None:
    """Shown ten times, from the cache too, it is one; when a test has come since, what was said then is said again."""
    given = [await supervised.show("110000", scene="HOTEL") for _ in range(10)]
    deadline = time.monotonic() + 30
    while given[-1]["freshness"] != "CACHED":
        assert time.monotonic() < deadline
        given.append(await supervised.show("110000", scene="HOTEL"))
    assert {"NOT_RECOGNISED"} == {code["status"] for code in given}
    kept = [one for one in await supervised.rows("refusals?region=110000", "refusals") if one["scene"] == "HOTEL"]
    assert 1 == len(kept)
    assert given[0]["computedAt"] == kept[0]["knownAt"]
    before = figures_at(await supervised.rows("figures?region=110000", "figures"), "110000", "HOTEL")
    assert (1, 0) == (before["refused"], before["recognised"])

    await report(supervised.client, "S1")
    deadline = time.monotonic() + 30
    while (now := await supervised.show("110000", scene="HOTEL"))["status"] != "RECOGNISED":
        assert time.monotonic() < deadline, now
        await asyncio.sleep(0.1)
    again = await supervised.reopen(kept[0])
    assert again["same"]
    assert ("NOT_RECOGNISED", kept[0]["reasons"]) == (
        again["code"]["status"],
        list(dict.fromkeys(one["code"] for one in (*again["code"]["reasons"], *again["code"]["furtherReasons"]))),
    )
    assert given[0]["policy"] == again["code"]["policy"]
    after = figures_at(await supervised.rows("figures?region=110000", "figures"), "110000", "HOTEL")
    assert (1, 1, 1) == (
        after["refused"],
        after["recognised"] + after["recognisedByNotice"],
        after["repeatTestsAvoided"],
    )
    # One test, and another place: it was avoided once.
    assert "RECOGNISED" == (await supervised.show("110000", scene="METRO"))["status"]
    metro = figures_at(await supervised.rows("figures?region=110000", "figures"), "110000", "METRO")
    assert (1, 0) == (metro["recognised"] + metro["recognisedByNotice"], metro["repeatTestsAvoided"])


@pytest.mark.asyncio(loop_scope="module")
async def test_what_the_notice_alone_recognises_is_told_apart(supervised: Supervised) -> None:
    """Henan's own rules know local results alone; nobody's number or key is in what is told."""
    await report(supervised.client, "S2")
    deadline = time.monotonic() + 30
    while (code := await supervised.show(HENAN))["notice"] != "ENFORCED":
        assert time.monotonic() < deadline, code
        await asyncio.sleep(0.1)
    figures = figures_at(await supervised.rows("figures", "figures"), HENAN, None)
    assert 1 <= figures["recognisedByNotice"]
    assert 1 <= figures["repeatTestsAvoided"]
    for path in ("figures", "refusals", "conflicts", "overdueSamples", "laboratories", "policies"):
        for form in ("", "?format=CSV"):
            text = (await supervised.get(path + form)).text
            assert NUMBER not in text
            assert "personKey" not in text


@pytest.mark.asyncio(loop_scope="module")
async def test_what_supervision_looks_at_itself_counts_for_nothing(supervised: Supervised) -> None:
    """Nor what is asked about the past, nor where a journey might lead."""
    before = (await supervised.get("figures")).json()
    headers = {**supervised.headers, "hutong-purpose": "SUPERVISION"}
    body = {"document": DOCUMENT, "region": "510000"}
    assert 200 == (await supervised.http.post("/v1/healthCode:show", json=body, headers=headers)).status_code
    code = await supervised.show("510000", at="2022-08-05T13:20:00+08:00")
    assert "RECOGNISED" != code["status"]
    reply = await supervised.http.post("/v1/destinations:check", json={"document": DOCUMENT})
    assert 200 == reply.status_code
    assert before == (await supervised.get("figures")).json()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("figures", ("region", "firstDay", "lastDay", "format", "pageSize")),
        ("refusals", ("region", "firstDay", "lastDay", "format", "pageSize")),
        ("laboratories", ("firstDay", "lastDay", "format", "pageSize")),
        ("overdueSamples", ("firstDay", "lastDay", "format", "pageSize")),
        ("conflicts", ("format", "pageSize")),
        ("policies", ("format",)),
        ("openData", ("firstDay", "lastDay")),
    ],
)
async def test_a_parameter_that_is_empty_doubled_or_unknown_is_refused(
    supervised: Supervised, path: str, names: tuple[str, ...]
) -> None:
    """As a field of a body is: what was meant cannot be told."""
    for name in names:
        for query in (f"{name}=", f"{name}=1&{name}=1"):
            reply = await supervised.get(f"{path}?{query}")
            assert (400, [name]) == (reply.status_code, [one["field"] for one in reply.json()["violations"]]), query
    assert 400 == (await supervised.get(f"{path}?days=1")).status_code
    if "format" not in names:
        assert 400 == (await supervised.get(f"{path}?format=CSV")).status_code


@pytest.mark.asyncio(loop_scope="module")
async def test_every_table_is_there_as_json_and_as_csv(supervised: Supervised) -> None:
    """A CSV has a header, and a row for each of the JSON's."""
    names = {
        "figures": "figures",
        "refusals": "refusals",
        "laboratories": "laboratories",
        "overdueSamples": "samples",
        "conflicts": "conflicts",
        "policies": "policies",
    }
    for path, name in names.items():
        rows = await supervised.rows(path, name)
        reply = await supervised.get(f"{path}?format=CSV")
        assert "text/csv; charset=utf-8" == reply.headers["content-type"]
        lines = reply.text.removeprefix("\ufeff").splitlines()
        assert len(rows) + 1 == len(lines), path
    policies = await supervised.rows("policies", "policies")
    henan = next(one for one in policies if one["region"] == HENAN)
    assert henan["declared"]
    assert "反例" in henan["counterExample"]["zh"]


@pytest.mark.asyncio(loop_scope="module")
async def test_only_supervisors_are_told(supervised: Supervised) -> None:
    """Neither whoever sits at the machine, nor a holder."""
    people = (await supervised.http.get("/v1/samplePeople")).json()["people"]
    signed_in = await supervised.http.post("/v1/samplePeople:signIn", json={"document": people[0]["document"]})
    holder = {"authorization": f"Bearer {signed_in.json()['token']}"}
    for headers in ({}, holder):
        for path in ("figures", "refusals", "laboratories", "overdueSamples", "conflicts", "policies"):
            reply = await supervised.http.get(f"/v1/supervision/{path}", headers=headers)
            assert 403 == reply.status_code, path
    assert 400 == (await supervised.get("figures?firstDay=tomorrow")).status_code
    assert 400 == (await supervised.get("figures?firstDay=2022-01-02&lastDay=2022-01-01")).status_code
    assert 400 == (await supervised.get("figures?region=999999")).status_code


async def sampled(client: MeshClient, source_id: str, region: str = HUNAN) -> None:
    """Reports a sample of a person in a region that has waited for its result for three days."""
    content = RecordContent(
        kind=RecordKind.RECORD_KIND_SAMPLING,
        sampled_at=to_timestamp(Instant(system_clock() - 72 * HOUR)),
        tube=Tube.TUBE_SINGLE,
        laboratory=f"{region}-then",
        site=region,
        channel=Channel.CHANNEL_LABORATORY,
    )
    document = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="LATE00001")
    submission = RecordSubmission(
        region=region, source_id=source_id, subject=Subject(document=document), content=content
    )
    await client.records(region).SubmitRecord(SubmitRecordRequest(submission=submission, purpose=PURPOSE))


@pytest.mark.asyncio(loop_scope="module")
async def test_a_conflict_is_settled_by_the_supervisor(supervised: Supervised) -> None:
    """Both statements are shown; what is decided is kept under the supervisor's name, and the record says it."""
    await report(supervised.client, "C1")
    with pytest.raises(ServiceError, match="RECORD_CONFLICT"):
        await report(supervised.client, "C1", outcome=TestResult.TEST_RESULT_POSITIVE)
    [conflict] = [
        one for one in await supervised.rows(f"conflicts?store={HUNAN}", "conflicts") if one["sourceId"] == "C1"
    ]
    assert ("NEGATIVE", "POSITIVE") == (conflict["storedResult"], conflict["offeredResult"])
    body = {
        "conflictId": conflict["conflictId"],
        "settlement": "STORED_KEPT",
        "cause": "已核对原始记录",
        "store": HUNAN,
    }
    for wrong, field in (
        ({**body, "settlement": "BOTH"}, "settlement"),
        ({**body, "cause": ""}, "cause"),
        ({**body, "cause": "11010519491231002X"}, "cause"),
        ({**body, "conflictId": ""}, "conflictId"),
        ({**body, "store": "990000"}, "store"),
        ({**body, "why": "because"}, "why"),
    ):
        refused = await supervised.post("conflicts:settle", wrong)
        assert 400 == refused.status_code, wrong
        assert [field] == [one["field"] for one in refused.json()["violations"]], refused.text
    missing = await supervised.post("conflicts:settle", {**body, "conflictId": "none"})
    assert (404, "CONFLICT_NOT_FOUND") == (missing.status_code, missing.json()["reason"])
    for _ in range(2):
        settled = await supervised.post("conflicts:settle", body)
        assert 200 == settled.status_code, settled.text
        assert "supervisor/" in settled.json()["settledBy"]
        assert ("STORED_KEPT", "已核对原始记录") == (settled.json()["settlement"], settled.json()["cause"])
    otherwise = await supervised.post("conflicts:settle", {**body, "settlement": "OFFERED_TAKEN"})
    assert (400, "CONFLICT_SETTLED") == (otherwise.status_code, otherwise.json()["reason"])
    left = await supervised.rows(f"conflicts?store={HUNAN}", "conflicts")
    assert "C1" not in [one["sourceId"] for one in left]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_laboratory_is_asked_for_an_overdue_result(supervised: Supervised) -> None:
    """Once, whichever table it was seen in; the region's own table says since when."""
    await sampled(supervised.client, "L1")
    body = {"region": HUNAN, "sourceId": "L1", "text": "请于今日报告"}
    first = await supervised.post("overdueSamples:requestResult", body)
    assert (200, True, None) == (first.status_code, first.json()["created"], first.json()["answer"]), first.text
    again = await supervised.post("overdueSamples:requestResult", body)
    assert (False, first.json()["askedAt"]) == (again.json()["created"], again.json()["askedAt"])
    [late] = [
        one for one in await supervised.rows(f"overdueSamples?store={HUNAN}", "samples") if one["sourceId"] == "L1"
    ]
    assert first.json()["askedAt"] == late["askedAt"]
    for wrong, field in (({**body, "region": "990000"}, "region"), ({**body, "sourceId": ""}, "sourceId")):
        refused = await supervised.post("overdueSamples:requestResult", wrong)
        assert (400, [field]) == (refused.status_code, [one["field"] for one in refused.json()["violations"]])
    missing = await supervised.post("overdueSamples:requestResult", {**body, "sourceId": "NONE"})
    assert (404, "RECORD_NOT_FOUND") == (missing.status_code, missing.json()["reason"])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_region_that_is_not_on_the_mesh_is_asked_where_its_records_are(supervised: Supervised) -> None:
    """The nation keeps Xinjiang's records and its laboratories' queue, and its table says since when they are asked."""
    await sampled(supervised.client, "X1", XINJIANG)
    asked = await supervised.post("overdueSamples:requestResult", {"region": XINJIANG, "sourceId": "X1"})
    assert 200 == asked.status_code, asked.text
    [late] = [one for one in await supervised.rows("overdueSamples", "samples") if one["sourceId"] == "X1"]
    assert (XINJIANG, asked.json()["askedAt"]) == (late["region"], late["askedAt"])


@pytest.mark.asyncio(loop_scope="module")
async def test_only_supervisors_decide(supervised: Supervised) -> None:
    """Neither whoever sits at the machine, nor a holder, nor for another purpose."""
    people = (await supervised.http.get("/v1/samplePeople")).json()["people"]
    signed_in = await supervised.http.post("/v1/samplePeople:signIn", json={"document": people[0]["document"]})
    holder = {"authorization": f"Bearer {signed_in.json()['token']}"}
    keeping = {**supervised.headers, "hutong-purpose": "RECORD_KEEPING"}
    bodies = {
        "conflicts:settle": {"conflictId": "none", "settlement": "STORED_KEPT", "cause": "none"},
        "overdueSamples:requestResult": {"region": HUNAN, "sourceId": "NONE"},
    }
    for path, body in bodies.items():
        for headers in ({}, holder, keeping):
            reply = await supervised.http.post(f"/v1/supervision/{path}", json=body, headers=headers)
            assert 403 == reply.status_code, reply.text
