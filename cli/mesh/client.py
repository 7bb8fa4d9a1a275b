"""The front doors of a running mesh, over gRPC, by its endpoints."""

from types import TracebackType
from typing import Any, Self

import grpc
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.lookup.v1 import holder_service_pb2
from hutong.records.v1 import intake_service_pb2, record_read_service_pb2, record_write_service_pb2
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest

from cli.mesh.endpoints import Endpoints
from services.common.documents import PERSON_KEY_BYTES
from services.common.instants import Instant, from_timestamp
from services.common.regions import NATION
from services.runtime.rpc.channel import open_channel, remote

_RECORDS = [
    intake_service_pb2.DESCRIPTOR.services_by_name["RecordIntakeService"],
    record_read_service_pb2.DESCRIPTOR.services_by_name["RecordReadService"],
    record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"],
]
_HOLDERS = [holder_service_pb2.DESCRIPTOR.services_by_name["HolderService"]]
_NOBODY = Subject(person_key=bytes(PERSON_KEY_BYTES))


class MeshClient:
    """Channels to the services of a mesh, opened when they are first needed. `caller` is the name it gives."""

    def __init__(self, endpoints: Endpoints, caller: str) -> None:
        self._endpoints = endpoints
        self._caller = caller
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            await channel.close()

    def _channel(self, address: str) -> grpc.aio.Channel:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = open_channel(address)
        return channel

    def records(self, region: str) -> Any:
        """Both sides of the store that keeps a region's records; the nation's by "nation"."""
        return remote("records", self._caller, self._channel(self._endpoints.records_for(region)), _RECORDS)

    def holders(self) -> Any:
        """What holders do."""
        return remote("lookup", self._caller, self._channel(self._endpoints.lookup), _HOLDERS)

    async def nation_as_of(self) -> Instant | None:
        """The instant up to which the nation has everything its regions committed, None while it does not know."""
        request = BatchListRecordsRequest(subjects=[_NOBODY], purpose=Purpose.PURPOSE_REPLICATION)
        response = await self.records(NATION).BatchListRecords(request)
        return from_timestamp(response.as_of) if response.HasField("as_of") else None
