"""Two gateways, each a process of its own, tell devices from one store of subscriptions: each message is sent once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from hutong.lookup.v1 import evidence_service_pb2, holder_service_pb2, region_directory_service_pb2
from hutong.records.v1 import change_feed_service_pb2
from hutong.verdict.v1 import policy_service_pb2, verdict_service_pb2

from cli.mesh.ports import free_port
from gateway.push.delivery import SEND_SECONDS
from gateway.push.keys import kept_push_key
from gateway.push.messages import NoticeKind
from gateway.push.store.schemas import SCHEMAS
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.server import Server
from services.runtime.storage.migration_command import migrate
from tests.testkit.builders.tokens import development
from tests.testkit.directories import directory_file
from tests.testkit.fakes.mesh import DOCUMENT, Mesh, record
from tests.testkit.fakes.push_service import PushService, push_service
from tests.testkit.secret import SECRET
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.tools import ROOT
from tests.testkit.waiting import until

# Both tests have the same two processes.
pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]
SECONDS = 60.0
"""How long anything is waited for."""
DEVICES = [f"device-{number}" for number in range(6)]
CONTRACTS = {
    change_feed_service_pb2: ("ChangeFeedService",),
    verdict_service_pb2: ("VerdictService",),
    policy_service_pb2: ("PolicyService",),
    evidence_service_pb2: ("EvidenceService",),
    holder_service_pb2: ("HolderService",),
    region_directory_service_pb2: ("RegionDirectoryService",),
}


class Served:
    """The mesh behind a port; what it has not got, no gateway asks here."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def __getattr__(self, name: str) -> Any:
        """Returns a method of the mesh."""
        return getattr(self._mesh, name, None)


class GatewayProcess:
    """A gateway of the two, with an address, a trail and a development issuer of its own."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        """Starts it."""
        folder.mkdir()
        port = free_port()
        development_folder = folder / "development"
        own = {
            "LISTEN": f"127.0.0.1:{free_port()}",
            "HTTP_LISTEN": f"127.0.0.1:{port}",
            "AUDIT": str(folder / "audit"),
            "DEVELOPMENT": str(development_folder),
        }
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=development(development_folder), timeout=SECONDS
        )
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")]),
                    **{f"HUTONG_{name}": value for name, value in (variables | own).items()},
                },
                cwd=ROOT,
                stderr=log,
            )
        self._log = folder / "log"

    async def serves(self) -> bool:
        """Tells if it answers over HTTP."""
        assert self._process.poll() is None, self._log.read_text(encoding="utf-8")
        try:
            return (await self.http.get("/v1/pushKey")).status_code == 200
        except httpx.TransportError:
            return False

    async def put(self, service: PushService, device: str) -> bool:
        """Subscribes a device; tells if it is a new one."""
        subscription = service.device.subscription(service.endpoint_of(device))
        body = {"document": DOCUMENT, "subscription": subscription, "region": "110000"}
        reply = await self.http.post("/v1/pushSubscriptions:put", json=body)
        return bool(reply.raise_for_status().json()["created"])

    async def delete(self, service: PushService, device: str) -> bool:
        """Unsubscribes a device; tells if it was subscribed."""
        body = {"document": DOCUMENT, "endpoint": service.endpoint_of(device)}
        reply = await self.http.post("/v1/pushSubscriptions:delete", json=body)
        return bool(reply.raise_for_status().json()["deleted"])

    def has(self, port: int, remote_port: int) -> bool:
        """Tells if the connection between two ports of this machine is the process's."""
        ends = [f"0100007F:{one:04X}" for one in (port, remote_port)]
        rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
        sockets = {f"socket:[{row[9]}]" for row in rows if row[1:3] == ends}
        return bool(sockets & {_target(path) for path in Path(f"/proc/{self._process.pid}/fd").iterdir()})

    def kill(self) -> None:
        """Ends it at once, with nothing finished."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    async def stop(self) -> None:
        """Ends it, if it runs."""
        await self.http.aclose()
        self.kill()


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


class Site:
    """Two gateways over one store, the mesh behind them, and the push service."""

    def __init__(
        self, mesh: Mesh, service: PushService, gateways: list[GatewayProcess], store: asyncpg.Connection
    ) -> None:
        self.mesh = mesh
        self.service = service
        self.gateways = gateways
        self._store = store

    async def notices(self, kind: NoticeKind | None = None, device: str = "") -> int:
        """Returns how many notices wait, claimed ones too."""
        count: int = await self._store.fetchval(
            "select count(*) from push_notice join push_subscription using (subscription_id) "
            "where ($1::integer is null or kind = $1) and endpoint like '%' || $2",
            kind and int(kind),
            device,
        )
        return count

    async def subscriptions(self) -> int:
        """Returns how many devices are kept."""
        count: int = await self._store.fetchval("select count(*) from push_subscription")
        return count

    async def forget(self) -> None:
        """Forgets every device."""
        await self._store.execute("truncate push_subscription cascade")

    async def settled(self) -> None:
        """Waits until nothing is to be told or looked at."""
        await until(self._settled, SECONDS)

    async def _settled(self) -> bool:
        return await self.notices() == 0

    async def end_claims(self) -> int:
        """Lets the minute pass for which a notice is claimed; returns how many were."""
        now = "(extract(epoch from now()) * 1000000)::bigint"
        done = await self._store.execute(f"update push_notice set claimed_until = 0 where claimed_until > {now}")
        return int(done.split()[-1])


@asynccontextmanager
async def _served(mesh: Mesh) -> AsyncIterator[str]:
    served = Served(mesh)
    contracts = [module.DESCRIPTOR.services_by_name[name] for module, names in CONTRACTS.items() for name in names]
    server = Server("mesh", [Binding(contract, served) for contract in contracts])
    try:
        yield f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    finally:
        await server.drain(0, 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> AsyncIterator[Site]:
    """Two gateways that follow the feed, with nothing in it."""
    tmp_path = tmp_path_factory.mktemp("gateways")
    url = await postgres_server.create_database()
    await migrate(SCHEMAS, url)
    (tmp_path / "store-url").write_text(url, encoding="utf-8")
    mesh = Mesh()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(postgres_server.drop_database, url)
        address = await stack.enter_async_context(_served(mesh))
        service = await stack.enter_async_context(push_service(tmp_path))
        store = await asyncpg.connect(url)
        stack.push_async_callback(store.close)
        variables = {
            "MESH_SECRET": SECRET,
            "DIRECTORY": directory_file(tmp_path / "directory.yaml", {"nation": address}),
            "VERDICT": address,
            "LOOKUP": address,
            "PUSH_KEY": str(kept_push_key(tmp_path / "key")),
            "PUSH_CONTACT": "mailto:push@example.cn",
            "PUSH_STORE_FILE": str(tmp_path / "store-url"),
            "PUSH_SERVICES": service.host,
            "PUSH_NETWORKS": "127.0.0.0/8",
            "PUSH_TRUST": str(tmp_path / "ca.pem"),
        }
        gateways = []
        for name in ("one", "two"):
            gateways.append(GatewayProcess(tmp_path / name, variables))
            stack.push_async_callback(gateways[-1].stop)
        for gateway in gateways:
            await until(gateway.serves, SECONDS)

        async def follows() -> bool:
            return bool(await store.fetchval("select count(*) from push_cursor"))

        # What came before they follow is no news.
        await until(follows, SECONDS)
        yield Site(mesh, service, gateways, store)


async def looks_meanwhile(site: Site, device: str) -> bool:
    """Subscribes a device while the push service does not answer, and waits until its code was looked at: that does the
    gateway which is not waiting, and which looks for all that is due. Tells if that was well before the other gives its
    messages up, to send them again."""
    began = asyncio.get_running_loop().time()

    def seconds() -> float:
        return asyncio.get_running_loop().time() - began

    async def looked() -> bool:
        return seconds() > SEND_SECONDS or await site.notices(NoticeKind.ENDING, device) == 0

    await site.gateways[0].put(site.service, device)
    await until(looked, SECONDS)
    quick = seconds() < SEND_SECONDS / 2
    site.service.answering.set()
    assert await site.gateways[0].delete(site.service, device)
    return quick


async def test_a_result_is_told_once_to_each_device_whichever_gateway_knows_it(site: Site) -> None:
    """Half of the devices subscribed at either. While one gateway waits for the push service, the other looks for what
    is due, and sends none of it again; a device that is gone is so for both."""
    for number, device in enumerate(DEVICES):
        assert await site.gateways[number % 2].put(site.service, device)
        assert not await site.gateways[1 - number % 2].put(site.service, device), "known to both"
    await site.settled()
    for attempt in range(10):
        told = len(site.service.received)
        site.service.answering.clear()
        await site.mesh.tell(record(source_id=f"S{attempt}"))
        await site.service.until(told + len(DEVICES))
        if await looks_meanwhile(site, f"another-{attempt}"):
            break
        # A message that waited for too long is sent again, as it should be: not what is looked at here.
        await site.forget()
        for device in DEVICES:
            await site.gateways[1].put(site.service, device)
        await site.settled()
    else:
        pytest.fail("the machine was never quick enough to see this")
    await site.settled()
    assert Counter(DEVICES) == Counter(one.device for one in site.service.received[told:])

    told = len(site.service.received)
    site.service.answers.append((410, {}))
    await site.mesh.tell(record(source_id="the next"))
    await site.service.until(told + len(DEVICES) - 1, refused=1)
    await site.settled()
    (gone,) = set(DEVICES) - {one.device for one in site.service.received[told:]}
    assert await site.subscriptions() == len(DEVICES) - 1
    assert [False, False] == [await gateway.delete(site.service, gone) for gateway in site.gateways]
    told = len(site.service.received)
    await site.mesh.tell(record(source_id="the last"))
    await site.service.until(told + len(DEVICES) - 1)
    await site.settled()
    assert Counter(set(DEVICES) - {gone}) == Counter(one.device for one in site.service.received[told:])


async def test_what_a_gateway_had_in_hand_when_it_died_is_sent_by_the_other(site: Site) -> None:
    """A gateway is killed after the push service has its message and before it knows: when its claim has run out the
    other sends the message, under the same topic, so that a device shows one; then it goes on by itself."""
    await site.forget()
    told = len(site.service.received)
    await site.gateways[0].put(site.service, "one")
    await site.settled()
    site.service.answering.clear()
    await site.mesh.tell(record(source_id="in hand"))
    await site.service.until(told + 1)
    first = site.service.received[told]
    senders = [one.has(first.port, site.service.port) for one in site.gateways]
    assert [False, True] == sorted(senders)
    dead, alive = site.gateways[senders.index(True)], site.gateways[senders.index(False)]
    dead.kill()
    assert 1 == await site.notices(NoticeKind.RESULT), "nobody has forgotten it"
    site.service.answering.set()
    assert await site.end_claims() >= 1
    await site.service.until(told + 2)
    second = site.service.received[told + 1]
    assert alive.has(second.port, site.service.port)
    assert (first.said, first.headers["topic"]) == (second.said, second.headers["topic"])
    await site.settled()
    await site.mesh.tell(record(source_id="afterwards"))
    await site.service.until(told + 3)
    await site.settled()
    assert not await alive.put(site.service, "one")
    assert told + 3 == len(site.service.received)
