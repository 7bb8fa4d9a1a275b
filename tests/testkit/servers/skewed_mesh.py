"""A mesh in one process whose services have clocks of their own, and between any two of which the wire can be cut."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gateway.composition
import services.lookup.composition
import services.records.composition
import services.verdict.composition
from gateway.settings import GatewaySettings
from services.common.errors import Unavailable
from services.common.instants import SECOND, Instant
from services.lookup.settings import Settings as LookupSettings
from services.records.settings import Settings as RecordsSettings
from services.runtime.clock import Clock, system_clock
from services.runtime.rpc.binding import Binding, local_method
from services.runtime.service import Service
from services.verdict.settings import Settings as VerdictSettings
from tests.testkit.calls import local
from tests.testkit.directories import directory_file
from tests.testkit.secret import SECRET

HOME, ELSEWHERE, NATION = "430000", "110000", "nation"
REGIONS = (HOME, ELSEWHERE)
STORES = (HOME, ELSEWHERE, NATION)

GONE_SECONDS = 0.2


class Wire:
    """Carries one service's calls to another. Once it is cut, streams fall silent and calls fail after a while, as
    where nothing answers."""

    def __init__(self) -> None:
        self._cut = asyncio.Event()

    def cut(self) -> None:
        """Cuts it for good."""
        self._cut.set()

    async def _gone(self) -> None:
        await asyncio.sleep(GONE_SECONDS)
        raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")

    def port(self, bindings: Sequence[Binding], caller: str) -> Any:
        """Returns all methods of these bindings, over this wire."""
        methods: dict[str, Any] = {}
        for binding in bindings:
            for method in binding.contract.methods:
                call = local_method(method, binding, service=binding.contract.name, caller=caller)
                methods[method.name] = self._stream(call) if method.server_streaming else self._unary(call)
        return SimpleNamespace(**methods)

    def _unary(self, call: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        async def unary(request: Any) -> Any:
            if self._cut.is_set():
                await self._gone()
            answer = await call(request)
            if self._cut.is_set():
                await self._gone()
            return answer

        return unary

    def _stream(self, call: Callable[[Any], AsyncIterator[Any]]) -> Callable[[Any], AsyncIterator[Any]]:
        async def stream(request: Any) -> AsyncIterator[Any]:
            async with aclosing(cast(Any, call(request))) as items:
                async for item in items:
                    if self._cut.is_set():
                        await asyncio.Event().wait()
                    yield item

        return stream


class Wires(dict[tuple[str, str], Wire]):
    """The wires of a mesh, by who calls and who is called; each is there when it is first asked for."""

    def __missing__(self, ends: tuple[str, str]) -> Wire:
        wire = self[ends] = Wire()
        return wire


def clock_of(skew: float) -> Clock:
    """Returns a clock that is so many seconds ahead."""
    return lambda: Instant(system_clock() + round(skew * SECOND))


class SkewedMesh:
    """Two regions, the nation, lookup, verdict and a gateway."""

    def __init__(self, wires: Wires, home: Any, gateway: Any) -> None:
        self._wires = wires
        self.home = home
        """Everything that the home region's store serves."""
        self.gateway = gateway
        """Everything that the gateway serves."""

    def cut(self, *ends: tuple[str, str]) -> None:
        """Cuts wires, each named by who calls and who is called."""
        for one in ends:
            self._wires[one].cut()


@asynccontextmanager
async def skewed_mesh(data: Path, skews: Mapping[str, float]) -> AsyncIterator[SkewedMesh]:
    """A mesh whose services' clocks are ahead by so many seconds; of those not named, they are right."""
    wires, served = Wires(), dict[str, Sequence[Binding]]()

    def clock(name: str) -> Clock:
        return clock_of(skews.get(name, 0.0))

    def port(caller: str, called: str) -> Any:
        return wires[caller, called].port(served[called], caller)

    async with AsyncExitStack() as stack:

        async def run(name: str, service: Service) -> None:
            served[name] = service.bindings
            await stack.enter_async_context(service.running())

        for name in STORES:
            settings = RecordsSettings(
                region=name, mesh_secret=SECRET, store_url=f"sqlite:///{data / name}.db", store_migrate=True
            )
            feeds = {region: port(NATION, region) for region in REGIONS} if name == NATION else {}
            await run(name, services.records.composition.build(settings, clock=clock(name), feeds=feeds))
        lookup = services.lookup.composition.build(
            LookupSettings(
                mesh_secret=SECRET,
                store_url=f"sqlite:///{data / 'lookup'}.db",
                store_migrate=True,
                directory=directory_file(
                    data / "lookup.yaml", {store: f"127.0.0.1:{number}" for number, store in enumerate(STORES, 1)}
                ),
            ),
            sources={store: port("lookup", store) for store in STORES},
            intakes={region: port("lookup", region) for region in REGIONS},
            clock=clock("lookup"),
        )
        await run("lookup", lookup)
        verdict = services.verdict.composition.build(
            VerdictSettings(mesh_secret=SECRET), evidence=port("verdict", "lookup"), clock=clock("verdict")
        )
        await run("verdict", verdict)
        to_lookup = port("gateway", "lookup")
        code = gateway.composition.build(
            GatewaySettings(mesh_secret=SECRET, compute_seconds=1.0),
            verdict=port("gateway", "verdict"),
            evidence=to_lookup,
            holders=to_lookup,
            holder_feed=to_lookup,
            regions=to_lookup,
            news=port("gateway", NATION),
            policies=port("gateway", "verdict"),
            region_news={region: port("gateway", region) for region in REGIONS},
            clock=clock("gateway"),
        )
        await run("gateway", code.service)
        # Who may call is not what is looked at here.
        codes = [Binding(binding.contract, binding.servicer) for binding in served["gateway"]]
        yield SkewedMesh(wires, local("home", "test", served[HOME]), local("gateway", "test", codes))
