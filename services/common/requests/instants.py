"""Rules for the instants of a request. Reasons: INSTANT_RANGE, KNOWN_AT_IN_FUTURE.

Every instant of a request lies in the years 1900 to 9998: whatever turns within a year of it can still be written. An
instant of knowledge (`known_at`, `asked_at`) lies in 1970 or later: nothing was known before.
"""

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import Violation
from services.common.instants import MINUTE, Instant, from_timestamp
from services.common.requests.violations import refuse, violation

SKEW = 5 * MINUTE
"""How far another clock may run ahead of this one, in microseconds."""

_FIRST_SECOND, _LAST_SECOND = -2_208_988_800, 253_370_764_799
"""1900-01-01T00:00:00Z and 9998-12-31T23:59:59Z."""

_FIRST_KNOWN = 0
"""1970-01-01T00:00:00Z."""


def instant(timestamp: Timestamp, field: str) -> list[Violation]:
    """Checks an instant. Reason INSTANT_RANGE."""
    if _FIRST_SECOND <= timestamp.seconds <= _LAST_SECOND and 0 <= timestamp.nanos < 1_000_000_000:
        return []
    return _out_of_range(field, 1900)


def known_at(timestamp: Timestamp, field: str = "known_at", now: Instant | None = None) -> list[Violation]:
    """Checks an instant of knowledge. Reasons INSTANT_RANGE and, where `now` is given, KNOWN_AT_IN_FUTURE for one that
    lies more than SKEW after it: what is not yet known cannot be asked for."""
    if not (_FIRST_KNOWN <= timestamp.seconds <= _LAST_SECOND and 0 <= timestamp.nanos < 1_000_000_000):
        return _out_of_range(field, 1970)
    if now is not None and from_timestamp(timestamp) > now + SKEW:
        return violation(
            field, "KNOWN_AT_IN_FUTURE", "知悉时刻不能晚于现在", "What is not yet known cannot be judged by"
        )
    return []


def read_instant(timestamp: Timestamp, field: str) -> Instant:
    """The instant of a timestamp. Raises InvalidArgument (INSTANT_RANGE)."""
    refuse(instant(timestamp, field))
    return from_timestamp(timestamp)


def read_known_at(timestamp: Timestamp, field: str = "known_at") -> Instant:
    """The instant of knowledge of a timestamp. Raises InvalidArgument (INSTANT_RANGE)."""
    refuse(known_at(timestamp, field))
    return from_timestamp(timestamp)


def _out_of_range(field: str, first_year: int) -> list[Violation]:
    return violation(
        field,
        "INSTANT_RANGE",
        f"时刻须在公元{first_year}年至9998年之间",
        f"An instant lies between the years {first_year} and 9998",
    )
