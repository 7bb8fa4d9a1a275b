"""Instants as whole microseconds since 1970-01-01T00:00Z, and the calendar of UTC+8.

An `int` orders, subtracts and hashes in nanoseconds; a verdict compares dozens of them. All of China keeps one
civil time, UTC+8, without daylight saving.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import NewType

from google.protobuf.timestamp_pb2 import Timestamp

Instant = NewType("Instant", int)
"""Microseconds since the epoch, UTC."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

CST = timezone(timedelta(hours=8), "CST")
"""China standard time, UTC+8."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)
"""RFC 3339 section 5.6, and the minute without seconds that people write."""

_OFFSET = 8 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def from_timestamp(timestamp: Timestamp) -> Instant:
    """The instant of a protobuf timestamp, rounded down to the microsecond."""
    return Instant(timestamp.seconds * SECOND + timestamp.nanos // 1000)


def to_timestamp(instant: Instant) -> Timestamp:
    """The protobuf timestamp of an instant."""
    seconds, micros = divmod(instant, SECOND)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def from_datetime(moment: datetime) -> Instant:
    """The instant of a datetime. Raises ValueError when it has no offset: it is never silently UTC."""
    if moment.utcoffset() is None:
        raise ValueError("an instant needs an offset")
    return Instant((moment - _EPOCH) // _MICROSECOND)


def to_datetime(instant: Instant) -> datetime:
    """The instant in UTC+8."""
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(CST)


def parse_rfc3339(text: str) -> Instant:
    """The instant of an RFC 3339 text such as 2022-08-05T13:20:00+08:00. Raises ValueError, also without an offset."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 instant")
    return from_datetime(datetime.fromisoformat(text.upper()))


def format_rfc3339(instant: Instant) -> str:
    """RFC 3339 in UTC+8, with microseconds only when there are any: 2022-08-05T13:20:00+08:00. Raises OverflowError
    outside of the years 1 to 9999."""
    # A code holds a dozen of them, of few minutes: isoformat costs three times as much.
    minute, rest = divmod(instant, MINUTE)
    second, micros = divmod(rest, SECOND)
    if micros:
        return f"{_minute(minute)}:{second:02d}.{micros:06d}+08:00"
    return f"{_minute(minute)}:{second:02d}+08:00"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    """A minute since the epoch as it is written in UTC+8: 2022-08-05T13:20."""
    return to_datetime(Instant(minute * MINUTE)).isoformat(timespec="minutes").removesuffix("+08:00")


def calendar_day(instant: Instant) -> int:
    """The day's number in the calendar of UTC+8, counted from 1970-01-01."""
    return (instant + _OFFSET) // DAY


def start_of_day(day: int) -> Instant:
    """The instant at which a numbered day begins in UTC+8."""
    return Instant(day * DAY - _OFFSET)


def time_of_day(instant: Instant) -> int:
    """Microseconds since midnight in UTC+8."""
    return (instant + _OFFSET) % DAY
