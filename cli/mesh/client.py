"""The front doors of a running mesh, over gRPC, by its endpoints."""

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest

from cli.mesh.endpoints import Endpoints
from cli.mesh.services import HolderService, RecordsService
from services.common.documents import PERSON_KEY_BYTES
from services.common.instants import Instant, from_timestamp
from services.common.regions import NATION
from services.runtime.rpc.channel import Channels

_NOBODY = Subject(person_key=bytes(PERSON_KEY_BYTES))


class MeshClient(Channels):
    """Channels to the services of a mesh, opened when they are first needed. `caller` is the name it gives."""

    def __init__(self, endpoints: Endpoints, caller: str) -> None:
        super().__init__(caller)
        self._endpoints = endpoints

    def records(self, region: str) -> RecordsService:
        """Both sides of the store that keeps a region's records; the nation's by "nation"."""
        return self.remote(RecordsService, self._endpoints.records_for(region), service="records")

    def holders(self) -> HolderService:
        """What holders do."""
        return self.remote(HolderService, self._endpoints.lookup, service="lookup")

    async def nation_as_of(self) -> Instant | None:
        """The instant up to which the nation has everything its regions committed, None while it does not know."""
        request = BatchListRecordsRequest(subjects=[_NOBODY], purpose=Purpose.PURPOSE_REPLICATION)
        response = await self.records(NATION).BatchListRecords(request)
        return from_timestamp(response.as_of) if response.HasField("as_of") else None
