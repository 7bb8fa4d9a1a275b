"""The front doors of a running mesh, over gRPC, by its endpoints."""

from types import TracebackType
from typing import Self

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest

from cli.mesh.endpoints import Endpoints
from cli.mesh.plan import system_of
from cli.mesh.services import HolderService, RecordsService
from cli.mesh.target import files_of
from services.common.documents import PERSON_KEY_BYTES
from services.common.instants import Instant, from_timestamp
from services.common.regions import NATION
from services.runtime.rpc.channel import Channels
from services.runtime.tls.identity import Principal, principal, store_of

_NOBODY = Subject(person_key=bytes(PERSON_KEY_BYTES))
_GATEWAY = principal("mesh/gateway")


class MeshClient:
    """Calls the services of a mesh on this machine, each as the one who may: a region's store as that region's system,
    holders' services as the gateway. `caller` is the name it gives where there are no certificates."""

    def __init__(self, endpoints: Endpoints, caller: str) -> None:
        self._caller = caller
        self._endpoints = endpoints
        self._channels: dict[Principal, Channels] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for channels in self._channels.values():
            await channels.close()

    def _as(self, name: Principal) -> Channels:
        channels = self._channels.get(name)
        if channels is None:
            channels = self._channels[name] = Channels(self._caller, files_of(self._endpoints, name))
        return channels

    def records(self, region: str) -> RecordsService:
        """Returns both sides of the store that keeps a region's records; the nation's by "nation"."""
        name = store_of(NATION) if region == NATION else system_of(region)
        return self._as(name).remote(
            RecordsService,
            self._endpoints.records_for(region),
            service="records",
            peer=self._endpoints.store_for(region),
        )

    def holders(self) -> HolderService:
        """Returns what holders do."""
        return self._as(_GATEWAY).remote(
            HolderService, self._endpoints.lookup, service="lookup", peer=principal("mesh/lookup")
        )

    async def nation_as_of(self) -> Instant | None:
        """Returns the instant up to which the nation has everything its regions committed, None while it does not
        know."""
        request = BatchListRecordsRequest(subjects=[_NOBODY], purpose=Purpose.PURPOSE_REPLICATION)
        response = await self.records(NATION).BatchListRecords(request)
        return from_timestamp(response.as_of) if response.HasField("as_of") else None
