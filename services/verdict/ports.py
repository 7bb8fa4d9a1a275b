"""The protocols by which the verdict service reaches others."""

from typing import Protocol

from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, BatchGetEvidenceResponse
from hutong.lookup.v1.region_directory_service_pb2 import ListRegionsRequest, ListRegionsResponse


class EvidenceSource(Protocol):
    """Knows what is known about people's tests: the lookup service, over a wire or in this process."""

    async def BatchGetEvidence(self, request: BatchGetEvidenceRequest) -> BatchGetEvidenceResponse:
        """Returns evidence for 1 to 1,000 questions, in order. Raises ServiceError when it cannot be asked: an outage
        is never "no test"."""


class RegionDirectory(Protocol):
    """Says who is on the mesh, and whose list that is: the lookup service over a wire."""

    async def ListRegions(self, request: ListRegionsRequest, /) -> ListRegionsResponse:
        """See hutong.lookup.v1.RegionDirectoryService. Raises ServiceError."""
