"""What both stores do with rows: those they have read, and those they are about to write."""

from collections.abc import Iterable, Mapping, Sequence

from services.common.instants import Instant
from services.records.domain.content import stamp
from services.records.domain.revisions import RecordId
from services.records.store.protocol import CurrentRecord, Plan

RevisionRow = tuple[bytes, str, str, int, int, int, int, bool, str, bytes, bytes]
"""person_key, region, source_id, revision, sequence, recorded_at, placed_at, retracted, laboratory, digest, body."""

LaboratoryRevisionRow = tuple[str, int, int, bytes]
"""laboratory, revision, sequence, body."""

PersonRow = tuple[bytes, str, str, int, str, bytes]
"""person_key, region, source_id, placed_at, laboratory, body."""


def current_records(rows: Iterable[Sequence[object]]) -> Mapping[bytes, Sequence[CurrentRecord]]:
    """The last revision of each record, by person, newest sample first.

    Rows are PersonRows; those of one record stand in order of revision.
    """
    people: dict[bytes, dict[RecordId, CurrentRecord]] = {}
    for person_key, region, source_id, placed, laboratory, body in rows:
        record_id = RecordId(region, source_id)  # type: ignore[arg-type]  # as PersonRow says
        records = people.get(person_key)  # type: ignore[call-overload]
        if records is None:
            records = people[person_key] = {}  # type: ignore[index]
        records[record_id] = CurrentRecord(placed, record_id, laboratory, body)  # type: ignore[arg-type]
    return {key: _newest_first(records) for key, records in people.items()}


def _newest_first(records: dict[RecordId, CurrentRecord]) -> Sequence[CurrentRecord]:
    if len(records) == 1:
        return tuple(records.values())
    return sorted(records.values(), key=lambda record: (-record.placed_at, record.id))


def revision_rows(plan: Plan, after: int, recorded_at: Instant) -> list[RevisionRow]:
    """The rows of a plan's revisions, numbered from `after` + 1, those that are new stamped with their commit."""
    suffix = stamp(recorded_at)
    return [
        (
            new.person_key,
            new.id.region,
            new.id.source_id,
            new.revision,
            sequence,
            recorded_at if new.recorded_at is None else new.recorded_at,
            new.placed_at,
            new.retracted,
            new.laboratory,
            new.digest,
            new.body + suffix if new.recorded_at is None else new.body,
        )
        for sequence, new in enumerate(plan.revisions, after + 1)
    ]


def laboratory_rows(plan: Plan, after: int, recorded_at: Instant) -> list[LaboratoryRevisionRow]:
    """The rows of a plan's laboratories, numbered from `after` + 1."""
    made = [new.stamped(recorded_at) for new in plan.laboratories]
    return [
        (laboratory.laboratory, laboratory.revision, sequence, laboratory.SerializeToString())
        for sequence, laboratory in enumerate(made, after + 1)
    ]
