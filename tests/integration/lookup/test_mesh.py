"""Lookup as it is deployed: record stores behind gRPC, and a process of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from hutong.lookup.v1.evidence_service_pb2 import Evidence, GetEvidenceRequest, SourceStatus
from hutong.lookup.v1.holder_service_pb2 import ClaimResultRequest, LinkDocumentsRequest, ListLinkedDocumentsRequest
from hutong.records.v1 import record_read_service_pb2, record_write_service_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from cli.mesh.child import healthy
from services.lookup.composition import DIRECTORY, EVIDENCE, HOLDERS, NAME, build
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.connection import Connection
from services.runtime.rpc.server import Server
from services.runtime.telemetry.trace import span, tracing
from tests.testkit.calls import local, remote
from tests.testkit.directories import directory_file
from tests.testkit.fakes.record_store import RecordStore
from tests.testkit.secret import SECRET
from tests.testkit.servers.lookup_service import DECISION, PURPOSE, key, mesh, person, query, settings
from tests.testkit.servers.otlp import Collector
from tests.testkit.tools import ROOT

READ = record_read_service_pb2.DESCRIPTOR.services_by_name["RecordReadService"]
WRITE = record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"]
OK, UNREACHABLE = SourceStatus.SOURCE_STATUS_OK, SourceStatus.SOURCE_STATUS_UNREACHABLE
BEIJING, HUNAN = "110000", "430000"


async def serve(store: RecordStore, port: int = 0) -> tuple[Server, int]:
    """A records service over gRPC."""
    server = Server(f"records {store.region}", [Binding(READ, store), Binding(WRITE, store)])
    return server, await server.start(f"127.0.0.1:{port}")


async def ask(client: Any) -> Evidence:
    """Returns the evidence about person 1 for Beijing."""
    response = await client.GetEvidence(GetEvidenceRequest(query=query(1), purpose=PURPOSE))
    evidence: Evidence = response.evidence
    return evidence


def coverage(evidence: Evidence) -> dict[str, SourceStatus.ValueType]:
    """Returns the status of each source, by name."""
    return {cover.source: cover.status for cover in evidence.coverage}


async def test_a_records_server_goes_and_comes_back(tmp_path: Path) -> None:
    """Found through the nation, then through the region itself, then through the nation again; a claim crosses too."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "S1")
    async with AsyncExitStack() as stack:
        servers = {name: await serve(store) for name, store in stores.items()}
        for server, _ in servers.values():
            stack.push_async_callback(server.drain, 0, 0)
        records = {name: f"127.0.0.1:{port}" for name, (_, port) in servers.items()}
        service = build(settings(tmp_path, directory=directory_file(tmp_path / "directory.yaml", records)))
        await stack.enter_async_context(service.running())
        client = local(NAME, "test", service.bindings)

        claimed = await client.ClaimResult(ClaimResultRequest(subject=person(1), region=BEIJING, purpose=DECISION))
        assert claimed.created
        assert coverage(await ask(client)) == {BEIJING: OK, "nation": OK}

        nation, port = servers["nation"]
        await nation.drain(0, 0)
        evidence = await ask(client)
        assert coverage(evidence) == {BEIJING: OK, "nation": UNREACHABLE, HUNAN: OK}
        assert [record.source_id for record in evidence.records] == ["claim-430000-S1", "S1"]

        again, _ = await serve(stores["nation"], port)
        stack.push_async_callback(again.drain, 0, 0)
        async with asyncio.timeout(10):
            while coverage(await ask(client)) != {BEIJING: OK, "nation": OK}:
                await asyncio.sleep(0.05)


async def test_each_source_asked_is_a_span(tmp_path: Path, traced: Collector) -> None:
    """Below lookup's own span, with who was asked, about how many and what became of it, and no personal data."""
    stores = mesh(BEIJING, HUNAN)
    stores["nation"].error = RuntimeError("down")
    service = build(settings(tmp_path), sources=stores, intakes={})
    client = local(NAME, "test", service.bindings)
    async with service.running():
        with span("test", "root") as root:
            await ask(client)
    tracing.flush()

    def source(name: str, status: str, **others: str) -> dict[str, Any]:
        below = {"service": NAME, "name": f"records {name}"} | others
        return below | {"attributes": {"source": name, "status": status, "people": 1}}

    evidence = {
        "service": NAME,
        "name": "hutong.lookup.v1.EvidenceService/GetEvidence",
        "attributes": {"region": BEIJING, "scope": "NATIONAL"},
        "children": [
            source(BEIJING, "OK"),
            source(HUNAN, "OK"),
            source("nation", "UNREACHABLE", error="RuntimeError"),
        ],
    }
    expected = {"service": "test", "name": "root", "children": [evidence]}
    names = {name for one in traced.spans for name in one.attributes}
    assert [expected] == traced.trees(root.trace.hex_id, names)
    kinds = {one.span.name: one.span.kind for one in traced.spans}
    assert kinds["records nation"] == Span.SPAN_KIND_CLIENT


async def test_a_record_store_of_this_process_is_below_its_span(tmp_path: Path, traced: Collector) -> None:
    """One trace from the question to the store that was asked."""
    nation = RecordStore("nation")
    bound = local("records nation", NAME, [Binding(READ, nation)])
    service = build(settings(tmp_path), sources={"nation": bound}, intakes={})
    client = local(NAME, "test", service.bindings)
    async with service.running():
        with span("test", "root") as root:
            await ask(client)
    tracing.flush()
    names = [one.span.name for one in traced.trace(root.trace.hex_id)]
    assert names == [
        "root",
        "hutong.lookup.v1.EvidenceService/GetEvidence",
        "records nation",
        "hutong.records.v1.RecordReadService/BatchListRecords",
    ]
    by_name = {one.span.name: one.span for one in traced.trace(root.trace.hex_id)}
    assert all(by_name[below].parent_span_id == by_name[above].span_id for above, below in pairwise(names))


def environment() -> dict[str, str]:
    """The environment of a process that has no settings yet."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUTONG_")}
    return inherited | {"PYTHONPATH": str(ROOT / "protos")}


@asynccontextmanager
async def process(tmp_path: Path, directory: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any]]:
    """`python -m services.lookup`, and a client of it."""
    environ = environment() | {
        "HUTONG_MESH_SECRET": SECRET,
        "HUTONG_STORE_URL": f"sqlite:///{tmp_path / 'process.db'}",
        "HUTONG_STORE_MIGRATE": "true",
        "HUTONG_DIRECTORY": directory,
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.lookup", cwd=ROOT, env=environ, stderr=asyncio.subprocess.PIPE
    )
    assert running.stderr is not None
    try:
        async with asyncio.timeout(30):
            async for line in running.stderr:
                said = json.loads(line)
                if said["message"] == "serving":
                    break
        address = f"127.0.0.1:{said['port']}"
        async with asyncio.timeout(30):
            while not await healthy(address):
                await asyncio.sleep(0.05)
        channel = Connection(address)
        try:
            yield running, remote(NAME, "test", channel, [EVIDENCE, HOLDERS, DIRECTORY])
        finally:
            await channel.close()
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def test_a_process_of_its_own_forgets_nothing_it_acknowledged(tmp_path: Path) -> None:
    """Killed right after an answer, it still knows; asked to end, it ends cleanly."""
    stores = mesh(HUNAN)
    stores[HUNAN].put(key(1), "S1")
    async with AsyncExitStack() as stack:
        ports = {}
        for name, store in stores.items():
            server, ports[name] = await serve(store)
            stack.push_async_callback(server.drain, 0, 0)
        addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        directory = directory_file(tmp_path / "directory.yaml", addresses)
        async with process(tmp_path, directory) as (running, client):
            assert coverage(await ask(client)) == {"nation": OK}
            await client.LinkDocuments(
                LinkDocumentsRequest(subject=person(1), other=person(2), cause="renewed", purpose=DECISION)
            )
            running.kill()
        async with process(tmp_path, directory) as (running, client):
            listing = ListLinkedDocumentsRequest(subject=person(2), purpose=PURPOSE)
            assert list((await client.ListLinkedDocuments(listing)).person_keys) == [key(2), key(1)]
            running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await running.wait() == 0


async def test_a_process_with_a_wrong_setting_says_which() -> None:
    """And does not start."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.lookup", cwd=ROOT, env=environment(), stderr=asyncio.subprocess.PIPE
    )
    _, said = await running.communicate()
    assert running.returncode == 2
    assert b"HUTONG_STORE_URL is missing" in said
