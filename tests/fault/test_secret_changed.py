"""The mesh's secret is changed while codes are shown, records written and stores followed: nobody notices, and the old
one is then useless."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.record_write_service_pb2 import RecordSubmission, SubmitRecordRequest

from cli.diagnosis.asking import Addresses, ask_all
from cli.diagnosis.judgement import findings
from cli.main import main
from cli.mesh import embedded, processes
from cli.mesh.client import MeshClient
from cli.mesh.data import SECRET_FILE, mesh_secret
from cli.mesh.running import RunningMesh
from cli.samples.people import PEOPLE
from services.common.documents import PersonKeys
from services.common.errors import ServiceError
from services.common.mesh_secret import parse_mesh_secret
from services.common.regions import NATION
from services.runtime.settings.directory import read_directory
from services.runtime.settings.secret_file import LOOK_SECONDS
from tests.testkit.builders.records import result
from tests.testkit.servers.second_gateway import SecondGateway

SHOW = "/v1/healthCode:show"
HUNAN = "430000"
SECONDS = 60.0
"""How long the stores may take, on however busy a machine."""
BODIES: Sequence[dict[str, Any]] = [
    {
        "document": {"type": DocumentType.Name(person.type).removeprefix("DOCUMENT_TYPE_"), "number": person.number},
        "region": person.look,
    }
    for person in PEOPLE
]
TRAVELLER = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="E77700001")


async def secret(data: Path, *words: str) -> None:
    """Runs `hutong secret` on a mesh's file."""
    assert 0 == await asyncio.to_thread(main, ["secret", *words, "--file", str(data / SECRET_FILE)])


async def statuses(http: httpx.AsyncClient) -> list[str]:
    """Returns what each person's code says, computed past the cache."""
    answers = [await http.post(SHOW, json={**body, "refresh": True}) for body in BODIES]
    assert {200} == {answer.status_code for answer in answers}
    return [answer.json()["status"] for answer in answers]


def stored_keys(data: Path) -> set[bytes]:
    """Returns every person key in every store: of records, lookup's, and the gateway's of supervision."""
    keys: set[bytes] = set()
    for path in data.glob("*.db"):
        with closing(sqlite3.connect(path)) as store:
            for (table,) in store.execute("select name from sqlite_master where type = 'table'").fetchall():
                columns = [row[1] for row in store.execute(f"pragma table_info({table})")]
                for column in {"person_key", "other_key"} & {*columns}:
                    keys.update(key for (key,) in store.execute(f"select distinct {column} from {table}") if key)
                for column in {"body", "affected"} & {*columns}:
                    keys.update(value for (value,) in store.execute(f"select {column} from {table}"))
    return keys


async def wrong(mesh: RunningMesh, data: Path) -> set[str]:
    """Returns the reasons, about the secret, for which `hutong doctor` is not content with a mesh."""
    endpoints = mesh.endpoints
    addresses = Addresses(endpoints.lookup, endpoints.verdict, endpoints.operations)
    members = read_directory(str(data / "directory.yaml"))
    facts = await ask_all(members, addresses)
    held = parse_mesh_secret(await asyncio.to_thread((data / SECRET_FILE).read_text))
    reasons = {finding.reason for finding in findings(members, facts, held)}
    return reasons & {"OLDER_KEYS", "SECRET_NOT_TAKEN", "OTHER_SECRET", "UNREACHABLE"}


class Load:
    """Asks for codes and writes records without a pause, and keeps whatever was not as it should be."""

    def __init__(self, gateways: Sequence[str], expected: Sequence[str], client: MeshClient) -> None:
        self._gateways = gateways
        self._expected = expected
        self._client = client
        self.shown = 0
        self.written: list[str] = []
        self.failed: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Goes on meanwhile."""
        works = [self._write(), *(self._ask(url, more) for url in self._gateways for more in ({}, {"refresh": True}))]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _ask(self, url: str, more: dict[str, Any]) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            while True:
                for body, expected in zip(BODIES, self._expected, strict=True):
                    reply = await http.post(SHOW, json={**body, **more})
                    status = reply.json().get("status") if reply.status_code == 200 else f"HTTP {reply.status_code}"
                    self.shown += 1
                    if status != expected:
                        self.failed.append(f"{expected}: {status} {reply.text if reply.status_code != 200 else ''}")
                    await asyncio.sleep(0.01)

    async def _write(self) -> None:
        store = self._client.records(HUNAN)
        while True:
            source_id = f"LOAD{len(self.written):06d}"
            row = RecordSubmission(
                region=HUNAN, source_id=source_id, subject=Subject(document=TRAVELLER), content=result()
            )
            try:
                await store.SubmitRecord(
                    SubmitRecordRequest(submission=row, purpose=Purpose.PURPOSE_RECORD_KEEPING, request_id="")
                )
                self.written.append(source_id)
            except ServiceError as error:
                self.failed.append(f"{source_id}: {error}")
            await asyncio.sleep(0.02)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns once a condition holds."""
    end = time.monotonic() + SECONDS
    while not await condition():
        assert time.monotonic() < end, "it took too long"
        await asyncio.sleep(0.2)


async def rotate(mesh: RunningMesh, data: Path, second: SecondGateway | None) -> None:
    """Goes by docs/runbook/changing-the-secret.md, but for the time that a cluster takes to bring files along: the
    second gateway has each file later than everybody else."""

    async def take() -> None:
        if second is not None:
            second.take()
            await asyncio.sleep(2 * LOOK_SECONDS)

    async def content() -> bool:
        return not await wrong(mesh, data)

    await secret(data, "add")
    await asyncio.sleep(2 * LOOK_SECONDS)
    await take()
    await secret(data, "use", "2")
    await until(content)
    await take()
    await secret(data, "drop", "1")
    await asyncio.sleep(2 * LOOK_SECONDS)
    await until(content)
    await take()


async def followed(client: MeshClient, who: Subject) -> set[str]:
    """Returns what the nation has of a person."""
    request = BatchListRecordsRequest(subjects=[who], purpose=Purpose.PURPOSE_REPLICATION)
    (person,) = (await client.records(NATION).BatchListRecords(request)).people
    return {record.source_id for record in person.records}


async def check_rotation(mesh: RunningMesh, data: Path, second: SecondGateway | None = None) -> list[str]:
    """Changes the secret of a running mesh under load; returns what the codes say."""
    old = PersonKeys(mesh_secret(data).encode())
    async with (
        httpx.AsyncClient(base_url=mesh.http, timeout=30) as http,
        MeshClient(mesh.endpoints, "tests") as client,
    ):
        expected = await statuses(http)
        assert {"RECOGNISED", "NOT_RECOGNISED"} <= {*expected}
        load = Load([mesh.http] if second is None else [mesh.http, second.http], expected, client)
        async with load.running():
            await rotate(mesh, data, second)
        assert [] == load.failed
        assert 20 < load.shown
        assert 20 < len(load.written)
        assert expected == await statuses(http)
        keys = PersonKeys((data / SECRET_FILE).read_bytes())
        new = Subject(person_key=keys.of(TRAVELLER))

        async def all_followed() -> bool:
            return {*load.written} <= await followed(client, new)

        await until(all_followed)
        old_keys = [old.of_number(person.type, person.number) for person in PEOPLE]

        async def all_moved() -> bool:
            stored = await asyncio.to_thread(stored_keys, data)
            return not [key for key in old_keys for one in stored if key in one]

        await until(all_moved)
        with pytest.raises(ServiceError, match="not known here"):
            await followed(client, Subject(person_key=old.of(TRAVELLER)))
    return expected


@pytest.mark.timeout(240)
async def test_a_secret_is_changed_under_load(tmp_path: Path) -> None:
    """With a process for each service and two gateways, each of which takes the secret at another moment: no call
    fails, no code is another, the nation follows, and once it is done no key of the old version is in any store, nor
    taken by anybody."""
    async with processes(tmp_path, samples=True) as mesh, SecondGateway(mesh).running() as second:
        await check_rotation(mesh, tmp_path, second)


@pytest.mark.timeout(240)
async def test_an_embedded_mesh_changes_its_secret_while_it_runs(tmp_path: Path) -> None:
    """In one process; what starts afterwards, under the new version alone, shows the same codes."""
    async with embedded(tmp_path, samples=True) as mesh:
        expected = await check_rotation(mesh, tmp_path)
    async with embedded(tmp_path, samples=True) as mesh, httpx.AsyncClient(base_url=mesh.http, timeout=30) as http:
        assert expected == await statuses(http)
