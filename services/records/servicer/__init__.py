"""The services of a records store, as plain objects: limits, translate, call, translate."""

from services.records.servicer.conflict import ConflictServicer
from services.records.servicer.feed import FeedServicer
from services.records.servicer.intake import IntakeServicer
from services.records.servicer.quality import QualityServicer
from services.records.servicer.read import ReadServicer
from services.records.servicer.write import WriteServicer

__all__ = ["ConflictServicer", "FeedServicer", "IntakeServicer", "QualityServicer", "ReadServicer", "WriteServicer"]
