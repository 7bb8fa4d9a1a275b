"""Rules for a selection of records. Reasons: INSTANT_RANGE, SELECTION_NEWEST, SELECTION_CLEARING, TOO_MANY and
those of a region's code."""

from collections.abc import Iterator

from hutong.records.v1.record_read_service_pb2 import RecordSelection

from services.common.errors import Violation
from services.common.requests import fields
from services.common.requests.instants import instant
from services.common.requests.violations import violation

MOST_NEWEST = 20
MOST_CLEARING = 100
MOST_REGIONS = 50
"""More than there are province-level divisions."""


def selection(message: RecordSelection, field: str = "selection") -> Iterator[Violation]:
    """Yields everything wrong with a selection."""
    yield from instant(message.since, f"{field}.since")
    yield from _count(message.newest, MOST_NEWEST, f"{field}.newest", "SELECTION_NEWEST")
    yield from _count(message.clearing, MOST_CLEARING, f"{field}.clearing", "SELECTION_CLEARING")
    if len(message.own_regions) > MOST_REGIONS:
        yield from violation(
            f"{field}.own_regions", "TOO_MANY", f"最多{MOST_REGIONS}个地区", f"At most {MOST_REGIONS} regions"
        )
        return
    for position, region in enumerate(message.own_regions):
        yield from fields.region(region, f"{field}.own_regions[{position}]")


def _count(value: int, most: int, field: str, reason: str) -> list[Violation]:
    if 0 <= value <= most:
        return []
    return violation(field, reason, f"应为0至{most}", f"0 to {most}")
