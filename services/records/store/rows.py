"""What both stores do with rows: those they have read, and those they are about to write."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar

from services.common.instants import Instant
from services.records.domain.content import stamp
from services.records.domain.revisions import RecordId
from services.records.store.unit_of_work import Plan
from services.records.store.values.records import CurrentRecord

K = TypeVar("K")

RevisionRow = tuple[bytes, str, str, int, int, int, int, bool, str, bytes, bytes]
"""person_key, region, source_id, revision, sequence, recorded_at, placed_at, retracted, laboratory, digest, body.

The column recorded_at is the instant of this store's commit: what is known at an instant is what had arrived here. A
copy's own recorded_at is in its body."""

LaboratoryRevisionRow = tuple[str, int, int, bytes]
"""laboratory, revision, sequence, body. The column laboratory is the name it is kept by: see standing.kept_as."""

MARK_BYTES = 8
"""The length of what names a commit in cursors: random, so that no two histories have it in common."""

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
        for sequence, (region, source_id, key, placed_at, laboratory, digest, body, _) in enumerate(
            plan.firsts, after + 1
        )
    ]
    rows += [
        (
            new.person_key,
            new.id.region,
            new.id.source_id,
            new.revision,
            sequence,
            recorded_at,
            new.placed_at,
            new.retracted,
            new.laboratory,
            new.digest,
            new.body + suffix if new.recorded_at is None else new.body,
        )
        for sequence, new in enumerate(plan.revisions, after + len(rows) + 1)
    ]
    return rows


def copy_rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    """The copies among a plan's records and revisions: origin's region and source_id, the copy's region and
    source_id."""
    copies = {(*new.origin, new.region, new.source_id) for new in plan.firsts if new.origin is not None}
    return sorted(copies | {(*new.origin, *new.id) for new in plan.revisions if new.origin is not None})


def changed_ids(plan: Plan) -> list[RecordId]:
    """Returns the records that a plan changes rather than begins, or gives to another person."""
    return sorted({new.id for new in plan.revisions if new.revision > 1} | {moved.id for moved in plan.moved})


def conflict_rows(plan: Plan, now: Instant) -> list[tuple[str, str, str, int, str, bytes, bytes, str, int]]:
    """The rows of a plan's conflicts: conflict_id, region, source_id, revision, reason, person_key, content, offered_by
    and the instant."""
    return [
        (c.conflict_id, c.id.region, c.id.source_id, c.revision, c.reason, c.person_key, c.content, c.offered_by, now)
        for c in plan.conflicts
    ]


def laboratory_rows(plan: Plan, after: int, recorded_at: Instant) -> list[LaboratoryRevisionRow]:
    """The rows of a plan's laboratories, numbered from `after` + 1."""
    made = [(new.name, new.stamped(recorded_at)) for new in plan.laboratories]
    return [
        (name or laboratory.laboratory, laboratory.revision, sequence, laboratory.SerializeToString())
        for sequence, (name, laboratory) in enumerate(made, after + 1)
    ]


def by_record(rows: Iterable[tuple[K, int, bytes]]) -> dict[K, list[tuple[int, bytes]]]:
    """Revisions put together by record, given as its key, the revision's number in the feed, and its body."""
    records: dict[K, list[tuple[int, bytes]]] = {}
    for key, sequence, body in rows:
        records.setdefault(key, []).append((sequence, body))
    return records
