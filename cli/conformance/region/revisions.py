"""Revisions of records and their times, as the checks of a region compare and name them."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1.record_pb2 import TestRecord


def instant(stamp: Timestamp) -> datetime:
    """Returns the instant of a timestamp, in UTC."""
    return stamp.ToDatetime(UTC)


def stamp(instant: datetime) -> Timestamp:
    """Returns the timestamp of an instant."""
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def name_of(record: TestRecord) -> str:
    """Returns a revision's name for a reader."""
    return f"{record.region}/{record.source_id} revision {record.revision}"


def revision_of(record: TestRecord) -> tuple[str, str, int]:
    """Returns what tells a revision from all others."""
    return record.region, record.source_id, record.revision


def sampled_at(record: TestRecord) -> datetime:
    """Returns when a record's sample was taken or, where that is not said, reported. In UTC."""
    content = record.content
    return instant(content.sampled_at if content.HasField("sampled_at") else content.reported_at)
