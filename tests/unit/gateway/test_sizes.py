"""Answers have a bounded size, on every kind of past: codes, destinations, batches."""

import gzip

import httpx
import pytest
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.verdict.v1.verdict_pb2 import EvidenceRef, Reason, Status, Verdict

from services.common.regions import divisions
from tests.testkit.fakes.mesh import DOCUMENT, PERSON, Mesh, record, serving

MOST_OF_A_CODE = 4_000
MOST_OF_DESTINATIONS = 16_000
MOST_OF_A_THOUSAND = 4_000_000

ZH, EN = "此检测不在本地所认可的时间之内，须为72小时内的阴性报告", "Older than what is accepted here: 72 hours"


def longest(verdict: Verdict) -> None:
    """Makes a verdict as long as one may be: for each of two clauses three pieces of evidence and a count."""
    verdict.status = Status.STATUS_NOT_RECOGNISED
    del verdict.grounds[:]
    del verdict.reasons[:]
    verdict.ClearField("valid_until")
    text = LocalizedText(zh=ZH, en=EN)
    for clause in ("result-72h", "sampling-24h"):
        for number in range(3):
            evidence = EvidenceRef(region="430000", source_id=f"XY-2022080{number}-00000042", revision=1)
            verdict.reasons.append(Reason(code="WINDOW_EXPIRED", clause=clause, evidence=evidence, text=text))
        verdict.reasons.append(Reason(code="WINDOW_EXPIRED", clause=clause, text=text))


@pytest.mark.parametrize("shape", [None, longest], ids=["recognised", "refused for everything"])
async def test_answers_have_a_size(shape) -> None:
    """In bytes of JSON, as it is and compressed."""
    mesh = Mesh()
    mesh.records[PERSON] = [record(source_id=f"S{number}") for number in range(3)]
    if shape is not None:
        mesh.shape = shape
    regions = sorted(divisions())[:31]
    async with (
        serving(mesh) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):
        code = await http.post("/v1/healthCode:show", json={"document": DOCUMENT, "region": "110000"})
        assert (code.status_code, len(code.content) <= MOST_OF_A_CODE) == (200, True), len(code.content)
        asked = {"document": DOCUMENT, "regions": regions}
        basic = await http.post("/v1/destinations:check", json=asked)
        assert len(basic.content) <= MOST_OF_DESTINATIONS, len(basic.content)
        summaries = [one["summary"] for one in basic.json()["destinations"]]
        assert {(one["status"], one["colour"]) for one in summaries} == {
            ("NOT_RECOGNISED" if shape else "RECOGNISED", "GREEN")
        }
        # Words that a region before has said are not said again.
        assert [summaries[0]["reason"]] * 31 == [one["reason"] for one in summaries]
        assert [True] + [False] * 30 == [bool(one["text"]) for one in summaries]
        full = (await http.post("/v1/destinations:check", json={**asked, "view": "FULL"})).json()["destinations"]
        assert [one["code"]["region"] for one in full] == regions
        queries = [{"document": DOCUMENT, "region": regions[number % 31]} for number in range(1000)]
        raw = http.build_request("POST", "/v1/healthCode:batchShow", json={"queries": queries})
        batch = await http.send(raw)
        assert (batch.headers["content-encoding"], len(batch.content) <= MOST_OF_A_THOUSAND) == ("gzip", True)
        assert len(gzip.compress(batch.content)) < len(batch.content) / 10


async def test_a_view_that_is_none_is_refused() -> None:
    """BASIC or FULL."""
    async with (
        serving(Mesh()) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        answer = await http.post("/v1/destinations:check", json={"document": DOCUMENT, "view": "EVERYTHING"})
    assert [one["reason"] for one in answer.json()["violations"]] == ["VIEW_UNKNOWN"]
