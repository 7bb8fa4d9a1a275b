"""A correction request reaches the laboratory's queue from the gateway, and its answer comes back, in one process: over
HTTP as a holder, by `hutong laboratory corrections` as the laboratory's region."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from cli.exits import Exit
from cli.main import main
from cli.mesh import embedded
from cli.mesh.endpoints import write_endpoints
from cli.mesh.in_process import EmbeddedMesh
from cli.samples.people import PEOPLE
from tests.testkit.waiting import until

pytestmark = [pytest.mark.mesh, pytest.mark.asyncio(loop_scope="module")]
HUNAN = "430000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedMesh]:
    """A mesh with its sample people, whose addresses a command finds."""
    data = tmp_path_factory.mktemp("corrections")
    async with embedded(data, samples=True) as running:
        write_endpoints(running.endpoints, data)
        yield running


class Holder:
    """A sample person at the gateway."""

    def __init__(self, client: httpx.AsyncClient, document: dict[str, str], token: str) -> None:
        self._client = client
        self._document = document
        self._headers = {"authorization": f"Bearer {token}"}

    async def post(self, path: str, **body: Any) -> httpx.Response:
        """Calls the API about themselves."""
        return await self._client.post(path, json={"document": self._document, **body}, headers=self._headers)


async def sign_in(client: httpx.AsyncClient, key: str) -> Holder:
    """Signs a sample person in."""
    person = next(one for one in PEOPLE if one.key == key)
    document = {"type": "RESIDENT_ID", "number": person.number}
    signed = await client.post("/v1/samplePeople:signIn", json={"document": document})
    return Holder(client, document, signed.json()["token"])


async def hutong(mesh: EmbeddedMesh, *arguments: str) -> int:
    """Runs the laboratory's command, which has an event loop of its own."""
    data = ["--region", HUNAN, "--data", str(mesh.plan.data)]
    return await asyncio.to_thread(main, ["laboratory", "corrections", *arguments, *data])


async def test_the_whole_way_round(mesh: EmbeddedMesh, capsys: pytest.CaptureFixture[str]) -> None:
    """A result of Hunan, looked at in Zhengzhou: asked once, listed for the laboratory, answered, and read by the
    person; another person sees nothing of it."""
    async with httpx.AsyncClient(base_url=mesh.http, timeout=60) as client:
        holder, other = await sign_in(client, "henan"), await sign_in(client, "anhui")
        results = (await holder.post("/v1/results:list")).json()["results"]
        record = next(one["record"] for one in results if one["record"]["region"] == HUNAN)
        asked = {"region": HUNAN, "sourceId": record["sourceId"], "kind": "WRONG_TIME", "text": "是前一天晚上采的"}
        once = str(uuid4())
        first, second = [await holder.post("/v1/corrections:request", **asked, requestId=once) for _ in range(2)]
        assert (200, True) == (first.status_code, first.json()["created"])
        assert first.json() == second.json()
        assert 404 == (await other.post("/v1/corrections:request", **asked)).status_code
        number = {"text": f"证件号应为{PEOPLE[0].number}"}
        assert 400 == (await holder.post("/v1/corrections:request", **{**asked, **number})).status_code

        assert Exit.OK == await hutong(mesh, "list")
        queue = capsys.readouterr().out
        assert "是前一天晚上采的" in queue
        assert "1 correction requests" in queue
        request = queue.split()[0]
        assert first.json()["correctionRequest"]["id"] == request
        assert Exit.USAGE == await hutong(mesh, "answer", request, "--corrected", "--text", "已更正")
        assert "no such later revision" in capsys.readouterr().err
        assert Exit.OK == await hutong(mesh, "answer", request, "--stands", "--text", "采样点记录为当天早上")
        assert "采样点记录为当天早上" in capsys.readouterr().out

        [mine] = (await holder.post("/v1/corrections:list")).json()["correctionRequests"]
        assert ("STANDS", "采样点记录为当天早上") == (mine["answer"]["answer"], mine["answer"]["text"])
        assert mine["answer"]["answeredAt"] > mine["requestedAt"]
        assert [] == (await other.post("/v1/corrections:list")).json()["correctionRequests"]


async def test_a_region_that_is_away_is_said_to_be(mesh: EmbeddedMesh) -> None:
    """The person is told to try again, nothing is half done, and the same request is kept once when it is back; what
    was answered there is missing meanwhile, and the coverage says so."""
    async with httpx.AsyncClient(base_url=mesh.http, timeout=60) as client:
        holder = await sign_in(client, "overdue")
        results = (await holder.post("/v1/results:list")).json()["results"]
        sample = next(one["record"] for one in results if one["record"]["kind"] == "SAMPLING")
        asked = {"region": HUNAN, "sourceId": sample["sourceId"], "kind": "RESULT_LATE", "requestId": str(uuid4())}
        await mesh.stop(HUNAN)
        try:
            away = await holder.post("/v1/corrections:request", **asked)
            assert 503 == away.status_code
            listed = (await holder.post("/v1/corrections:list")).json()
            assert ["UNREACHABLE"] == [one["status"] for one in listed["coverage"] if one["source"] == HUNAN]
        finally:
            await mesh.start(HUNAN)

        async def kept() -> bool:
            return (await holder.post("/v1/corrections:request", **asked)).status_code == 200

        await until(kept, 60.0)
        [mine] = (await holder.post("/v1/corrections:list")).json()["correctionRequests"]
        assert ("RESULT_LATE", None) == (mine["kind"], mine["answer"])


async def test_xinjiang_is_answered_by_the_nation(mesh: EmbeddedMesh) -> None:
    """What the nation keeps for a region that is not on the mesh waits there."""
    async with httpx.AsyncClient(base_url=mesh.http, timeout=60) as client:
        holder = await sign_in(client, "xinjiang")
        results = (await holder.post("/v1/results:list")).json()["results"]
        record = results[0]["record"]
        asked = {"region": record["region"], "sourceId": record["sourceId"], "kind": "WRONG_TIME"}
        assert 200 == (await holder.post("/v1/corrections:request", **asked)).status_code
        data = ["--region", "650000", "--data", str(mesh.plan.data)]
        assert Exit.OK == await asyncio.to_thread(main, ["laboratory", "corrections", "list", *data])
