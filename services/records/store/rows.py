"""The rows of both stores: those they have read, and those they are about to write."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple, TypeVar

from services.common.instants import Instant
from services.records.domain.content import stamp
from services.records.domain.revisions import RecordId, always_given
from services.records.store.unit_of_work import Plan
from services.records.store.values.records import CurrentRecord

K = TypeVar("K")


class RevisionRow(NamedTuple):
    """A revision as it is stored; `superseded_at` has its default.

    `recorded_at` is the instant of this store's commit: what is known at an instant is what had arrived here. A copy's
    own recorded_at is in its body. Instants are in microseconds since 1970, UTC.
    """

    person_key: bytes
    region: str
    source_id: str
    revision: int
    sequence: int
    recorded_at: int
    placed_at: int
    retracted: bool
    laboratory: str
    digest: bytes
    body: bytes
    latest_at: int
    weight: int
    always_given: bool


REVISION_COLUMNS = RevisionRow._fields

SupersededRow = tuple[bytes, str, str, int, int]
"""person_key, region, source_id, revision, and the instant at which that revision took the place of those before it."""

CONFLICT_COLUMNS = """
number, conflict_id, region, source_id, revision, reason, person_key, content, offered_by, first_at, last_at, times,
settlement, cause, settled_by, settled_at
"""
"""In the order of a StoredConflict."""

CORRECTION_REQUEST_COLUMNS = """
number, correction_request_id, region, source_id, revision, person_key, laboratory, kind, text, requested_at, answer,
corrected_by, forwarded_to, answer_text, answered_by, answered_at
"""
"""In the order of a StoredCorrectionRequest."""

LaboratoryRevisionRow = tuple[str, int, int, bytes]
"""laboratory, revision, sequence, body. The column laboratory is the name it is kept by: see standing.kept_as."""

MARK_BYTES = 8
"""The length of what names a commit in cursors: random, so that no two histories have it in common."""

_by_place = itemgetter(CurrentRecord._fields.index("placed_at"))


def by_person(records: Iterable[CurrentRecord]) -> Mapping[bytes, Sequence[CurrentRecord]]:
    """Returns records by person, newest sample first. They stand in order of person, region and source_id."""
    people: dict[bytes, list[CurrentRecord]] = {}
    for record in records:
        people.setdefault(record.person_key, []).append(record)
    for of_person in people.values():
        # Sorting is stable, so of equal places the order is still that of the ids.
        of_person.sort(key=_by_place, reverse=True)
    return people


def revision_rows(plan: Plan, after: int, recorded_at: Instant) -> list[RevisionRow]:
    """The rows of a plan's records and revisions, numbered from `after` + 1, the new ones stamped with their commit."""
    suffix = stamp(recorded_at, plan.written_by)
    rows = [
        RevisionRow(
            first.person_key,
            first.region,
            first.source_id,
            1,
            sequence,
            recorded_at,
            first.placed_at,
            False,
            first.laboratory,
            first.digest,
            first.body + suffix,
            first.latest_at,
            first.weight,
            always_given(first.weight, first.origin),
        )
        for sequence, first in enumerate(plan.firsts, after + 1)
    ]
    rows += [
        RevisionRow(
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
            new.latest_at,
            new.weight,
            always_given(new.weight, new.origin),
        )
        for sequence, new in enumerate(plan.revisions, after + len(rows) + 1)
    ]
    return rows


def superseded_rows(plan: Plan, recorded_at: Instant) -> list[SupersededRow]:
    """Returns the revisions of a plan that take the place of others."""
    return [(new.person_key, *new.id, new.revision, recorded_at) for new in plan.revisions if new.revision > 1]


def copy_rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Returns the copies among a plan's records and revisions: origin's region and source_id, the copy's region and
    source_id."""
    copies = {(*new.origin, new.region, new.source_id) for new in plan.firsts if new.origin is not None}
    return sorted(copies | {(*new.origin, *new.id) for new in plan.revisions if new.origin is not None})


def changed_ids(plan: Plan) -> list[RecordId]:
    """Returns the records that a plan changes rather than begins, or gives to another person."""
    return sorted({new.id for new in plan.revisions if new.revision > 1} | {moved.id for moved in plan.moved})


def conflict_rows(plan: Plan, now: Instant) -> list[tuple[str, str, str, int, str, bytes, bytes, str, int]]:
    """Returns the rows of a plan's conflicts: conflict_id, region, source_id, revision, reason, person_key, content,
    offered_by and the instant."""
    return [
        (c.conflict_id, c.id.region, c.id.source_id, c.revision, c.reason, c.person_key, c.content, c.offered_by, now)
        for c in plan.conflicts
    ]


def laboratory_rows(plan: Plan, after: int, recorded_at: Instant) -> list[LaboratoryRevisionRow]:
    """Returns the rows of a plan's laboratories, numbered from `after` + 1."""
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
