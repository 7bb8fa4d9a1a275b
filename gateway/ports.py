"""The protocols by which the gateway reaches the mesh, in the contracts' own messages. Bound to remote services or
objects of this process by whoever composes it. Every method raises ServiceError."""

from collections.abc import AsyncIterator
from typing import Protocol

from hutong.lookup.v1 import evidence_service_pb2, holder_service_pb2, region_directory_service_pb2
from hutong.records.v1 import (
    change_feed_service_pb2,
    conflict_service_pb2,
    correction_service_pb2,
    laboratory_quality_service_pb2,
)
from hutong.verdict.v1 import policy_service_pb2, verdict_service_pb2


class VerdictSource(Protocol):
    """Judges: the verdict service."""

    async def BatchComputeVerdicts(
        self, request: verdict_service_pb2.BatchComputeVerdictsRequest
    ) -> verdict_service_pb2.BatchComputeVerdictsResponse:
        """See hutong.verdict.v1.VerdictService."""

    async def GetPolicyDigests(
        self, request: policy_service_pb2.GetPolicyDigestsRequest
    ) -> policy_service_pb2.GetPolicyDigestsResponse:
        """See hutong.verdict.v1.PolicyService."""


class Policies(Protocol):
    """Knows the policies: the verdict service."""

    async def FindStricterPolicies(
        self, request: policy_service_pb2.FindStricterPoliciesRequest
    ) -> policy_service_pb2.FindStricterPoliciesResponse:
        """See hutong.verdict.v1.PolicyService."""


class SupervisedStore(Protocol):
    """Tells how a store's laboratories work, and settles what somebody has to: a records service."""

    async def ListLaboratoryQuality(
        self, request: laboratory_quality_service_pb2.ListLaboratoryQualityRequest
    ) -> laboratory_quality_service_pb2.ListLaboratoryQualityResponse:
        """See hutong.records.v1.LaboratoryQualityService."""

    async def ListOverdueSamples(
        self, request: laboratory_quality_service_pb2.ListOverdueSamplesRequest
    ) -> laboratory_quality_service_pb2.ListOverdueSamplesResponse:
        """See hutong.records.v1.LaboratoryQualityService."""

    async def ListConflicts(
        self, request: conflict_service_pb2.ListConflictsRequest
    ) -> conflict_service_pb2.ListConflictsResponse:
        """See hutong.records.v1.ConflictService."""

    async def SettleConflict(
        self, request: conflict_service_pb2.SettleConflictRequest
    ) -> conflict_service_pb2.SettleConflictResponse:
        """See hutong.records.v1.ConflictService."""

    async def RequestResult(
        self, request: correction_service_pb2.RequestResultRequest
    ) -> correction_service_pb2.RequestResultResponse:
        """See hutong.records.v1.CorrectionService."""


class Evidence(Protocol):
    """Knows what is known: the lookup service."""

    async def BatchGetEvidence(
        self, request: evidence_service_pb2.BatchGetEvidenceRequest
    ) -> evidence_service_pb2.BatchGetEvidenceResponse:
        """See hutong.lookup.v1.EvidenceService."""


class Holders(Protocol):
    """Does what holders decide: the lookup service."""

    async def ClaimResult(
        self, request: holder_service_pb2.ClaimResultRequest
    ) -> holder_service_pb2.ClaimResultResponse:
        """See hutong.lookup.v1.HolderService."""

    async def PresentCertificate(
        self, request: holder_service_pb2.PresentCertificateRequest
    ) -> holder_service_pb2.PresentCertificateResponse:
        """See hutong.lookup.v1.HolderService."""

    async def SwitchScope(
        self, request: holder_service_pb2.SwitchScopeRequest
    ) -> holder_service_pb2.SwitchScopeResponse:
        """See hutong.lookup.v1.HolderService."""

    async def RequestCorrection(
        self, request: holder_service_pb2.RequestCorrectionRequest
    ) -> holder_service_pb2.RequestCorrectionResponse:
        """See hutong.lookup.v1.HolderService."""

    async def ListHolderCorrectionRequests(
        self, request: holder_service_pb2.ListHolderCorrectionRequestsRequest
    ) -> holder_service_pb2.ListHolderCorrectionRequestsResponse:
        """See hutong.lookup.v1.HolderService."""


class HolderFeed(Protocol):
    """Tells what holders change: the lookup service."""

    def WatchHolders(
        self, request: holder_service_pb2.WatchHoldersRequest
    ) -> AsyncIterator[holder_service_pb2.WatchHoldersResponse]:
        """See hutong.lookup.v1.HolderService."""


class Regions(Protocol):
    """Knows the regions: the lookup service."""

    async def ListRegions(
        self, request: region_directory_service_pb2.ListRegionsRequest
    ) -> region_directory_service_pb2.ListRegionsResponse:
        """See hutong.lookup.v1.RegionDirectoryService."""


class ChangeFeed(Protocol):
    """Tells what changes in a store: a records service."""

    def WatchChanges(
        self, request: change_feed_service_pb2.WatchChangesRequest
    ) -> AsyncIterator[change_feed_service_pb2.WatchChangesResponse]:
        """See hutong.records.v1.ChangeFeedService."""
