"""Records and laboratories as a store gives them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.common.instants import Instant
from services.records.domain.selection import LeftOut

LATEST = Instant(2**62)
"""As `known_at`: everything."""


class CurrentRecord(NamedTuple):
    """The revision of a record that is current, or was at an instant.

    `body` is the serialised TestRecord; `arrived_at` the instant of its commit in this store, which for a record of a
    followed region is not that of its own. Instants are in microseconds since 1970, UTC.
    """

    person_key: bytes
    region: str
    source_id: str
    placed_at: int
    laboratory: str
    body: bytes
    arrived_at: Instant


class People(NamedTuple):
    """Records by person, newest sample first; a person without any is left out.

    `laboratories` is the sequence of the latest change to a laboratory that the store has committed. What a replica
    gave has everything up to `as_of`, and the feed up to `sequence`; where `as_of` is None, it has all there is. What
    is missing, and was last revised before `purged_before`, may have been purged. `left_out` is what a selection left
    out of each person's records, if anything: see domain.selection.Chosen. `feed_id` names the
    history that was read. `moved_keys` is how often keys had been moved to another version of the secret, and
    -1 where that happened in the midst of reading.
    """

    records: Mapping[bytes, Sequence[CurrentRecord]]
    laboratories: int
    as_of: Instant | None = None
    sequence: int = 0
    purged_before: Instant = Instant(0)
    left_out: Mapping[bytes, Mapping[str, LeftOut]] = {}
    feed_id: str = ""
    moved_keys: int = 0


class LaboratoryRow(NamedTuple):
    """One revision of a laboratory, serialised, and the instant of its commit in this store."""

    sequence: int
    body: bytes
    arrived_at: Instant


RevisionBodies = Sequence[bytes]
"""The revisions of one record that were known at an instant, serialised, oldest first."""


class Purged(NamedTuple):
    """One batch of a purge: how many records were deleted, and where in the feed to go on; None at its end."""

    records: int
    position: int | None
