"""The reading of a selection of people's records, as both stores do it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hutong.records.v1.record_pb2 import TestRecord

from services.common.instants import Instant
from services.records.domain.revisions import RecordId, origin_of
from services.records.domain.selection import Chosen, HeldRecords, Selection, select
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

    @property
    def record(self) -> CurrentRecord:
        """The record as it is given."""
        return CurrentRecord._make(self[:7])


WEIGHED_COLUMNS = "person_key, region, source_id, placed_at, laboratory, body, recorded_at, latest_at, weight"
"""The columns of a WeighedRecord, in order."""


def original_named(row: WeighedRecord) -> RecordId | None:
    """Returns the original that a record names; None for what is no copy, or names none."""
    return origin_of(TestRecord.FromString(row.body).content)


def choices_of_all(rows: Iterable[WeighedRecord], selection: Selection) -> Mapping[bytes, Chosen[WeighedRecord]]:
    """Returns the choice among all of some people's records, by person: for a store that has read them all."""
    people: dict[bytes, list[WeighedRecord]] = {}
    for row in rows:
        people.setdefault(row.person_key, []).append(row)
    return select(people, selection, HeldRecords(people, original_named), original_named)


def selected(
    choices: Mapping[bytes, Chosen[WeighedRecord]],
) -> tuple[dict[bytes, Sequence[CurrentRecord]], dict[bytes, Mapping[str, Instant]]]:
    """Returns what was chosen, by person, and what was left out."""
    records: dict[bytes, Sequence[CurrentRecord]] = {
        key: [one.record for one in given] for key, choice in choices.items() if (given := choice.given)
    }
    return records, {key: choice.left_out for key, choice in choices.items() if choice.left_out}
