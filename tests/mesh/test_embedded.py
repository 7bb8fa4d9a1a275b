"""A mesh in one process: its sample people show what they are there to show, and its services can be stopped singly."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hutong.common.v1.subject_pb2 import DocumentType

from cli.mesh import embedded
from cli.mesh.in_process import EmbeddedMesh
from cli.samples.people import PEOPLE
from services.common.instants import SECOND, Instant, format_rfc3339, parse_rfc3339

BY_KEY = {person.key: person for person in PEOPLE}

# Person to the status of their code where they are to be looked at, and the ground or the reason for it.
SHOWS = {
    "hunan": ("RECOGNISED", "result-anywhere"),
    "beijing": ("RECOGNISED", "result-anywhere"),
    "night": ("NOT_RECOGNISED", "WINDOW_EXPIRED"),
    "anhui": ("RECOGNISED", "delta-result"),
    "sichuan": ("RECOGNISED", "visitor-sampling"),
    "report-time": ("NOT_RECOGNISED", "WINDOW_EXPIRED"),
    "certificate": ("RECOGNISED", "hunan-certificate"),
    "switch": ("RECOGNISED", "result-in-database"),
    "henan": ("RECOGNISED", "NATIONAL_NOTICE"),
    "xinjiang": ("RECOGNISED", "result-anywhere"),
    "pending": ("PENDING", "AWAITING_RESULT"),
    "positive": ("POSITIVE", "OPEN_POSITIVE"),
    "cleared": ("RECOGNISED", "result-anywhere"),
    "pool": ("RETEST_REQUIRED", "POSITIVE_POOL"),
    "two-tests": ("RECOGNISED", "three-days-two-tests"),
    "passport": ("RECOGNISED", "result-anywhere"),
    "overdue": ("NOT_RECOGNISED", "RESULT_OVERDUE"),
    "corrected": ("RECOGNISED", "result-anywhere"),
    "suspended": ("NOT_RECOGNISED", "LABORATORY_SUSPENDED"),
    "edge": ("RECOGNISED", "local-result"),
    "guardian": ("RECOGNISED", "result-anywhere"),
}

# The same where their text names an instant, a scope or another region.
FURTHER = [
    ("night", {"at": "2022-08-09T12:00:00+08:00"}, {"status": "RECOGNISED", "daysSinceTest": 1}),
    ("report-time", {"at": "2022-08-04T22:00:00+08:00"}, {"status": "NOT_RECOGNISED"}),
    ("report-time", {"at": "2022-08-05T00:00:00+08:00"}, {"status": "RECOGNISED"}),
    ("henan", {"at": "2022-08-09T12:00:00+08:00"}, {"status": "NOT_RECOGNISED", "notice": "REFUSAL"}),
    ("henan", {}, {"notice": "ENFORCED"}),
    ("switch", {"scope": "LOCAL"}, {"status": "NOT_RECOGNISED", "nationalWouldRecognise": True}),
    ("sichuan", {"region": "110000"}, {"status": "PENDING"}),
    ("hunan", {}, {"daysSinceTest": None}),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedMesh]:
    """A mesh with sample people."""
    async with embedded(tmp_path_factory.mktemp("mesh"), samples=True) as running:
        yield running


async def show(mesh: EmbeddedMesh, key: str, **options: Any) -> dict[str, Any]:
    """A sample person's code, by default where they are to be looked at."""
    person = BY_KEY[key]
    document = {"type": DocumentType.Name(person.type).removeprefix("DOCUMENT_TYPE_"), "number": person.number}
    body = {"document": document, "region": person.look, "refresh": True} | options
    async with httpx.AsyncClient(base_url=mesh.http, timeout=10) as client:
        reply = await client.post("/v1/healthCode:show", json=body)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def test_everyone_is_looked_at() -> None:
    """The table has every sample person."""
    assert sorted(SHOWS) == sorted(BY_KEY)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("key", SHOWS)
async def test_a_sample_person_shows_what_they_are_there_for(mesh: EmbeddedMesh, key: str) -> None:
    """The code of each sample person, on the day the mesh starts."""
    answer = await show(mesh, key)
    status, why = SHOWS[key]
    assert answer["status"] == status
    found = [ground["clause"] for ground in answer["grounds"]] + [reason["code"] for reason in answer["reasons"]]
    assert why in found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("key", "options", "expected"), FURTHER)
async def test_and_what_their_text_says(
    mesh: EmbeddedMesh, key: str, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    """What the texts of the sample people promise for other instants, scopes and regions."""
    answer = await show(mesh, key, **options)
    assert {name: answer[name] for name in expected} == expected


@pytest.mark.asyncio(loop_scope="module")
async def test_the_edge_is_where_it_is_said_to_be(mesh: EmbeddedMesh) -> None:
    """A second before validUntil the person at the window's edge is recognised, a second after it not."""
    until = parse_rfc3339((await show(mesh, "edge"))["validUntil"])
    before = await show(mesh, "edge", at=format_rfc3339(Instant(until - SECOND)))
    after = await show(mesh, "edge", at=format_rfc3339(Instant(until + SECOND)))
    assert (before["status"], after["status"]) == ("RECOGNISED", "NOT_RECOGNISED")


@pytest.mark.asyncio(loop_scope="module")
async def test_what_the_verdict_refuses_is_named_as_it_was_asked(mesh: EmbeddedMesh) -> None:
    """A knowledge of the future is found wrong three services further on, under the name it has in the request."""
    document = {"type": "RESIDENT_ID", "number": BY_KEY["hunan"].number}
    fine = {"document": document, "region": "110000"}
    wrong = fine | {"knownAt": "2199-01-01T00:00:00+08:00"}
    async with httpx.AsyncClient(base_url=mesh.http, timeout=10) as client:
        one = (await client.post("/v1/healthCode:show", json=wrong)).json()
        many = (await client.post("/v1/healthCode:batchShow", json={"queries": [fine, wrong]})).json()
    found = [one["violations"], many["outcomes"][1]["error"]["violations"]]
    expected = [[("knownAt", "KNOWN_AT_IN_FUTURE")], [("queries[1].knownAt", "KNOWN_AT_IN_FUTURE")]]
    assert expected == [[(v["field"], v["reason"]) for v in violations] for violations in found]


async def test_a_stopped_store_is_unreachable_and_comes_back(tmp_path: Path) -> None:
    """While the nation is stopped its coverage says so; started again on its address, it answers."""

    async def nation(running: EmbeddedMesh) -> str:
        coverage = (await show(running, "hunan"))["coverage"]
        return str({entry["source"]: entry["status"] for entry in coverage}["nation"])

    async with embedded(tmp_path) as running:
        assert await nation(running) == "OK"
        await running.stop("nation")
        assert await nation(running) == "UNREACHABLE"
        await running.start("nation")
        async with asyncio.timeout(10):
            while await nation(running) != "OK":
                await asyncio.sleep(0.05)
