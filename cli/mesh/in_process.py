"""A mesh in one process: every service an object, no wire between them, each with its own gRPC port for others."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from cli.certificates.authority import utc_now
from cli.certificates.signers import keep_signers
from cli.mesh import wiring
from cli.mesh.directory import write_directory
from cli.mesh.node import Node, grpc_service
from cli.mesh.plan import GATEWAY, LOOKUP, PRINCIPALS, RECORD_STORES, REGIONS, SERVICES, VERDICT, Plan
from cli.mesh.stores import STORES, note_stores, require_stores
from gateway.ports import ChangeFeed, Evidence, HolderFeed, Holders, Policies, Regions, SupervisedStore, VerdictSource
from services.common.regions import NATION, divisions
from services.lookup.ports import CorrectionStore, RecordsIntake, RecordsSource
from services.records.ports import Region
from services.runtime.rpc.binding import Binding
from services.runtime.service import Service
from services.verdict.ports import EvidenceSource


class EmbeddedMesh:
    """The services of one mesh, in this process and its running event loop. They can be stopped and started one by one,
    by name, while the others go on."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        build: dict[str, Callable[[], Service]] = {region: self._records_builder(region) for region in REGIONS}
        build |= {NATION: self._nation, LOOKUP: self._lookup, VERDICT: self._verdict}
        launch = {name: grpc_service(service, wiring.server(plan, name)) for name, service in build.items()}
        launch[GATEWAY] = self._gateway
        self._nodes = {
            name: Node(f"records-{name}" if name in RECORD_STORES else name, launch[name]) for name in SERVICES
        }
        self.endpoints = plan.endpoints(os.getpid())
        self.http = self.endpoints.http
        self.grpc: Mapping[str, str] = {name: plan.address(name) for name in SERVICES}

    def _records_builder(self, region: str) -> Callable[[], Service]:
        return lambda: wiring.records(self.plan, region, {})

    def _nation(self) -> Service:
        feeds = {region: self._nodes[region].port(Region, caller=PRINCIPALS[NATION]) for region in REGIONS}
        return wiring.records(self.plan, NATION, feeds)

    def _lookup(self) -> Service:
        return wiring.lookup(
            self.plan,
            sources={
                store: self._nodes[store].port(RecordsSource, caller=PRINCIPALS[LOOKUP]) for store in RECORD_STORES
            },
            intakes={region: self._nodes[region].port(RecordsIntake, caller=PRINCIPALS[LOOKUP]) for region in REGIONS},
            corrections={
                store: self._nodes[store].port(CorrectionStore, caller=PRINCIPALS[LOOKUP]) for store in RECORD_STORES
            },
        )

    def _verdict(self) -> Service:
        return wiring.verdict(self.plan, self._nodes[LOOKUP].port(EvidenceSource, caller=PRINCIPALS[VERDICT]))

    def _gateway(self) -> AbstractAsyncContextManager[Sequence[Binding]]:
        return wiring.gateway(
            self.plan,
            verdict=self._nodes[VERDICT].port(VerdictSource, caller=PRINCIPALS[GATEWAY]),
            evidence=self._nodes[LOOKUP].port(Evidence, caller=PRINCIPALS[GATEWAY]),
            holders=self._nodes[LOOKUP].port(Holders, caller=PRINCIPALS[GATEWAY]),
            holder_feed=self._nodes[LOOKUP].port(HolderFeed, caller=PRINCIPALS[GATEWAY]),
            regions=self._nodes[LOOKUP].port(Regions, caller=PRINCIPALS[GATEWAY]),
            news={store: self._nodes[store].port(ChangeFeed, caller=PRINCIPALS[GATEWAY]) for store in RECORD_STORES},
            policies=self._nodes[VERDICT].port(Policies, caller=PRINCIPALS[GATEWAY]),
            stores={
                store: self._nodes[store].port(SupervisedStore, caller=PRINCIPALS[GATEWAY]) for store in RECORD_STORES
            },
        )

    async def start_all(self) -> None:
        """Starts everything, in the order of dependence. Raises OSError when a port is taken, DataDirectoryError when a
        store is gone."""
        require_stores(self.plan)
        write_directory(self.plan)
        keep_signers(self.plan.signers, divisions(), utc_now())
        for name in SERVICES:
            await self._nodes[name].start()
        note_stores(self.plan)

    async def stop_all(self) -> None:
        """Ends everything, the front door first."""
        for name in reversed(SERVICES):
            await self._nodes[name].stop()

    async def start(self, name: str) -> None:
        """Starts one service on the address it had. Raises DataDirectoryError when its store is gone."""
        require_stores(self.plan, {name}.intersection(STORES))
        await self._nodes[name].start()

    async def stop(self, name: str) -> None:
        """Lets one service drain and end."""
        await self._nodes[name].stop()
