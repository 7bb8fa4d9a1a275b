"""The audit trail of a running mesh: who looked at whom, before anything is answered."""

import asyncio
import errno
import os
from pathlib import Path

import grpc
import httpx
import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1.record_read_service_pb2 import ListRecordsRequest
from hutong.records.v1.record_read_service_pb2_grpc import RecordReadServiceStub

from cli.mesh import embedded, processes
from cli.samples.people import PEOPLE
from services.common.documents import PersonKeys
from services.runtime.audit.note import read_checkpoint
from services.runtime.audit.opening import keeper_of
from services.runtime.audit.trail import search, verify

pytestmark = pytest.mark.mesh

PERSON = next(person for person in PEOPLE if person.document.type == DocumentType.DOCUMENT_TYPE_RESIDENT_ID)
DOCUMENT = {"type": "RESIDENT_ID", "number": PERSON.document.number}
HUNAN = "430000"


async def show(url: str, number: str = PERSON.document.number, **options: object) -> httpx.Response:
    """Asks for a code."""
    body = {"document": {"type": "RESIDENT_ID", "number": number}, "region": "110000", **options}
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        return await client.post("/v1/healthCode:show", json=body)


async def test_who_looked_at_whom_is_written_down(tmp_path: Path) -> None:
    """Computed, cached and refused codes over HTTP, and a region's question over gRPC; of the number, nothing."""
    async with embedded(tmp_path, samples=True) as mesh:
        assert [200, 200] == [(await show(mesh.http)).status_code for _ in range(2)]
        wrong = PERSON.document.number[:-1] + ("0" if PERSON.document.number[-1] != "0" else "1")
        assert 400 == (await show(mesh.http, wrong)).status_code
        async with grpc.aio.insecure_channel(mesh.grpc[HUNAN]) as channel:
            request = ListRecordsRequest(
                subject=Subject(document=Document(type=PERSON.document.type, number=PERSON.document.number)),
                purpose=Purpose.PURPOSE_SUPERVISION,
            )
            await RecordReadServiceStub(channel).ListRecords(request, metadata=[("hutong-caller", "inspector")])
        secret = mesh.plan.secret
    key = PersonKeys(secret.encode()).of(PERSON.document).hex()
    gateway, store = tmp_path / "audit" / "gateway", tmp_path / "audit" / HUNAN
    seen = [entry for _, entry in search(gateway, keeper_of(gateway).name)]
    assert [("OK", (key,)), ("OK", (key,)), ("INVALID_ARGUMENT", ())] == [(one.outcome, one.persons) for one in seen]
    caller = "spiffe://hutong/development/http"
    assert {(caller, "SHOW_CODE", 32)} == {(one.caller, one.purpose, len(one.answer)) for one in seen[:2]}
    asked = [entry for _, entry in search(store, keeper_of(store).name, person=key)][-1]
    assert ("inspector", "SUPERVISION", "OK") == (asked.caller, asked.purpose, asked.outcome)
    for folder in (gateway, store):
        assert verify(folder, keeper_of(folder)).lines == len(list(search(folder, keeper_of(folder).name)))
    content = b"".join(path.read_bytes() for path in (tmp_path / "audit").rglob("*") if path.is_file())
    assert PERSON.document.number.encode() not in content
    assert wrong.encode() not in content


async def test_what_cannot_be_written_down_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under the trail: 503 with its reason for a cached code too; when there is room, the code again."""
    async with embedded(tmp_path, samples=True) as mesh:
        assert 200 == (await show(mesh.http)).status_code

        def full(file: int, content: bytes) -> int:
            raise OSError(errno.ENOSPC, "no space left")

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            reply = await show(mesh.http)
        assert (503, "AUDIT_UNWRITABLE") == (reply.status_code, reply.json()["reason"])
        assert 200 == (await show(mesh.http)).status_code


@pytest.mark.slow
async def test_the_nation_co_signs_what_the_others_keep(tmp_path: Path) -> None:
    """Over mutual TLS, under the names that certificates prove: the checkpoint of a region's store has both
    signatures."""
    trail, witness = tmp_path / "audit" / HUNAN, tmp_path / "witness"
    async with processes(tmp_path, samples=True, tls=True):
        note = trail / "cosigned" / "nation-records"
        async with asyncio.timeout(60):
            while not note.exists():  # another process writes it
                await asyncio.sleep(0.2)
        checkpoint = read_checkpoint(note.read_text(), keeper_of(trail), {"nation": keeper_of(witness)})
        assert 0 < checkpoint.size
    assert verify(trail, keeper_of(trail), {"the nation": note.read_text()}).lines >= checkpoint.size
