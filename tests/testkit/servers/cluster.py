"""A cluster with no cluster: names that a DNS server of the test's own answers for, replicas on addresses of loopback,
and rollouts as a Deployment and a StatefulSet make them."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

import grpc
from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.mesh.ports import free_port
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.server import Server
from services.runtime.service import Service

Build = Callable[[], Service]
"""Builds the service of one replica."""


class Names(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """The addresses of names. An answer may be `ttl` seconds old, as one from a cache on the way may."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self.addresses: dict[str, list[str]] = {}
        self.asked = 0
        self._answers: dict[str, tuple[float, list[str]]] = {}

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """Answers one question, in a thread of the server."""
        self.asked += 1
        reply = request.reply()
        name = str(request.q.qname).rstrip(".")
        if name not in self.addresses:
            reply.header.rcode = RCODE.NXDOMAIN
        elif request.q.qtype == QTYPE.A:
            for address in self._answer(name):
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=int(self.ttl)))
        return reply

    def _answer(self, name: str) -> list[str]:
        at, addresses = self._answers.get(name, (float("-inf"), []))
        if time.monotonic() - at >= self.ttl:
            addresses = list(self.addresses[name])
            self._answers[name] = time.monotonic(), addresses
        return addresses


START_SECONDS = 20.0
"""How long a pod may take until its readiness probe succeeds, before its rollout is taken for stuck."""


class StuckError(Exception):
    """A rollout's new pod did not get Ready: it goes no further, and what there is stays."""


class Pod(Protocol):
    """One pod, on an address of its own."""

    address: str

    async def start(self) -> None:
        """Starts it and returns when its readiness probe succeeds. Raises whatever its program ends with, and
        TimeoutError when it does not succeed."""

    async def terminate(self, wait: float) -> None:
        """Ends it as SIGTERM does; it serves on for `wait` seconds."""


P = TypeVar("P", bound=Pod)


class _Counted:
    """A servicer whose calls that are answered once are counted: `count` is called for each."""

    def __init__(self, servicer: object, binding: Binding, count: Callable[[], None]) -> None:
        for method in binding.contract.methods:
            handler = getattr(servicer, method.name)
            setattr(self, method.name, handler if method.server_streaming else _counting(handler, count))


def _counting(handler: Callable[[Any], Awaitable[Any]], count: Callable[[], None]) -> Callable[[Any], Awaitable[Any]]:
    async def call(request: Any) -> Any:
        count()
        return await handler(request)

    return call


class Replica:
    """The pod of a service that speaks gRPC alone. `calls` counts those that it was asked and that are answered
    once."""

    def __init__(self, build: Build, address: str, port: int, start_seconds: float = START_SECONDS) -> None:
        """`start_seconds` is how long it may take to get ready."""
        self.address = address
        self._start_seconds = start_seconds
        self._build = build
        self._port = port
        self._stack = AsyncExitStack()
        self._server: Server | None = None
        self.service: Service | None = None
        self.calls = 0

    async def start(self) -> None:
        """Starts it and returns when its readiness probe succeeds."""
        service = self.service = self._build()
        await self._stack.enter_async_context(service.running())
        bindings = [
            dataclasses.replace(binding, servicer=_Counted(binding.servicer, binding, self._count))
            for binding in service.bindings
        ]
        server = self._server = Server(service.name, bindings, service.pings)
        await server.start(f"{self.address}:{self._port}")
        async with grpc.aio.insecure_channel(f"{self.address}:{self._port}") as channel:
            health = health_pb2_grpc.HealthStub(channel)
            async with asyncio.timeout(self._start_seconds):
                while (await health.Check(health_pb2.HealthCheckRequest())).status != 1:
                    await asyncio.sleep(0.05)

    def _count(self) -> None:
        self.calls += 1

    async def terminate(self, wait: float) -> None:
        """Ends it as SIGTERM does; it serves on for `wait` seconds."""
        if self._server is not None:
            await self._server.drain(wait, 5.0)
        await self._stack.aclose()


class Workload(Generic[P]):
    """The replicas of one service, behind a headless name. `pod` makes the next one, on an address."""

    def __init__(self, cluster: "Cluster", name: str, pod: Callable[[str], P]) -> None:
        self._cluster = cluster
        self.name = name
        self.pod = pod
        self.replicas: list[P] = []
        cluster.names.addresses[name] = []

    @property
    def target(self) -> str:
        """Returns the address that callers find it at."""
        return f"dns://127.0.0.1:{self._cluster.dns_port}/{self.name}:{self._cluster.port}"

    async def scale(self, replicas: int) -> None:
        """Adds replicas, or ends the youngest, until there are so many."""
        while len(self.replicas) < replicas:
            await self._add()
        await asyncio.gather(*(self._end(replica) for replica in self.replicas[replicas:]))

    async def roll_as_deployment(self) -> None:
        """Surge one: a new replica is Ready for a while before an old one is told to end. Raises StuckError."""
        ending = []
        for old in list(self.replicas):
            await self._add()
            await asyncio.sleep(self._cluster.ready_seconds)
            # Another rollout that began meanwhile may have ended it.
            if old in self.replicas:
                ending.append(asyncio.create_task(self._end(old)))
        await asyncio.gather(*ending)

    async def roll_as_stateful_set(self) -> None:
        """One replica ends before another takes its place, and is Ready for a while before the next ends. Raises
        StuckError."""
        for old in list(self.replicas):
            await self._end(old)
            await self._add()
            await asyncio.sleep(self._cluster.ready_seconds)

    async def _add(self) -> None:
        replica = self.pod(next(self._cluster.free))
        try:
            await replica.start()
        except Exception as error:
            await replica.terminate(0.0)
            raise StuckError(f"{self.name}: {error!r}") from error
        self.replicas.append(replica)
        self._publish()

    def _end(self, replica: P) -> Coroutine[Any, Any, None]:
        # Taken away at once, before others have their turn: no other rollout may end it, too. The address leaves
        # the name as SIGTERM is sent; who asked a moment before still has it.
        self.replicas.remove(replica)
        self._publish()
        return replica.terminate(self._cluster.drain_seconds)

    def _publish(self) -> None:
        self._cluster.names.addresses[self.name] = [replica.address for replica in self.replicas]


class Cluster:
    """Workloads by name. `drain_seconds` is HUTONG_DRAIN_WAIT, `ready_seconds` minReadySeconds; both are longer than
    what a name's answer may be old."""

    def __init__(self, *, ttl: float, drain_seconds: float, ready_seconds: float) -> None:
        self.names = Names(ttl)
        self.drain_seconds = drain_seconds
        self.ready_seconds = ready_seconds
        self.port = free_port()
        self._dns = DNSServer(self.names, port=0, address="127.0.0.1", logger=DNSLogger("-request,-reply"))
        self.dns_port: int = self._dns.server.server_address[1]
        # 127.0.0.1 is the test's own.
        self.free = (f"127.0.{n // 250}.{n % 250 + 2}" for n in count())
        self.workloads: list[Workload[Any]] = []

    def workload(self, name: str, build: Build) -> Workload[Replica]:
        """A workload without replicas yet, of a service that speaks gRPC."""
        return self.workload_of(name, lambda address: Replica(build, address, self.port))

    def workload_of(self, name: str, pod: Callable[[str], P]) -> Workload[P]:
        """A workload without replicas yet, of whatever pods."""
        workload = Workload(self, name, pod)
        self.workloads.append(workload)
        return workload

    def start(self) -> None:
        """Answers for names, in a thread."""
        self._dns.start_thread()

    async def stop(self) -> None:
        """Ends everything at once."""
        self.drain_seconds = 0.0
        for workload in self.workloads:
            await workload.scale(0)
        self._dns.stop()
        self._dns.server.server_close()


@asynccontextmanager
async def cluster(*, ttl: float, drain_seconds: float, ready_seconds: float) -> AsyncIterator[Cluster]:
    """A cluster meanwhile."""
    made = Cluster(ttl=ttl, drain_seconds=drain_seconds, ready_seconds=ready_seconds)
    made.start()
    try:
        yield made
    finally:
        await made.stop()


PAUSE_SECONDS = 0.01
"""After each call of a caller: callers, services and the names' server share one process and its one thread, and who
takes all of it measures nothing but that."""


class Load:
    """Callers that hardly pause. `failures` are what went wrong, `done` counts what did not."""

    def __init__(self, ask: Callable[[], Awaitable[None]], callers: int) -> None:
        self._ask = ask
        self._callers = callers
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.done = 0
        self.failures: list[str] = []
        self.last_success = 0.0

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._call()) for _ in range(self._callers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def calls(self, number: int) -> None:
        """Returns when so many more were answered, two minutes at most."""
        until = self.done + number
        async with asyncio.timeout(120):
            while self.done < until:
                await asyncio.sleep(0.02)

    async def _call(self) -> None:
        while not self._stop.is_set():
            try:
                await self._ask()
                self.done += 1
                self.last_success = time.monotonic()
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001  # whatever went wrong, a code was not shown
                self.failures.append(f"{time.monotonic():.1f} {error}")
                await asyncio.sleep(0.05)
