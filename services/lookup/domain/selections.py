"""One selection for all questions of a moment, and what it left out of a person's records, whoever kept them."""

from collections.abc import Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1.record_read_service_pb2 import LeftOutRecords, RecordSelection


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


def common_left_out(answers: Iterable[Sequence[LeftOutRecords]]) -> list[LeftOutRecords]:
    """Returns what may be missing of one person: of each region, what was left out by whoever left out the newest."""
    by_region: dict[str, LeftOutRecords] = {}
    for answer in answers:
        for left_out in answer:
            known = by_region.get(left_out.region)
            if known is None or _order(known.before) < _order(left_out.before):
                by_region[left_out.region] = left_out
    return [by_region[region] for region in sorted(by_region)]


def _order(timestamp: Timestamp) -> tuple[int, int]:
    return timestamp.seconds, timestamp.nanos
