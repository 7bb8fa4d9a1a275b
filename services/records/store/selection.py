"""The reading of a selection of people's records, as both stores do it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hutong.records.v1.record_pb2 import TestRecord

from services.common.instants import Instant
from services.records.domain.revisions import RecordId, origin_of
from services.records.domain.selection import Chosen, LeftOut
from services.records.store.values.records import CurrentRecord


class WeighedRecord(NamedTuple):
    """A CurrentRecord with what a selection looks at besides: a Candidate."""

    person_key: bytes
    region: str
    source_id: str
    placed_at: int
    laboratory: str
    body: bytes
    arrived_at: Instant
    latest_at: int
    weight: int
    retracted: int

    @property
    def record(self) -> CurrentRecord:
        """The record as it is given."""
        return CurrentRecord._make(self[:7])


WEIGHED_COLUMNS = (
    "person_key, region, source_id, placed_at, laboratory, body, recorded_at, latest_at, weight, retracted"
)
"""The columns of a WeighedRecord, in order."""


def original_named(row: WeighedRecord) -> RecordId | None:
    """Returns the original that a record names; None for what is no copy, or names none."""
    return origin_of(TestRecord.FromString(row.body).content)


def selected(
    choices: Mapping[bytes, Chosen[WeighedRecord]],
) -> tuple[dict[bytes, Sequence[CurrentRecord]], dict[bytes, Mapping[str, LeftOut]]]:
    """Returns what was chosen, by person, and what was left out."""
    records: dict[bytes, Sequence[CurrentRecord]] = {
        key: [one.record for one in given] for key, choice in choices.items() if (given := choice.given)
    }
    return records, {key: left_out for key, choice in choices.items() if (left_out := choice.left_out)}
