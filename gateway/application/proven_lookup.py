"""Lookup as the gateway asks it directly: it must be this mesh's, and is told so before it writes."""

from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, BatchGetEvidenceResponse
from hutong.lookup.v1.holder_service_pb2 import (
    ClaimResultRequest,
    ClaimResultResponse,
    ListHolderCorrectionRequestsRequest,
    ListHolderCorrectionRequestsResponse,
    PresentCertificateRequest,
    PresentCertificateResponse,
    RequestCorrectionRequest,
    RequestCorrectionResponse,
    SwitchScopeRequest,
    SwitchScopeResponse,
)

from gateway.mesh_identity import LOOKUP, MeshIdentity
from gateway.ports import Evidence, Holders


class ProvenLookup:
    """Implements Evidence and Holders. Each method raises ServiceError: Unavailable (WRONG_STORE, OTHER_SECRET) for
    another mesh's lookup."""

    def __init__(self, evidence: Evidence, holders: Holders, mesh: MeshIdentity) -> None:
        self._evidence = evidence
        self._holders = holders
        self._mesh = mesh

    async def BatchGetEvidence(self, request: BatchGetEvidenceRequest) -> BatchGetEvidenceResponse:
        """See hutong.lookup.v1.EvidenceService."""
        response = await self._evidence.BatchGetEvidence(request)
        self._mesh.check_lookup(response.identity, LOOKUP)
        return response

    async def ClaimResult(self, request: ClaimResultRequest) -> ClaimResultResponse:
        """See hutong.lookup.v1.HolderService."""
        asked = ClaimResultRequest(store=self._mesh.lookup.message())
        asked.MergeFrom(request)
        response = await self._holders.ClaimResult(asked)
        self._mesh.check_lookup(response.identity, LOOKUP)
        return response

    async def PresentCertificate(self, request: PresentCertificateRequest) -> PresentCertificateResponse:
        """See hutong.lookup.v1.HolderService."""
        asked = PresentCertificateRequest(store=self._mesh.lookup.message())
        asked.MergeFrom(request)
        response = await self._holders.PresentCertificate(asked)
        self._mesh.check_lookup(response.identity, LOOKUP)
        return response

    async def SwitchScope(self, request: SwitchScopeRequest) -> SwitchScopeResponse:
        """See hutong.lookup.v1.HolderService."""
        asked = SwitchScopeRequest(store=self._mesh.lookup.message())
        asked.MergeFrom(request)
        response = await self._holders.SwitchScope(asked)
        self._mesh.check_lookup(response.identity, LOOKUP)
        return response

    async def RequestCorrection(self, request: RequestCorrectionRequest) -> RequestCorrectionResponse:
        """See hutong.lookup.v1.HolderService."""
        asked = RequestCorrectionRequest(store=self._mesh.lookup.message())
        asked.MergeFrom(request)
        response = await self._holders.RequestCorrection(asked)
        self._mesh.check_lookup(response.identity, LOOKUP)
        return response

    async def ListHolderCorrectionRequests(
        self, request: ListHolderCorrectionRequestsRequest
    ) -> ListHolderCorrectionRequestsResponse:
        """See hutong.lookup.v1.HolderService."""
        response = await self._holders.ListHolderCorrectionRequests(request)
        self._mesh.check_lookup(response.identity, LOOKUP)
        return response
