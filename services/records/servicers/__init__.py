"""The services of a records store, as plain objects: limits, translate, call, translate."""

from services.records.servicers.conflict import ConflictServicer
from services.records.servicers.correction import CorrectionServicer
from services.records.servicers.feed import FeedServicer
from services.records.servicers.following import FollowingServicer
from services.records.servicers.intake import IntakeServicer
from services.records.servicers.proven_writes import ProvenWrites
from services.records.servicers.quality import QualityServicer
from services.records.servicers.read import ReadServicer
from services.records.servicers.restoration import RestorationServicer
from services.records.servicers.write import WriteServicer

__all__ = [
    "ConflictServicer",
    "CorrectionServicer",
    "FeedServicer",
    "FollowingServicer",
    "IntakeServicer",
    "ProvenWrites",
    "QualityServicer",
    "ReadServicer",
    "RestorationServicer",
    "WriteServicer",
]
