"""One selection for all questions of a moment, and what it left out of a person's records, whoever kept them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord
from hutong.records.v1.record_read_service_pb2 import LeftOutRecords, RecordSelection

from services.common.regions import NATION

ANY_REGION = ""
"""In what was left out: of whatever region."""

_RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED


def common_selection(
    selections: Sequence[RecordSelection | None], own_regions: Iterable[str]
) -> RecordSelection | None:
    """Returns a selection that gives at least what each of these gives, and the newest own records of these regions;
    None, which is everything, where one is missing."""
    wanted = [selection for selection in selections if selection is not None]
    if len(wanted) < len(selections) or not wanted:
        return None
    regions = {region for selection in wanted for region in selection.own_regions}.union(own_regions)
    return RecordSelection(
        since=min((selection.since for selection in wanted), key=_order),
        newest=max(selection.newest for selection in wanted),
        clearing=max(selection.clearing for selection in wanted),
        own_regions=sorted(regions),
    )


class _Known(NamedTuple):
    """The number of records that somebody has, or the least that it may be."""

    records: int
    at_least: bool


class GivenBySource(NamedTuple):
    """The records that one source gave under one key, and what it left out."""

    source: str
    records: Sequence[TestRecord]
    left_out: Sequence[LeftOutRecords]

    def known(self, region: str) -> _Known:
        """Returns how many records of a region the source has, or of any; retracted ones are not counted."""
        left_out = [one for one in self.left_out if one.region == region]
        return _Known(
            sum(one.count for one in left_out) + _standing(self.records, region),
            any(one.at_least for one in left_out),
        )


def common_left_out(given: Sequence[Sequence[GivenBySource]], merged: Sequence[TestRecord]) -> Sequence[LeftOutRecords]:
    """Returns what is missing of one person: of each region, since when it was left out by whoever left out the newest,
    and how many records some source knows that are not among those `merged`. `given` holds, by key, the sources."""
    told = [one for sources in given for one in sources if one.records or one.left_out]
    if len(told) == 1:
        # What one source knows less what it gave is what it left out.
        return sorted(told[0].left_out, key=_region)
    before: dict[str, Timestamp] = {}
    for sources in given:
        for one in sources:
            for left_out in one.left_out:
                latest = before.get(left_out.region)
                if latest is None or _order(latest) < _order(left_out.before):
                    before[left_out.region] = left_out.before
    return [
        LeftOutRecords(
            region=region,
            before=before[region],
            count=max(0, known.records - _standing(merged, region)),
            at_least=known.at_least,
        )
        for region in sorted(before)
        for known in [_known(given, region)]
    ]


def _known(given: Sequence[Sequence[GivenBySource]], region: str) -> _Known:
    total, at_least = 0, False
    for sources in given:
        known = [one.known(region) for one in sources]
        # The nation has what the regions have; without it, each region has its own.
        whole = region != ANY_REGION or any(one.source == NATION for one in sources)
        total += max(one.records for one in known) if whole else sum(one.records for one in known)
        # Whoever counted no further may have more than whoever counted most.
        at_least = at_least or any(one.at_least for one in known)
    return _Known(total, at_least)


def _region(left_out: LeftOutRecords) -> str:
    return left_out.region


def _standing(records: Iterable[TestRecord], region: str) -> int:
    return sum(record.action != _RETRACTED and region in (ANY_REGION, record.region) for record in records)


def _order(timestamp: Timestamp) -> tuple[int, int]:
    return timestamp.seconds, timestamp.nanos
