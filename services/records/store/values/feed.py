"""The change feed, and what a store that follows others keeps, as a store gives them."""

from typing import NamedTuple

from services.common.instants import Instant
from services.records.domain.revisions import RecordId


class Head(NamedTuple):
    """The end of the feed: the history it counts in, the greatest number used, and the mark of its commit."""

    feed_id: str
    sequence: int
    mark: bytes = b""


class ChangeRow(NamedTuple):
    """One change: a serialised TestRecord, or a serialised Laboratory.

    Where `purged_from` is not 0, it is nothing any more: what was numbered from there up to `sequence` was purged.
    """

    sequence: int
    is_laboratory: bool
    body: bytes
    purged_from: int = 0


class DueCopy(NamedTuple):
    """A copy that is new, or whose original changed: it is to be compared. `sequence` tells of which change."""

    id: RecordId
    sequence: int


class Lag(NamedTuple):
    """From `noted_at` on, a followed region was known up to `as_of`; None: it was being followed without delay."""

    region: str
    noted_at: Instant
    as_of: Instant | None
