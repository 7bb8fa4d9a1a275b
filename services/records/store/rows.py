"""What both stores do with rows: those they have read, and those they are about to write."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

from services.common.instants import Instant
from services.records.domain.content import stamp
from services.records.store.protocol import CurrentRecord, Plan

RevisionRow = tuple[bytes, str, str, int, int, int, int, bool, str, bytes, bytes]
"""person_key, region, source_id, revision, sequence, recorded_at, placed_at, retracted, laboratory, digest, body."""

LaboratoryRevisionRow = tuple[str, int, int, bytes]
"""laboratory, revision, sequence, body."""

_by_place = itemgetter(CurrentRecord._fields.index("placed_at"))


def current_records(rows: Iterable[Sequence[object]]) -> Mapping[bytes, Sequence[CurrentRecord]]:
    """The last revision of each record, by person, newest sample first.

    Rows have the fields of a CurrentRecord and stand in order of person, region, source_id and revision.
    """
    people: dict[bytes, dict[tuple[object, object], Sequence[object]]] = {}
    for row in rows:
        key: bytes = row[0]  # type: ignore[assignment]  # as CurrentRecord says
        records = people.get(key)
        if records is None:
            records = people[key] = {}
        records[row[1], row[2]] = row
    # Sorting is stable, so of equal places the order is still that of the ids.
    return {
        key: [CurrentRecord._make(row) for row in sorted(records.values(), key=_by_place, reverse=True)]
        for key, records in people.items()
    }


def revision_rows(plan: Plan, after: int, recorded_at: Instant) -> list[RevisionRow]:
    """The rows of a plan's records and revisions, numbered from `after` + 1, the new ones stamped with their commit."""
    suffix = stamp(recorded_at)
    rows: list[RevisionRow] = [
        (key, region, source_id, 1, sequence, recorded_at, placed_at, False, laboratory, digest, body + suffix)
        for sequence, (region, source_id, key, placed_at, laboratory, digest, body) in enumerate(plan.firsts, after + 1)
    ]
    rows += [
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
        for sequence, new in enumerate(plan.revisions, after + len(rows) + 1)
    ]
    return rows


def laboratory_rows(plan: Plan, after: int, recorded_at: Instant) -> list[LaboratoryRevisionRow]:
    """The rows of a plan's laboratories, numbered from `after` + 1."""
    made = [new.stamped(recorded_at) for new in plan.laboratories]
    return [
        (laboratory.laboratory, laboratory.revision, sequence, laboratory.SerializeToString())
        for sequence, laboratory in enumerate(made, after + 1)
    ]
