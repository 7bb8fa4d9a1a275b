"""Instants as they are sent: RFC 3339 with an offset."""

from collections.abc import MutableSequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import Text, Violation
from services.common.instants import parse_rfc3339, to_timestamp


def read_instant(value: str, message: Timestamp, field: str, violations: MutableSequence[Violation]) -> None:
    """Writes an RFC 3339 text into a timestamp. One that is no instant, or has no offset, adds a violation instead
    (INSTANT_FORMAT, INSTANT_NEEDS_OFFSET)."""
    try:
        message.CopyFrom(to_timestamp(parse_rfc3339(value)))
    except (ValueError, OverflowError):
        violations.append(_violation(value, field))


def _violation(value: str, field: str) -> Violation:
    try:
        naive = "T" in value.upper() and datetime.fromisoformat(value).utcoffset() is None
    except ValueError:
        naive = False
    if naive:
        return Violation(
            field,
            "INSTANT_NEEDS_OFFSET",
            Text(
                "时间须带时区偏移，如 2022-08-05T13:20:00+08:00",
                "An instant needs an offset, as in 2022-08-05T13:20:00+08:00",
            ),
        )
    return Violation(
        field,
        "INSTANT_FORMAT",
        Text("时间格式应如 2022-08-05T13:20:00+08:00", "An instant reads like 2022-08-05T13:20:00+08:00"),
    )
