"""A region's store that is written to only when it is the one that is meant: it is told whom the writer means, keeps
nothing when it is another, and its answer is looked at."""

from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    AmendRecordResponse,
    SubmitRecordRequest,
    SubmitRecordResponse,
)

from services.lookup.evidence.identities import SourceIdentities
from services.lookup.ports import RecordsIntake


class ProvenIntake:
    """The intake of a region. Each method raises ServiceError: Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED)
    for a store that is not the one meant."""

    def __init__(self, intake: RecordsIntake, region: str, identities: SourceIdentities) -> None:
        self._intake = intake
        self._region = region
        self._identities = identities

    async def SubmitRecord(self, request: SubmitRecordRequest) -> SubmitRecordResponse:
        """See the contract."""
        expected = self._identities.expected(self._region)
        asked = SubmitRecordRequest(store=expected.message())
        asked.MergeFrom(request)
        response = await self._intake.SubmitRecord(asked)
        expected.check(response.identity)
        return response

    async def AmendRecord(self, request: AmendRecordRequest) -> AmendRecordResponse:
        """See the contract."""
        expected = self._identities.expected(self._region)
        asked = AmendRecordRequest(store=expected.message())
        asked.MergeFrom(request)
        response = await self._intake.AmendRecord(asked)
        expected.check(response.identity)
        return response
