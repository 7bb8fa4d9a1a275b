"""The class of every method, and how many tokens of it a request takes."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from google.protobuf.message import Message


class LimitClass(StrEnum):
    """The classes of calls that are limited, each by itself."""

    CODE = "code"
    """One verdict about one person."""
    SEARCH = "search"
    """What is known of one person, by document or key."""
    BATCH = "batch"
    """Many questions at once; each is a token."""
    WRITE = "write"
    """Records, links, claims and switches; each is a token."""
    SUPERVISION = "supervision"
    """Laboratories' figures, conflicts, and other questions that look at a whole store."""
    DIRECTORY = "directory"
    """What is about nobody: regions, policies, feeds."""


_METHODS: Mapping[LimitClass, Mapping[str, tuple[str, ...]]] = {
    LimitClass.CODE: {
        "hutong.gateway.v1.HealthCodeService": ("ShowHealthCode", "IssuePass", "VerifyCertificate"),
        "hutong.verdict.v1.VerdictService": ("ComputeVerdict", "EvaluateEvidence"),
    },
    LimitClass.SEARCH: {
        "hutong.gateway.v1.HealthCodeService": (
            "ListResults",
            "ListAccesses",
            "ListHolderCorrectionRequests",
            "IssueCertificate",
        ),
        "hutong.lookup.v1.EvidenceService": ("GetEvidence",),
        "hutong.lookup.v1.HolderService": ("ListLinkedDocuments", "ListHolderCorrectionRequests"),
        "hutong.records.v1.CorrectionService": ("ListHolderCorrectionRequests",),
        "hutong.records.v1.RecordReadService": ("ListRecords", "GetRecordHistory"),
    },
    LimitClass.BATCH: {
        "hutong.gateway.v1.HealthCodeService": ("BatchShowHealthCodes", "CheckDestinations", "BatchListResults"),
        "hutong.verdict.v1.VerdictService": ("BatchComputeVerdicts", "BatchEvaluateEvidence"),
        "hutong.lookup.v1.EvidenceService": ("BatchGetEvidence",),
        "hutong.lookup.v1.HolderService": ("BatchListLinkedDocuments",),
        "hutong.records.v1.RecordReadService": ("BatchListRecords", "BatchListRecordsAtInstants"),
    },
    LimitClass.WRITE: {
        "hutong.gateway.v1.HealthCodeService": (
            "ClaimResult",
            "SwitchScope",
            "RequestCorrection",
            "PresentCertificate",
        ),
        "hutong.gateway.v1.PushService": ("PutPushSubscription", "DeletePushSubscription"),
        "hutong.lookup.v1.HolderService": (
            "LinkDocuments",
            "UnlinkDocuments",
            "SwitchScope",
            "ClaimResult",
            "RequestCorrection",
            "PresentCertificate",
        ),
        "hutong.records.v1.RecordWriteService": (
            "SubmitRecord",
            "BatchSubmitRecords",
            "AmendRecord",
            "RetractRecord",
            "PutLaboratory",
            "SuspendLaboratory",
            "LiftSuspension",
        ),
        "hutong.records.v1.RecordIntakeService": ("StreamRecords",),
        "hutong.records.v1.ConflictService": ("SettleConflict",),
        "hutong.records.v1.CorrectionService": ("RequestCorrection", "RequestResult", "AnswerCorrectionRequest"),
        "hutong.records.v1.RestorationService": ("GiveBack",),
        "hutong.records.v1.FollowingService": ("AcceptFeed",),
        "hutong.audit.v1.WitnessService": ("CosignCheckpoint",),
    },
    LimitClass.SUPERVISION: {
        "hutong.gateway.v1.SupervisionService": ("ListFigures", "ListRefusals", "ReopenRefusal", "StreamOpenData"),
        "hutong.verdict.v1.PolicyService": ("FindStricterPolicies",),
        "hutong.records.v1.ConflictService": ("ListConflicts",),
        "hutong.records.v1.CorrectionService": ("ListCorrectionRequests", "GetCorrectionRequestCounts"),
        "hutong.records.v1.FollowingService": ("ListFollowedRegions",),
        "hutong.records.v1.LaboratoryQualityService": (
            "GetLaboratoryQuality",
            "ListLaboratoryQuality",
            "ListOverdueSamples",
        ),
        "hutong.records.v1.RecordReadService": ("GetLaboratory", "ListLaboratories"),
    },
    LimitClass.DIRECTORY: {
        "hutong.gateway.v1.HealthCodeService": ("ListRegions", "GetTrustBundle"),
        "hutong.gateway.v1.PushService": ("GetPushKey",),
        "hutong.verdict.v1.PolicyService": ("GetPolicy", "ListPolicies", "GetPolicyDigests"),
        "hutong.lookup.v1.RegionDirectoryService": ("GetRegion", "ListRegions"),
        "hutong.lookup.v1.HolderService": ("WatchHolders",),
        "hutong.records.v1.ChangeFeedService": ("ListChanges", "WatchChanges"),
    },
}

CLASSES: Mapping[str, LimitClass] = {
    f"{service}/{method}": kind
    for kind, services in _METHODS.items()
    for service, methods in services.items()
    for method in methods
}
"""The class of each method of each contract. What is not here, such as health, is not limited."""

_ALL_REGIONS = 31
"""What a question about no region in particular costs: it is about every one."""


def _destinations(request: Any) -> int:
    return len(request.regions) or _ALL_REGIONS


_COSTS: Mapping[str, Callable[[Any], int]] = {
    "BatchShowHealthCodesRequest": lambda request: len(request.queries),
    "CheckDestinationsRequest": _destinations,
    "BatchListResultsRequest": lambda request: len(request.documents),
    "BatchComputeVerdictsRequest": lambda request: len(request.queries),
    "BatchEvaluateEvidenceRequest": lambda request: len(request.judge),
    "BatchGetEvidenceRequest": lambda request: len(request.queries),
    "BatchListLinkedDocumentsRequest": lambda request: len(request.subjects),
    "BatchListRecordsRequest": lambda request: len(request.subjects),
    "BatchListRecordsAtInstantsRequest": lambda request: sum(len(one.subjects) for one in request.questions),
    "BatchSubmitRecordsRequest": lambda request: len(request.submissions),
    "StreamRecordsRequest": lambda request: len(request.submissions),
    "GiveBackRequest": lambda request: len(request.records) + len(request.laboratories),
}


def cost_of(request: Message) -> int:
    """Returns how many tokens a request takes: as many as it has questions or rows, at least one."""
    count = _COSTS.get(request.DESCRIPTOR.name)
    return 1 if count is None else max(1, count(request))
