"""The mesh's secret is changed step by step while codes are shown, and the old one is then useless."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hutong.common.v1.subject_pb2 import DocumentType

from cli.main import main
from cli.mesh import embedded, processes
from cli.mesh.child import Child
from cli.mesh.data import SECRET_FILE, mesh_secret
from cli.mesh.environment import MODULES, environment
from cli.mesh.per_process import ProcessMesh
from cli.mesh.plan import GATEWAY, LOOKUP, RECORD_STORES, REGIONS, VERDICT
from cli.mesh.ports import free_ports
from cli.samples.people import PEOPLE
from services.common.documents import PersonKeys
from services.common.regions import NATION

SHOW = "/v1/healthCode:show"
BODIES: Sequence[dict[str, Any]] = [
    {
        "document": {"type": DocumentType.Name(person.type).removeprefix("DOCUMENT_TYPE_"), "number": person.number},
        "region": person.look,
    }
    for person in PEOPLE
]


async def secret(data: Path, *words: str) -> None:
    """Runs `hutong secret` on a mesh's file."""
    assert 0 == await asyncio.to_thread(main, ["secret", *words, "--file", str(data / SECRET_FILE)])


async def rekey(data: Path, store: str) -> None:
    """Brings one store of a mesh to the current version."""
    kind = "lookup" if store == LOOKUP else "records"
    await secret(data, "rekey", kind, "--store-url", f"sqlite:///{file_of(data, store)}")


def file_of(data: Path, store: str) -> Path:
    """Returns the file of a store."""
    (file,) = data.glob(f"*{store}.db")
    return file.resolve()


async def statuses(http: httpx.AsyncClient) -> list[str]:
    """Returns what each person's code says, computed past the cache."""
    answers = [await http.post(SHOW, json={**body, "refresh": True}) for body in BODIES]
    assert {200} == {answer.status_code for answer in answers}
    return [answer.json()["status"] for answer in answers]


def stored_keys(data: Path) -> bytes:
    """Returns the bytes of every store, in which keys stand as they are."""
    return b"".join(path.read_bytes() for path in data.glob("*.db*"))


def second_gateway(mesh: ProcessMesh) -> tuple[Child, str]:
    """Returns another replica of the gateway, and where it serves HTTP."""
    ports = free_ports()
    grpc, http = (f"127.0.0.1:{ports[name]}" for name in (GATEWAY, "http"))
    environ = environment(mesh.plan, GATEWAY) | {
        "HUTONG_LISTEN": grpc,
        "HUTONG_HTTP_LISTEN": http,
        "HUTONG_OPERATIONS_LISTEN": "",
        "HUTONG_AUDIT": str(mesh.plan.data.resolve() / "audit" / "gateway-2"),
    }
    return Child(
        "gateway-2", MODULES[GATEWAY], grpc, environ, mesh.plan.data / "logs" / "gateway-2.log"
    ), f"http://{http}"


class Load:
    """Asks for codes without a pause, of whichever of two gateways answers, as behind a load balancer."""

    def __init__(self, gateways: Sequence[str], expected: Sequence[str]) -> None:
        self._gateways = gateways
        self._expected = expected
        self.answered = 0
        self.wrong: list[tuple[str, str]] = []

    async def run(self) -> None:
        """Asks until cancelled."""
        async with httpx.AsyncClient(timeout=10) as http:
            while True:
                for body, expected in zip(BODIES, self._expected, strict=True):
                    status = await self._ask(http, body)
                    self.answered += 1
                    if status != expected:
                        self.wrong.append((expected, status))
                    await asyncio.sleep(0.02)

    async def _ask(self, http: httpx.AsyncClient, body: dict[str, Any]) -> str:
        for gateway in self._gateways:
            try:
                reply = await http.post(gateway + SHOW, json=body)
            except httpx.TransportError:
                continue
            return str(reply.json()["status"]) if reply.status_code == 200 else f"HTTP {reply.status_code}"
        return "nobody answered"


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_secret_is_changed_under_load(tmp_path: Path):
    """With one process for each service, whose secret has a second version: no code that is shown meanwhile is false,
    and once it is done no key of the old version is anywhere."""
    old = mesh_secret(tmp_path)
    await secret(tmp_path, "add")
    async with processes(tmp_path, samples=True) as mesh:
        replica, address = second_gateway(mesh)
        await replica.spawn()
        try:
            await replica.ready()
            async with httpx.AsyncClient(base_url=mesh.http, timeout=10) as http:
                expected = await statuses(http)
                assert {"RECOGNISED", "NOT_RECOGNISED"} <= set(expected)
                load = Load([mesh.http, address], expected)
                asking = asyncio.create_task(load.run())

                async def again(*names: str, rekeyed: bool = False) -> None:
                    await asyncio.gather(*(mesh.stop(name) for name in names))
                    for name in names:
                        if rekeyed:
                            await rekey(tmp_path, name)
                    await asyncio.gather(*(mesh.start(name) for name in names))

                async def everybody() -> None:
                    for names in (REGIONS, (NATION,), (LOOKUP,), (VERDICT,), (GATEWAY,)):
                        await again(*names)
                    await replica.stop()
                    await replica.spawn()
                    await replica.ready()

                await secret(tmp_path, "use", "2")
                for names in (REGIONS, (NATION,), (LOOKUP,)):
                    await again(*names, rekeyed=True)
                await again(VERDICT)
                await again(GATEWAY)
                await replica.stop()
                await replica.spawn()
                await replica.ready()
                await secret(tmp_path, "drop", "1")
                await everybody()
                assert expected == await statuses(http)
                asking.cancel()
                await asyncio.wait([asking])
                # What is stopped is not asked, with one process for each service as here, and that is what is said.
                assert {"UNDETERMINED", "HTTP 503"} >= {status for _, status in load.wrong}
                assert len(load.wrong) < load.answered / 2
                assert 100 < load.answered
        finally:
            await replica.stop()
    held = stored_keys(tmp_path)
    persons = [PersonKeys(old.encode()).of_number(person.type, person.number) for person in PEOPLE]
    assert not any(person in held for person in persons)


async def test_an_embedded_mesh_is_brought_to_another_secret(tmp_path: Path):
    """In one process it is stopped for it: the same codes as before, and nobody is found under the old secret."""
    data = tmp_path / "data"
    data.mkdir()
    async with embedded(data, samples=True) as mesh, httpx.AsyncClient(base_url=mesh.http, timeout=10) as http:
        expected = await statuses(http)
    shutil.copytree(data, tmp_path / "before")
    await secret(data, "add")
    await secret(data, "use", "2")
    for store in (*RECORD_STORES, LOOKUP):
        await rekey(data, store)
    await secret(data, "drop", "1")
    async with embedded(data, samples=True) as mesh, httpx.AsyncClient(base_url=mesh.http, timeout=10) as http:
        assert expected == await statuses(http)
    os.replace(tmp_path / "before" / SECRET_FILE, data / SECRET_FILE)
    with pytest.raises(Exception, match="another secret"):
        async with embedded(data):
            pass
